/** What happens to swaps of all pairs. */
import { readFileSync } from 'node:fs';

import { hashPreimage } from '../../../src/core/htlc.js';
import { msat, preimage } from '../../../src/core/units.js';
import { isEnded } from '../../crash/sellerDatabase.js';
import type { SwapEnd } from '../swapProgram.js';
import { lncli, type LncliEnd, type Pair } from './swapBuyer.js';
import { assemble, DEADLINE_MS, PAIRS, slowly, whileMining, type Cast, type Role } from './swapCast.js';
import { endOf, sharesAfter, sharesOf, totalCltvOf, type End } from './swapEnd.js';
import type { SwapWorld } from './swapWorld.js';

/** Blocks of the refund delta, and what must be left of them when a payment is taken. */
const REFUND_DELTA = 60;
const SETTLE_MIN = 20;
/** L of the profile. */
const MAX_TOTAL_CLTV = 60;
/** An HTLC of lnnoded's may be this much later: docs/lightning-backends.md. */
const LDK_PADDING = 1;
/** Our own limits for a payment by hand: those that the program shows, and no fee on a direct channel. */
const LIMITS = { maxFeeMsat: msat(0n), maxTotalCltvDelta: MAX_TOTAL_CLTV, timeoutSecs: 1 };
const PAGE = readFileSync(new URL('../../../docs/buyer-guide.md', import.meta.url), 'utf8');
const payLine = PAGE.split('\n').find((line) => line.startsWith('lncli payinvoice ')) ?? '';
const SHARES_MS = 20_000;

/** How the swap of a pair ended, or why nobody knows. */
export type Ends = ReadonlyMap<Pair, End | Error>;

/** Who plays. */
type Scene = { readonly name: string; readonly pairs: readonly Pair[] };

/** The buyers' programs go on; who pays by hand does so as soon as the program shows the invoice. */
async function goOn({ each, world }: Cast): Promise<void> {
  await each('the payment', async (role) => {
    role.run.child.kill('SIGCONT');
    if (role.pair.payer === 'lncli') role.lncli = payByHand(world, await shownInvoice(world, role));
    await Promise.resolve();
  });
}

const shownInvoice = (world: SwapWorld, { run }: Role): Promise<string> =>
  world.programs.until({ what: 'the invoice for a person' }, () =>
    Promise.resolve(/^lnbcrt\w+$/m.exec(run.stderr())?.[0]),
  );

/** As docs/buyer-guide.md tells a person to. */
const payByHand = (world: SwapWorld, bolt11: string): Promise<LncliEnd> =>
  lncli(world.payers.lnd, payLine.replace('INVOICE', bolt11).split(' ').slice(1));

/** Until every program has ended and every swap is over; then where the money is. */
async function endsOf(cast: Cast, lastRun: (role: Role) => Promise<SwapEnd>): Promise<Ends> {
  const { world, failures, each, until } = cast;
  const codes = new Map<Pair, number | null>();
  const ended = each('the end of the program', async (role) => {
    const what = `the end of the program: ${roleName(role)}`;
    const { code } = await world.programs.step({ what, ms: DEADLINE_MS }, () => lastRun(role));
    codes.set(role.pair, code);
  });
  await whileMining(cast, Promise.all([ended, until('the end of the swap', (_, row) => isEnded(row))]));
  await world.liquid.view.refresh();
  const ends = new Map<Pair, End>();
  await each('the end', async (role) => {
    ends.set(role.pair, await endOf(world, role, codes.get(role.pair) ?? null));
  });
  const endOrError = (pair: Pair): End | Error => failures.get(pair) ?? ends.get(pair) ?? new Error('no end');
  return new Map(cast.pairs.map((pair) => [pair, endOrError(pair)]));
}

const roleName = ({ pair }: Role): string => `seller ${pair.seller}, payer ${pair.payer}`;

const preimageIn = ({ output }: LncliEnd): string | undefined =>
  /SUCCEEDED, preimage: ([0-9a-f]{64})/.exec(output)?.[1];

/**
 * The program that pays, and a person who types what lncli shows. Was lncli interrupted, he leaves the program running, and
 * looks in the end what became of his payment.
 */
async function paidRun(world: SwapWorld, { lncli: paying, run, hash }: Role): Promise<SwapEnd> {
  if (paying === undefined) return await run.ended;
  const paid = await paying;
  const shown = preimageIn(paid);
  if (paid.code === 0 && shown !== undefined) run.child.stdin?.write(`${shown}\n`);
  const end = await run.ended;
  const known = shown ?? preimageIn(await lncli(world.payers.lnd, ['trackpayment', hash]));
  if (known === undefined || hashPreimage(preimage(Buffer.from(known, 'hex'))) !== hash) {
    throw new Error(`expected the preimage from lncli, found ${known ?? 'none'}: ${paid.output}`);
  }
  return end;
}

