/** A world whose seller talks to its Lightning node through a proxy, and what a test of the payment needs on it. */
import { setTimeout as delay } from 'node:timers/promises';

import { RemoteError } from '../../src/buyer/buyerError.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { findPreimage } from '../../src/core/htlc.js';
import { msat, paymentHash, type PaymentHash } from '../../src/core/units.js';
import { PaymentStatus } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import type { HoldInvoice, LightningNode } from '../../src/lightning/node.js';
import type { ProcessName } from '../../src/sandbox/control.js';
import { FINAL_STATES, isEnded, type SwapRow } from '../crash/sellerDatabase.js';
import type { Settings } from '../crash/sellerProcess.js';
import {
  buy,
  drive,
  liquidStatus,
  mineToEnd,
  mineToRefundHeight,
  mineUntil,
  openStage,
  swapOf,
  swapWhen,
  type Stage,
} from '../crash/stage.js';
import { startLightningProxy, type LightningProxy } from './lightningProxy.js';
import { eventually, type TestWorld } from './testWorld.js';

/** Liquid blocks after which nobody may pay a fresh funding of this profile any more, and a margin. */
const UNTIL_UNPAYABLE = 31;
/** A look at one swap from outside, this often: the seller allows a caller 1,200 a minute, tests and buyer included. */
const WATCH_MS = 100;
/** Everything is looked up again at every block; this is the pause before each while a test waits. */
const NUDGE_MS = 700;
/** After so many blocks of one wait they come slowly: each brings the refund nearer. */
const QUICK_NUDGES = 8;
const SLOW_NUDGE_MS = 3_000;
/** The next block comes all the same when the seller has not seen the last one within this time: it may be away. */
const SEEN_MS = 5_000;

/** A swap whose funding is deep enough and whose invoice the buyer has verified. */
export type Bought = {
  readonly record: PurchaseRecord;
  readonly id: string;
  readonly hash: PaymentHash;
  readonly bolt11: string;
};

/** What the seller's own RPC showed while it was watched. */
type Watch = {
  /** Moments at which S was shown although the payment was not SETTLED. */
  readonly leaks: readonly string[];
  /** Slowest answer since the last call of `restart`, milliseconds; the failures are those of a seller that is down. */
  readonly slowestMs: () => number;
  readonly restart: () => void;
};

export type LightningStage = Stage & {
  readonly lightning: LightningProxy;
  readonly watch: Watch;
  /** The buyer's node: it pays whatever it is told, without the checks of the buyer's program. */
  readonly payer: LightningNode;
};

export async function openLightningStage(
  start?: () => Promise<TestWorld>,
  settings: () => Settings = () => ({}),
): Promise<LightningStage> {
  let lightning: LightningProxy | undefined;
  const stage = await openStage(async (world) => {
    const { seller, buyer } = world.file().lnnoded;
    lightning = await startLightningProxy(seller, buyer);
    return { ...settings(), SWAPD_LIGHTNING__ADDRESS: lightning.address };
  }, start);
  const payer = stage.buyer.buyer.lightning;
  if (lightning === undefined || payer === undefined) throw new Error('expected a proxy and a payer, found none');
  const proxy = lightning;
  const { watch, stop } = startWatch(stage);
  return {
    ...stage,
    lightning,
    payer,
    watch,
    close: async () => {
      await stop();
      proxy.close();
      await stage.close();
    },
  };
}

/** Asks GetSwap for every swap of the seller again and again, and once more when it has ended. */
function startWatch(stage: Stage): { watch: Watch; stop: () => Promise<void> } {
  const leaks: string[] = [];
  let slowest = 0;
  const ended = new Set<string>();
  const look = async (): Promise<void> => {
    const { swaps } = await stage.admin.listSwaps({ limit: 1000 });
    for (const { swap, internalState } of swaps) {
      if (swap === undefined || ended.has(swap.swapId.toString('hex'))) continue;
      await delay(WATCH_MS);
      const asked = performance.now();
      const answer = await stage.buyer.buyer.seller.getSwap({ swapId: swap.swapId });
      slowest = Math.max(slowest, performance.now() - asked);
      const isOut = (answer.swap?.preimage.length ?? 0) > 0;
      if (isOut && answer.swap?.paymentStatus !== PaymentStatus.SETTLED) leaks.push(swap.swapId.toString('hex'));
      if (FINAL_STATES.includes(internalState)) ended.add(swap.swapId.toString('hex'));
    }
  };
  const stop = new AbortController();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await look().catch((error: unknown) => {
        // It is down from time to time; but who is refused for asking too often sees nothing.
        if (error instanceof RemoteError && error.code === 'rate_limited') leaks.push(`not watched: ${error.message}`);
      });
      await delay(WATCH_MS);
    }
  })();
  return {
    watch: {
      leaks,
      slowestMs: () => slowest,
      restart: () => {
        slowest = 0;
      },
    },
    stop: async () => {
      stop.abort();
      await watching;
    },
  };
}

