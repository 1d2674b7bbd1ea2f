/** Coins of the wallet that help a refund or a self-spend to pay a fee that its own inputs cannot pay. */
import { parseTransaction } from '../core/tx.js';
import { displayHex, outpoint, outpointKey, type BlockHeight } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { confirmations } from '../liquid/chain.js';
import type { Coin } from '../liquid/wallet.js';
import { reservedCoins, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { requireProven, spendableCoins } from './inventory.js';

/** A coin, and whether it is still to be reserved with the transaction that takes it. */
export type FeeCoin = { readonly coin: Coin; readonly isFree: boolean };

/**
 * Confirmed L-BTC coins, the smallest first; those that an earlier version of the same transaction took come before all
 * others, so that a version costs no further coin if it can do with theirs.
 *
 * @param options.earlier versions that the new one replaces.
 * @param options.except outpoints that are inputs in any case.
 */
export async function feeCoins(
  ctx: EngineContext,
  options: { readonly tip: BlockHeight; readonly earlier: readonly OwnTx[]; readonly except: ReadonlySet<string> },
): Promise<readonly FeeCoin[]> {
  const reserved = reservedCoins(ctx.store);
  const taken = new Map<string, Coin>();
  for (const own of options.earlier) {
    for (const input of parseTransaction(own.raw).ins) {
      const point = outpoint(displayHex(input.hash), input.index);
      const key = outpointKey(point);
      if (options.except.has(key) || !reserved.has(key)) continue;
      const coin = await ctx.wallet.coinAt(point);
      if (coin !== undefined) taken.set(key, coin);
    }
  }
  const isUseful = (coin: Coin): boolean =>
    coin.assetId === ctx.policyAsset && confirmations(coin.height, options.tip) > 0;
  const sorted = (coins: readonly Coin[]): Coin[] =>
    coins.filter(isUseful).sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0));
  const proven: Coin[] = [];
  for (const coin of sorted(spendableCoins(ctx, options.tip))) if (await isProven(ctx, coin)) proven.push(coin);
  return [
    ...sorted([...taken.values()]).map((coin) => ({ coin, isFree: false })),
    ...proven.map((coin) => ({ coin, isFree: true })),
  ];
}

/** One made-up coin must not keep the others from paying. */
async function isProven(ctx: EngineContext, coin: Coin): Promise<boolean> {
  try {
    await requireProven(ctx, coin);
    return true;
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    ctx.log.warn({ outpoint: outpointKey(coin.outpoint), cause: errorChain(error) }, 'a coin is in no block');
    return false;
  }
}
