/** What both sides own, and what the miners got: it must add up whatever was killed. */
import { buyerMoney, sellerMoney, type Money } from '../../src/demo/balances.js';
import { createLogger } from '../../src/log.js';
import type { MinedTx } from './chainView.js';
import type { SwapRow } from './sellerDatabase.js';
import type { Stage } from './stage.js';

export type Books = { readonly seller: Money; readonly buyer: Money; readonly height: number };

const log = createLogger('books', 'silent');

export async function readBooks(stage: Stage): Promise<Books> {
  const { lnnoded } = stage.world.file();
  await stage.chain.refresh();
  const [seller, buyer] = await Promise.all([
    sellerMoney(stage.admin, stage.assets, lnnoded.seller),
    buyerMoney(stage.buyer.buyer, stage.assets, lnnoded.buyer, log),
  ]);
  return { seller, buyer, height: stage.chain.height() };
}

/** Explicit fees of a transaction, satoshi. */
const feeOf = ({ tx }: MinedTx): bigint =>
  tx.outs.filter(({ script }) => script.length === 0).reduce((sum, { value }) => sum + value.readBigUInt64BE(1), 0n);

/**
 * What does not add up between two looks, as sentences. `sold` are the swaps that ended in between with the buyer's money
 * taken.
 */
export function bookProblems(
  before: Books,
  after: Books,
  { mined, sold }: { readonly mined: readonly MinedTx[]; readonly sold: readonly SwapRow[] },
): string[] {
  const fees = mined.reduce((sum, each) => sum + feeOf(each), 0n);
  const price = sold.reduce((sum, swap) => sum + swap.price_msat, 0n);
  const asset = sold.reduce((sum, swap) => sum + swap.asset_amount, 0n);
  const lbtc = ({ seller, buyer }: Books): bigint => seller.lbtcSat + buyer.lbtcSat;
  const lines: readonly [what: string, expected: bigint, found: bigint][] = [
    ['asset of the seller', before.seller.asset - asset, after.seller.asset],
    ['asset of the buyer', before.buyer.asset + asset, after.buyer.asset],
    ['Lightning of the seller', before.seller.lightningMsat + price, after.seller.lightningMsat],
    ['Lightning of the buyer', before.buyer.lightningMsat - price, after.buyer.lightningMsat],
    ['L-BTC of both and the fees', lbtc(before) - fees, lbtc(after)],
  ];
  return lines
    .filter(([, expected, found]) => expected !== found)
    .map(([what, expected, found]) => `${what}: expected ${expected.toString()}, found ${found.toString()}`);
}
