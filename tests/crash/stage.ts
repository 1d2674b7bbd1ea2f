/** A world whose seller is a process of the test's own, and everything that a path needs to play on it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import { isFinal, type PurchaseRecord, type Step } from '../../src/buyer/record.js';
import { openAdmin, type AdminClient } from '../../src/buyer/rpcClient.js';
import { assetId, type AssetId } from '../../src/core/units.js';
import type { LightningNode } from '../../src/lightning/node.js';
import {
  driveTo,
  eventually,
  openBuyer,
  openSellerNode,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';
import { openChainView, type ChainView } from './chainView.js';
import { startElectrumProxy, type ElectrumProxy } from './electrumProxy.js';
import { isEnded, readSwap, type SwapRow } from './sellerDatabase.js';
import { sellerProcess, type SellerProcess, type Settings } from './sellerProcess.js';

export type Stage = {
  readonly world: TestWorld;
  readonly buyer: TestBuyer;
  readonly seller: SellerProcess;
  readonly proxy: ElectrumProxy;
  /** The seller's Lightning node as its operator sees it. */
  readonly node: LightningNode;
  readonly admin: AdminClient;
  readonly chain: ChainView;
  readonly assets: { readonly asset: AssetId; readonly lbtc: AssetId };
  readonly database: string;
  readonly bundleDir: string;
  readonly close: () => Promise<void>;
};

const DEADLINE_MS = 40_000;
/** Purchases that a dying seller delays again and again. */
const DRIVE_DEADLINE_MS = 120_000;
/** Pause between blocks that only deepen what is mined. */
const DEEPENING_MS = 250;

/**
 * Takes the seller's place in a world.
 *
 * @param settingsFor what the seller's configuration says otherwise in this world.
 * @param start by default the sandbox with everything in it.
 */
export async function openStage(
  settingsFor?: (world: TestWorld) => Promise<Settings>,
  start: () => Promise<TestWorld> = startTestWorld,
): Promise<Stage> {
  const world = await start();
  const settings = (await settingsFor?.(world)) ?? {};
  const { swapd, electrum, assets, policy_asset: lbtc } = world.file();
  await world.ask({ command: 'stop', name: 'swapd' });
  const proxy = await startElectrumProxy(electrum);
  const logFile = join(world.dir, 'logs', 'swapd-crash.log');
  const seller = sellerProcess({ config: swapd.config, electrumUrl: proxy.url, logFile, settings });
  await seller.up();
  const buyer = await openBuyer(world);
  const admin = openAdmin({ address: swapd.admin, token: readFileSync(swapd.admin_token_file, 'utf8').trim() });
  const node = openSellerNode(world);
  const chain = openChainView(electrum);
  return {
    world,
    buyer,
    seller,
    proxy,
    node,
    admin: admin.client,
    chain,
    assets: { asset: assetId(assets['USDT']?.id ?? ''), lbtc: assetId(lbtc) },
    database: swapd.database,
    bundleDir: join(swapd.database, '..', 'bundles'),
    close: async () => {
      await seller.down();
      for (const each of [buyer, admin, node, proxy]) each.close();
      await world.close();
    },
  };
}

/** One stage for many cases, replaced when something went wrong on it. */
export type Theatre = { readonly stage: () => Promise<Stage>; readonly discard: () => Promise<void> };

export function openTheatre(): Theatre {
  let current: Stage | undefined;
  return {
    stage: async () => (current ??= await openStage()),
    discard: async () => {
      const last = current;
      current = undefined;
      await last?.close();
    },
  };
}

const statusSchema = z.object({
  liquid: z.object({ height: z.int(), mempool: z.int(), floor_sat_per_kvb: z.string() }),
});

/** What the sandbox itself says of its Liquid chain. */
export const liquidStatus = async (stage: Stage): Promise<z.output<typeof statusSchema>['liquid']> =>
  statusSchema.parse(await stage.world.ask({ command: 'status' })).liquid;

/** Drives a purchase to a step, or to its end; the seller may die at any moment, also while it is asked to start the swap. */
export const drive = (stage: Stage, record: PurchaseRecord, until: Step): Promise<PurchaseRecord> =>
  eventually(
    `purchase ${record.number} at ${until}`,
    async () => {
      const driven = await driveTo(stage.buyer, record, until);
      return driven.progress.step === until || isFinal(driven.progress.step) ? driven : undefined;
    },
    DRIVE_DEADLINE_MS,
  );

