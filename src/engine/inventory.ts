/** What the wallet may spend now, and what of it is still free to be sold. */
import { outpointKey, type AssetId, type BlockHeight } from '../core/units.js';
import { confirmations } from '../liquid/chain.js';
import type { Coin } from '../liquid/wallet.js';
import { tiedUp } from '../store/swaps.js';
import { isOwnTx, reservedCoins } from '../store/txs.js';
import type { EngineContext } from './context.js';

/** A deposit could be replaced by its sender before it is this deep. */
const DEPOSIT_CONFS = 2;

/** Coins no transaction of ours spends: deposits that are deep enough, and own change at any depth. */
export function spendableCoins(ctx: EngineContext, tip: BlockHeight): Coin[] {
  const reserved = reservedCoins(ctx.store);
  return ctx.wallet
    .coins()
    .filter(
      (coin) =>
        !reserved.has(outpointKey(coin.outpoint)) &&
        (confirmations(coin.height, tip) >= DEPOSIT_CONFS || isOwnTx(ctx.store, coin.outpoint.txid)),
    );
}

/** Inventory of one asset, smallest units. */
export type AssetInventory = {
  /** Spendable and promised to nobody. */
  readonly available: bigint;
  readonly reserved: bigint;
  readonly locked: bigint;
  /** Deposits that are not deep enough. */
  readonly pending: bigint;
};

/** Inventory per asset the wallet holds or swaps tie up. */
export function inventory(ctx: EngineContext, tip: BlockHeight): Map<AssetId, AssetInventory> {
  const reservedKeys = reservedCoins(ctx.store);
  const spendable = new Set(spendableCoins(ctx, tip).map((coin) => outpointKey(coin.outpoint)));
  const result = new Map<AssetId, AssetInventory>();
  const empty: AssetInventory = { available: 0n, reserved: 0n, locked: 0n, pending: 0n };
  for (const coin of ctx.wallet.coins()) {
    const key = outpointKey(coin.outpoint);
    if (reservedKeys.has(key)) continue;
    const old = result.get(coin.assetId) ?? empty;
    result.set(
      coin.assetId,
      spendable.has(key)
        ? { ...old, available: old.available + coin.value }
        : { ...old, pending: old.pending + coin.value },
    );
  }
  for (const [asset, tied] of tiedUp(ctx.store, ctx.policyAsset)) {
    const old = result.get(asset) ?? empty;
    const available = old.available > tied.reserved ? old.available - tied.reserved : 0n;
    result.set(asset, { ...old, available, reserved: tied.reserved, locked: tied.locked });
  }
  return result;
}