/** Starts the seller again, and waits until the operator's client has found it. */
export async function restartSeller(stage: LightningStage): Promise<void> {
  await stage.seller.up();
  await eventually('the operator', async () => (await stage.admin.getStatus({})).version);
}

/** The seller's alarms, and whether new business goes on. */
export async function alarmsOf({ admin }: LightningStage): Promise<{ text: string; modes: readonly string[] }> {
  const { alarms, modes } = await admin.getStatus({});
  return { text: alarms.join('\n'), modes };
}

/** A purchase up to the moment before the payment. */
export const bought = async (stage: LightningStage): Promise<Bought> => verified(stage, await buy(stage));

/** The same of a purchase whose swap exists. */
export async function verified(stage: LightningStage, created: PurchaseRecord): Promise<Bought> {
  const id = swapOf(created);
  await mineUntil(stage, [id], (swaps) => swaps.every(({ state }) => state === 'FUNDED'));
  const record = await drive(stage, created, 'paying');
  if (record.progress.step !== 'paying') throw new Error(`the buyer refused: ${JSON.stringify(record.progress)}`);
  const { paymentHash: hash, bolt11 } = record.progress.htlc;
  return { record, id, hash: paymentHash(hash), bolt11 };
}

/** Sends the payment; what is held is IN_FLIGHT after a second. */
export async function pay({ payer }: LightningStage, { bolt11 }: Bought): Promise<string> {
  const limits = { maxFeeMsat: msat(10_000n), maxTotalCltvDelta: 60, timeoutSecs: 1 };
  return (await payer.pay({ bolt11, ...limits })).state;
}

/** Sends the payment and waits until the seller's real node holds it. */
export async function payHeld(stage: LightningStage, swap: Bought): Promise<HoldInvoice> {
  await pay(stage, swap);
  return eventually('a held payment', async () => {
    const invoice = await stage.node.lookupInvoice(swap.hash);
    return invoice?.state === 'HELD' ? invoice : undefined;
  });
}

/** Waits for the stored swap, with a Liquid block now and then. */
async function rowWhen(
  stage: LightningStage,
  { id }: { readonly id: string },
  what: string,
  isThere: (swap: SwapRow) => boolean,
): Promise<SwapRow> {
  return during(stage, swapWhen(stage, id, what, isThere));
}

/** Waits until the row has this payment status. */
export const paymentIs = (stage: LightningStage, swap: { readonly id: string }, payment: string): Promise<SwapRow> =>
  rowWhen(stage, swap, `payment ${payment}`, (row) => row.payment === payment);

/** Makes a Liquid block now and then until the promise is settled, each when the seller has seen the one before. */
async function during<T>(stage: LightningStage, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const end = (): void => {
    over.abort();
  };
  work.then(end, end);
  for (let blocks = 0; !over.signal.aborted; blocks += 1) {
    const pauseMs = blocks < QUICK_NUDGES ? NUDGE_MS : SLOW_NUDGE_MS;
    const paused = delay(pauseMs, undefined, { signal: over.signal });
    await paused.then(() => mineSeen(stage, over.signal)).catch(() => undefined);
  }
  return await work;
}

/** Makes a Liquid block, and waits until the seller has seen it. */
async function mineSeen(stage: LightningStage, signal: AbortSignal): Promise<void> {
  await stage.world.mine(1);
  const { height } = await liquidStatus(stage);
  const isSeen = async (): Promise<true | undefined> => {
    if (signal.aborted || (await stage.admin.getStatus({})).liquidHeight >= height) return true;
    await delay(WATCH_MS);
    return undefined;
  };
  await eventually('a seller at the tip', isSeen, SEEN_MS);
}

/** Waits until a call came so many times more. */
export async function calledAgain(
  stage: LightningStage,
  method: Parameters<LightningProxy['count']>[0],
  { hash }: Bought,
  times = 1,
): Promise<void> {
  const wanted = stage.lightning.count(method, hash) + times;
  await during(
    stage,
    eventually(`${method} again`, () => Promise.resolve(stage.lightning.count(method, hash) >= wanted || undefined)),
  );
}