/** A purchase whose swap the seller has stored. One that a starting seller refused is made anew, as a person would. */
export async function buy(stage: Stage): Promise<PurchaseRecord> {
  const start = async (): Promise<PurchaseRecord | undefined> => {
    const record = await startTestPurchase(stage.world, stage.buyer);
    const created = await drive(stage, record, 'created');
    return created.progress.step === 'unpaid' ? undefined : created;
  };
  return eventually('a created swap', start, DRIVE_DEADLINE_MS);
}

/** Id of a purchase's swap. */
export function swapOf({ progress, number }: PurchaseRecord): string {
  if (progress.step === 'created') return progress.swapId;
  if ('htlc' in progress) return progress.htlc.swapId;
  throw new Error(`purchase ${number} is ${progress.step} and has no swap`);
}

/** The stored swap when it satisfies a condition. */
export const swapWhen = (
  stage: Stage,
  id: string,
  what: string,
  isThere: (swap: SwapRow) => boolean,
): Promise<SwapRow> =>
  eventually(
    `swap ${what}`,
    () => {
      const swap = readSwap(stage.database, id);
      return Promise.resolve(swap !== undefined && isThere(swap) ? swap : undefined);
    },
    DEADLINE_MS,
  ).catch((error: unknown) => {
    const swap = readSwap(stage.database, id);
    throw new Error(`${swap?.state ?? 'no swap'}/${swap?.payment ?? ''}, waiting for ${what}`, { cause: error });
  });

const NEEDS_DEPTH = ['CLAIM_SEEN', 'REFUND_SEEN', 'ABORTING'];
/** Blocks for one swap in such a state: enough for any depth. More would only expire the others while the seller is down. */
const DEEPENING_BLOCKS = 3;

/** Makes blocks while something waits for them: transactions in the mempool, or a swap that ends with depth. */
export async function mineUntil(
  stage: Stage,
  ids: readonly string[],
  isDone: (swaps: readonly SwapRow[]) => boolean,
  deadlineMs = DRIVE_DEADLINE_MS,
): Promise<void> {
  let minedAt = Date.now();
  const deepened = new Map<string, number>();
  const deepen = (swaps: readonly SwapRow[]): boolean => {
    if (Date.now() - minedAt < DEEPENING_MS) return false;
    const waiting = swaps.filter(({ state }) => NEEDS_DEPTH.includes(state)).map((swap) => swap.swap_id + swap.state);
    const isDue = waiting.some((key) => (deepened.get(key) ?? 0) < DEEPENING_BLOCKS);
    if (isDue) for (const key of waiting) deepened.set(key, (deepened.get(key) ?? 0) + 1);
    return isDue;
  };
  await eventually(
    'the swaps to move on',
    async () => {
      const swaps = ids.flatMap((id) => readSwap(stage.database, id) ?? []);
      if (swaps.length === ids.length && isDone(swaps)) return true;
      const hasMempool = (await liquidStatus(stage)).mempool > 0;
      if (!hasMempool && !deepen(swaps)) return undefined;
      await stage.world.mine(1);
      minedAt = Date.now();
      // What has just been mined needs its depth, however many blocks were made before it was there.
      if (hasMempool) deepened.clear();
      return undefined;
    },
    deadlineMs,
  ).catch((error: unknown) => {
    const found = ids
      .map((id) => readSwap(stage.database, id))
      .map((swap) => `${swap?.state ?? 'none'}/${swap?.payment ?? ''}`);
    throw new Error(`stuck at ${found.join(', ')}`, { cause: error });
  });
}

/** Mines until the swaps have ended. */
export const mineToEnd = (stage: Stage, ids: readonly string[]): Promise<void> =>
  mineUntil(stage, ids, (swaps) => swaps.every(isEnded));

/** Mines until the refund of an unpaid swap may be made. */
export async function mineToRefundHeight(stage: Stage, { refund_height: refundHeight }: SwapRow): Promise<void> {
  const { height } = await liquidStatus(stage);
  const missing = Number(refundHeight ?? 0n) - height;
  if (missing > 0) await stage.world.mine(missing);
}
