/** What a stage is made of, and how a buyer acts on it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Buyer } from '../../src/buyer/buyer.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import { startPurchase, type Wishes } from '../../src/buyer/purchase.js';
import { requestQuote } from '../../src/buyer/quote.js';
import type { PurchaseRecord, Step } from '../../src/buyer/record.js';
import { openSeller } from '../../src/buyer/rpcClient.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { assetAmount, assetId } from '../../src/core/units.js';
import { HostileProxy } from '../support/hostileProxy.js';
import { startLyingSeller, type LyingSeller } from '../support/lyingSeller.js';
import { openBuyer, startTestWorld, type TestBuyer, type TestWorld } from '../support/testWorld.js';

const DRIVE_MS = 20_000;
const AMOUNT = assetAmount(2_500_000_000n);

/** What was opened, to be closed in the opposite order. */
export class Closing {
  readonly #ends: (() => void | Promise<void>)[] = [];

  keep<T>(opened: T, close: (opened: T) => void | Promise<void>): T {
    this.#ends.unshift(() => close(opened));
    return opened;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }
}

export type Parts = {
  readonly world: TestWorld;
  /** Talks to the lying seller. */
  readonly buyer: TestBuyer;
  readonly liar: LyingSeller;
  readonly server: HostileProxy;
  /** Copies of the buyer's data directory; `base` has the honest purchase at `created`. */
  readonly folder: string;
};

/** Opens the world, a buyer in it, and the liars in between. */
export async function openParts(closing: Closing): Promise<Parts> {
  const world = closing.keep(await startTestWorld(), (opened) => opened.close());
  const { swapd, electrum } = world.file();
  const honest = closing.keep(await openBuyer(world), (opened) => {
    opened.close();
  });
  const server = closing.keep(await HostileProxy.start(electrum.port), (opened) => opened.close());
  const liar = closing.keep(await startLyingSeller(swapd.address), (opened) => {
    opened.close();
  });
  const { client } = closing.keep(openSeller({ address: liar.address }), (opened) => {
    opened.close();
  });
  const folder = closing.keep(mkdtempSync(join(tmpdir(), 'swap-lies-')), (dir) => {
    rmSync(dir, { recursive: true, force: true });
  });
  const buyer = { ...honest, buyer: { ...honest.buyer, seller: client, sellerAddress: liar.address } };
  return { world, buyer, liar, server, folder };
}

/** Orders 25 units. */
export async function startOrder(
  world: TestWorld,
  { buyer, payoutAddress }: TestBuyer,
  wanted: Pick<Wishes, 'minFundingConfs' | 'maxPriceMsat'>,
): Promise<PurchaseRecord> {
  const order = { assetId: assetId(world.file().assets['USDT']?.id ?? ''), assetAmount: AMOUNT };
  const quote = await requestQuote(buyer.seller, order);
  const wishes = { ...wanted, maxFeeSat: undefined, payoutAddress };
  return await startPurchase(buyer, quote, { ticker: 'USDT', precision: 8 }, wishes);
}

/** Drives without patience: what is not there yet is refused at once. */
export async function drive(
  buyer: Buyer,
  record: PurchaseRecord,
  options: { readonly until?: Step | undefined; readonly onEvent?: (event: PurchaseEvent) => void },
): Promise<PurchaseRecord> {
  const { until, onEvent = () => undefined } = options;
  const signal = AbortSignal.timeout(DRIVE_MS);
  const wanted = until === undefined ? {} : { until };
  return await drivePurchase(buyer, record.number, { ...wanted, signal, onEvent, patienceMs: -1 });
}