/** Mines Liquid until nobody may pay any more. */
export const mineToUnpayable = (stage: LightningStage): Promise<void> => stage.world.mine(UNTIL_UNPAYABLE);

/** Mines Bitcoin up to a height and waits until the seller's node has seen it. */
export async function mineBitcoinTo(stage: LightningStage, height: number): Promise<void> {
  const { blockHeight } = await stage.node.getInfo();
  await stage.world.ask({ command: 'mine', chain: 'bitcoin', blocks: height - blockHeight });
  await eventually('the node at its tip', async () => {
    return (await stage.node.getInfo()).blockHeight >= height ? true : undefined;
  });
}

/** Ends programs of the world the hard way and starts them again, one after the other. */
export async function killAndStart(stage: LightningStage, names: readonly ProcessName[]): Promise<void> {
  for (const name of names) await stage.world.ask({ command: 'kill', name });
  for (const name of names) await stage.world.ask({ command: 'start', name });
}

/** S as GetSwap shows it to the buyer, hex; empty while the seller keeps it in. */
export async function shownPreimage(stage: LightningStage, { id }: Bought): Promise<string> {
  const { swap } = await stage.buyer.buyer.seller.getSwap({ swapId: Buffer.from(id, 'hex') });
  if (swap === undefined) throw new Error(`expected swap ${id}, found none`);
  return swap.preimage.toString('hex');
}

/** Waits until the seller gives S out. @returns it as GetSwap shows it, hex. */
export async function releasedPreimage(stage: LightningStage, swap: Bought): Promise<string> {
  await rowWhen(stage, swap, 'with S given out', (row) => row.is_preimage_released === 1n);
  return shownPreimage(stage, swap);
}

/** Where the money is: the buyer's payment, the HTLC's asset outpoint, and the seller's books. */
export type Money = { readonly payment: string; readonly outpoint: string; readonly books: string };

export const TAKEN: Money = { payment: 'SUCCEEDED', outpoint: 'claimed', books: 'CLAIMED/SETTLED' };
export const GIVEN_BACK: Money = { payment: 'FAILED', outpoint: 'refunded', books: 'REFUNDED/CANCELED' };
export const NEVER_PAID: Money = { ...GIVEN_BACK, payment: 'never sent' };

export async function money(stage: LightningStage, swap: Bought): Promise<Money> {
  const row = await swapWhen(stage, swap.id, 'stored', () => true);
  const payment = await stage.payer.lookupPayment(swap.hash);
  await stage.chain.refresh();
  const { txid = '', vout = 0 } = row.outpoints?.[0] ?? {};
  const spender = stage.chain.spender(txid, vout)?.tx;
  const isClaim = spender?.ins.some((input) => findPreimage(input.witness, swap.hash) !== undefined);
  return {
    payment: payment?.state ?? 'never sent',
    outpoint: spender === undefined ? 'unspent' : isClaim === true ? 'claimed' : 'refunded',
    books: `${row.state}/${row.payment}`,
  };
}

/** Drives paid swaps to their end. */
export async function endClaimed(stage: LightningStage, swaps: readonly Bought[]): Promise<readonly Money[]> {
  const ids = swaps.map(({ id }) => id);
  const claims = swaps.map(({ record }) => drive(stage, record, 'claimed'));
  await during(stage, Promise.all([...claims, mineToEnd(stage, ids)]));
  const ends: Money[] = [];
  for (const swap of swaps) ends.push(await money(stage, swap));
  return ends;
}

/** Drives an unpaid swap to its end. */
export async function endRefunded(stage: LightningStage, swap: Bought): Promise<Money> {
  const row = await paymentIs(stage, swap, 'CANCELED');
  await mineToRefundHeight(stage, row);
  await mineUntil(stage, [swap.id], (swaps) => swaps.every(isEnded));
  const final = ['SUCCEEDED', 'FAILED'];
  await eventually('an end of the payment', async () => {
    const payment = await stage.payer.lookupPayment(swap.hash);
    return payment === undefined || final.includes(payment.state) ? true : undefined;
  });
  return money(stage, swap);
}

/** Blocks above the refund height of a swap. */
export async function blocksPastRefund(stage: LightningStage, row: SwapRow): Promise<number> {
  const { height } = await liquidStatus(stage);
  return height - Number(row.refund_height ?? 0n);
}