/** Plays, and compares what the sellers own in their channels with the prices of what they sold. */
async function playPaid(world: SwapWorld, scene: Scene, play: (cast: Cast) => Promise<Ends>): Promise<Ends> {
  const cast = await assemble(world, scene.name, scene.pairs);
  const before = await sharesOf(world);
  const ends = await play(cast);
  const sold = cast.roles.filter(({ seller, id }) => seller.swap(id)?.payment === 'SETTLED');
  const expected = textOf(sharesAfter(before, sold));
  let found = '';
  const isRight = async (): Promise<boolean> => (found = textOf(await sharesOf(world))) === expected;
  try {
    await world.programs.until({ what: 'the channels of the sellers', ms: SHARES_MS }, slowly(isRight));
    return ends;
  } catch (cause) {
    const wrong = new Error(`expected in the sellers' channels ${expected}, found ${found}`, { cause });
    return new Map(scene.pairs.map((pair) => [pair, cast.failures.get(pair) ?? wrong]));
  }
}

const textOf = (shares: Awaited<ReturnType<typeof sharesOf>>): string =>
  shares.map(({ seller, payer, msat: own }) => `${own.toString()} of ${payer} at ${seller}`).join(', ');

/** Nothing disturbs anybody. */
export const playClaimed = (world: SwapWorld): Promise<Ends> =>
  playPaid(world, { name: 'claimed', pairs: PAIRS }, async (cast) => {
    await goOn(cast);
    return await endsOf(cast, (role) => paidRun(world, role));
  });

/** Something is killed while every payment is held, and started again. The sellers cannot settle meanwhile. */
export const playHeld = (world: SwapWorld, scene: Scene, disturb: () => Promise<unknown>): Promise<Ends> =>
  playPaid(world, scene, async (cast) => {
    setAway(world, true);
    try {
      await goOn(cast);
      await cast.until('a held payment', (_, { payment }) => payment === 'HELD');
      await cast.each('the timelock of the payment', async (role) => {
        const found = (await totalCltvOf(role)) ?? 0;
        const most = role.pair.payer === 'lnnoded' ? MAX_TOTAL_CLTV + LDK_PADDING : MAX_TOTAL_CLTV;
        if (found > most) throw new Error(`expected at most ${most} blocks, found ${found}`);
      });
      await disturb();
    } finally {
      setAway(world, false);
    }
    return await endsOf(cast, (role) => paidRun(world, role));
  });

/** The sellers' Electrum servers: without them a payment can be held and neither taken nor refused. */
const setAway = ({ sellers }: SwapWorld, isAway: boolean): void => {
  for (const { proxy } of Object.values(sellers)) proxy.setAway(isAway);
};

/** Payments that come too late, and swaps that nobody pays: the sellers give back, and refund. */
export async function playUnpaid(world: SwapWorld): Promise<{ readonly late: Ends; readonly unpaid: Ends }> {
  const [late, unpaid] = await Promise.all([assemble(world, 'late', PAIRS), assemble(world, 'unpaid', PAIRS)]);
  const { chain } = world.liquid;
  await Promise.all([walkAway(late, world), walkAway(unpaid, world)]);
  setAway(world, true);
  try {
    chain.mine(REFUND_DELTA - SETTLE_MIN + 1);
    await late.each('the late payment', (role) => payLate(world, role));
    await late.until('a held payment', (_, { payment }) => payment === 'HELD');
  } finally {
    setAway(world, false);
  }
  for (const cast of [late, unpaid])
    await cast.until('a cancelled invoice', (_, { payment }) => payment === 'CANCELED');
  await late.each('what became of the late payment', (role) => expectGivenBack(world, role));
  chain.mine(SETTLE_MIN);
  for (const cast of [late, unpaid]) {
    await whileMining(
      cast,
      cast.until('a refund', (_, row) => isEnded(row)),
    );
  }
  const resumed = (role: Role): Promise<SwapEnd> => role.resume();
  return { late: await endsOf(late, resumed), unpaid: await endsOf(unpaid, resumed) };
}

/** The buyers leave: before they pay, and by hand after they have seen the invoice. */
const walkAway = ({ each }: Cast, world: SwapWorld): Promise<void> =>
  each('the end of the visit', async (role) => {
    if (role.pair.payer === 'lncli') {
      role.run.child.kill('SIGCONT');
      await shownInvoice(world, role);
    }
    role.run.child.kill('SIGKILL');
    await role.run.ended;
  });

const bolt11Of = async ({ seller, hash }: Role): Promise<string> =>
  (await seller.node.port.lookupInvoice(hash))?.bolt11 ?? '';

/** By the node itself: the buyer's program would refuse. */
async function payLate(world: SwapWorld, role: Role): Promise<void> {
  const bolt11 = await bolt11Of(role);
  if (role.pair.payer === 'lncli') role.lncli = payByHand(world, bolt11);
  else await role.node.port.pay({ bolt11, ...LIMITS });
}

/** The payment failed at its payer, and so does another attempt. */
async function expectGivenBack(world: SwapWorld, role: Role): Promise<void> {
  const { node, hash } = role;
  const failed = (): Promise<unknown> =>
    world.programs.until(
      { what: 'a failed payment' },
      async () => (await node.port.lookupPayment(hash))?.state === 'FAILED',
    );
  await failed();
  const first = await role.lncli;
  await payLate(world, role);
  for (const end of [first, await role.lncli]) {
    if (end !== undefined && (end.code === 0 || end.output.includes('SUCCEEDED'))) {
      throw new Error(`expected a payment by hand that fails, found ${end.output}`);
    }
  }
  await failed();
}
