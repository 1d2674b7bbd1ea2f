/** The seller's first stock: several coins of every asset, so that swaps need not wait for each other's change. */
import { setImmediate as nextTurn } from 'node:timers/promises';

import { assetId, reversedBytes } from '../../core/units.js';
import { connectAdmin, type AdminClient, type Endpoint } from './grpc.js';
import type { LiquidSide } from './liquid.js';
import { waitFor } from './wait.js';

/** More than the swaps that are made at once in a sandbox. */
const COINS_PER_ASSET = 8;
/** Depth at which a deposit is spendable. */
const DEPOSIT_DEPTH = 2;
const DEADLINE_MS = 120_000;

/** How much of an asset the seller gets, smallest units. */
export type StockItem = { readonly assetId: string; readonly amount: bigint };

/** Sends coins to the seller's wallet, makes them spendable and waits until the seller says so. */
export async function stockSeller(liquid: LiquidSide, admin: Endpoint, items: readonly StockItem[]): Promise<void> {
  const { client, close } = connectAdmin(admin);
  try {
    const before = await waitFor('the seller to answer', DEADLINE_MS, () => balances(client));
    const { address } = await client.newAddress({});
    for (const item of items) {
      for (let coin = 0; coin < COINS_PER_ASSET; coin++) {
        liquid.faucet({ address, assetId: item.assetId, amount: item.amount / BigInt(COINS_PER_ASSET) });
        await nextTurn(); // blinding is slow: let the seller look at one coin while the next is made
      }
    }
    liquid.mine(DEPOSIT_DEPTH);
    await waitFor('the stock in the balance of the seller', DEADLINE_MS, async () => {
      const now = await balances(client);
      const hasAll = items.every((item) => available(now, item) - available(before, item) > allButOneCoin(item));
      return hasAll ? true : undefined;
    });
  } finally {
    close();
  }
}

/** The seller keeps some L-BTC for fees, less than a coin, and does not call it available. */
const allButOneCoin = ({ amount }: StockItem): bigint => amount - amount / BigInt(COINS_PER_ASSET);

type Balances = ReadonlyMap<string, bigint>;

async function balances(client: AdminClient): Promise<Balances> {
  const response = await client.getBalance({});
  return new Map(response.balances.map((entry) => [keyOf(entry.assetId), entry.availableAmount]));
}

const keyOf = (internal: Uint8Array): string => Buffer.from(internal).toString('hex');

const available = (found: Balances, item: StockItem): bigint =>
  found.get(keyOf(reversedBytes(assetId(item.assetId)))) ?? 0n;
