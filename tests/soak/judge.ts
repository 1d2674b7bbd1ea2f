/** The books after a run: the nodes' own words, payment by payment and channel by channel. */
import { ChannelState } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import type { LightningWorld } from '../support/lightningWorld.js';
import { NODES, type NodeName } from './kills.js';
import type { Story } from './traffic.js';

const SETTLE_MS = 60_000;
/** What a node asks for forwarding. */
const FEE_MSAT = 1_000n;

/** Channels of a node by id, with what it can send, msat. */
export type Holdings = Readonly<Record<NodeName, ReadonlyMap<string, bigint>>>;

/** Reads them once no payment is under way but those that are `held`. */
export async function readHoldings(world: LightningWorld): Promise<Holdings> {
  const read = (name: NodeName): Promise<ReadonlyMap<string, bigint>> =>
    eventually(
      `no HTLC at ${name}`,
      async () => {
        const { channels } = await world.peer(name).client.listChannels({});
        const isQuiet = channels.every(({ pendingHtlcs, isUsable, state }) => {
          return state !== ChannelState.READY || (isUsable && pendingHtlcs === 0);
        });
        if (!isQuiet) return undefined;
        const open = channels.filter(({ state }) => state === ChannelState.READY);
        return new Map(open.map((each) => [each.channelId.toString('hex'), each.outboundCapacityMsat]));
      },
      SETTLE_MS,
    );
  const [A, B, C] = [await read('A'), await read('B'), await read('C')];
  return { A, B, C };
}

const total = (channels: ReadonlyMap<string, bigint>): bigint => [...channels.values()].reduce((a, b) => a + b, 0n);

export type Verdict = {
  readonly settled: number;
  readonly canceled: number;
  readonly sentMsat: bigint;
  readonly claimedMsat: bigint;
  /** What B earned for forwarding. */
  readonly feesMsat: bigint;
  readonly channelsLost: number;
  readonly problems: readonly string[];
};

/** What the payer and the payee of one story say in the end. */
async function lastWords(
  world: LightningWorld,
  { plan, paymentHash }: Story,
): Promise<{ words: string; feeMsat: bigint }> {
  if (paymentHash === undefined) return { words: 'no invoice', feeMsat: 0n };
  const invoice = await world.peer(plan.payee).port.lookupInvoice(paymentHash);
  const payment = await world.peer(plan.payer).port.lookupPayment(paymentHash);
  const pending = invoice?.isHtlcPending === true ? 'pending' : 'done';
  return {
    words: `${payment?.state ?? 'unknown'}/${invoice?.state ?? 'unknown'}/${pending}`,
    feeMsat: payment?.state === 'SUCCEEDED' ? payment.feeMsat : 0n,
  };
}

/** Compares everything with the plan; both ends and every channel must agree to the millisatoshi. */
export async function judge(world: LightningWorld, before: Holdings, stories: readonly Story[]): Promise<Verdict> {
  const problems = stories.flatMap(({ plan, problems: own }) => own.map((text) => `payment ${plan.index}: ${text}`));
  const after = await readHoldings(world);
  const change = { A: 0n, C: 0n };
  let [settled, canceled, sentMsat, claimedMsat, feesMsat] = [0, 0, 0n, 0n, 0n];
  for (const story of stories) {
    const { plan } = story;
    const { words, feeMsat } = await lastWords(world, story);
    const wanted = plan.kind === 'cancel' ? 'FAILED/CANCELED/done' : 'SUCCEEDED/SETTLED/done';
    if (words !== wanted) problems.push(`payment ${plan.index} (${plan.kind}): expected ${wanted}, found ${words}`);
    if (words.includes('/SETTLED')) {
      settled += 1;
      claimedMsat += plan.amountMsat;
      change[plan.payee] += plan.amountMsat;
    }
    if (words.includes('/CANCELED')) canceled += 1;
    if (!words.startsWith('SUCCEEDED')) continue;
    if (feeMsat !== FEE_MSAT)
      problems.push(`payment ${plan.index}: expected a fee of ${FEE_MSAT} msat, found ${feeMsat}`);
    sentMsat += plan.amountMsat;
    feesMsat += feeMsat;
    change[plan.payer] -= plan.amountMsat + feeMsat;
  }
  const moved = (name: NodeName): bigint => total(after[name]) - total(before[name]);
  const expected = { ...change, B: feesMsat };
  let channelsLost = 0;
  for (const name of NODES) {
    channelsLost += [...before[name].keys()].filter((id) => !after[name].has(id)).length;
    if (moved(name) !== expected[name]) {
      problems.push(`${name}: expected a change of ${expected[name]} msat, found ${moved(name)}`);
    }
  }
  if (channelsLost > 0) problems.push(`${channelsLost} ends of channels are lost`);
  if (sentMsat !== claimedMsat) problems.push(`sent ${sentMsat} msat, claimed ${claimedMsat}`);
  return { settled, canceled, sentMsat, claimedMsat, feesMsat, channelsLost, problems };
}
