/** What the wallet may spend now, and what of it is still free to be sold. */
import { blockHeight, outpointKey, type AssetId, type BlockHeight } from '../core/units.js';
import { confirmations } from '../liquid/chain.js';
import type { Coin } from '../liquid/wallet.js';
import { countInflight } from '../store/quotas.js';
import { tiedUp } from '../store/swaps.js';
import { isOwnTx, reservedCoins } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { ownChangeRule } from './ownChange.js';

/** A deposit could be replaced by its sender before it is this deep. */
const DEPOSIT_CONFS = 2;

/** Coins no transaction of ours spends: deposits that are deep enough, and own change as {@link ownChangeRule} allows. */
export function spendableCoins(ctx: EngineContext, tip: BlockHeight): Coin[] {
  const reserved = reservedCoins(ctx.store);
  const isSafe = ownChangeRule(ctx.store);
  return ctx.wallet.coins().filter((coin) => {
    if (reserved.has(outpointKey(coin.outpoint))) return false;
    const confs = confirmations(coin.height, tip);
    return confs >= DEPOSIT_CONFS || isSafe(coin.outpoint.txid, confs > 0);
  });
}

/**
 * A deposit is worth something only in a block: a server alone could make the whole transaction up. Our own are known by
 * their bytes.
 *
 * @throws SwapError `chain_unavailable` if there is no proof.
 */
export async function requireProven(ctx: EngineContext, { outpoint, height }: Coin): Promise<void> {
  if (!isOwnTx(ctx.store, outpoint.txid)) await ctx.chain.proveInclusion(outpoint.txid, blockHeight(height));
}

/** Inventory of one asset, smallest units. */
export type AssetInventory = {
  /** Spendable, promised to nobody, and not kept. */
  readonly available: bigint;
  readonly reserved: bigint;
  readonly locked: bigint;
  /** Deposits that are not deep enough, and own change at the end of too long a chain. */
  readonly pending: bigint;
  /** L-BTC kept for the fees of refunds. */
  readonly kept: bigint;
};

const NOTHING: AssetInventory = { available: 0n, reserved: 0n, locked: 0n, pending: 0n, kept: 0n };

/** Inventory per asset the wallet holds or swaps tie up. */
export function inventory(ctx: EngineContext, tip: BlockHeight): Map<AssetId, AssetInventory> {
  const reservedKeys = reservedCoins(ctx.store);
  const spendable = new Set(spendableCoins(ctx, tip).map((coin) => outpointKey(coin.outpoint)));
  const result = new Map<AssetId, AssetInventory>();
  for (const coin of ctx.wallet.coins()) {
    const key = outpointKey(coin.outpoint);
    if (reservedKeys.has(key)) continue;
    const old = result.get(coin.assetId) ?? NOTHING;
    result.set(
      coin.assetId,
      spendable.has(key)
        ? { ...old, available: old.available + coin.value }
        : { ...old, pending: old.pending + coin.value },
    );
  }
  for (const [asset, tied] of tiedUp(ctx.store, ctx.policyAsset)) {
    const old = result.get(asset) ?? NOTHING;
    const available = old.available > tied.reserved ? old.available - tied.reserved : 0n;
    result.set(asset, { ...old, available, reserved: tied.reserved, locked: tied.locked });
  }
  const lbtc = result.get(ctx.policyAsset);
  if (lbtc !== undefined) result.set(ctx.policyAsset, keepFees(ctx, lbtc));
  return result;
}

/** Every swap that may need a refund, and the next one, keeps L-BTC for its fee in the wallet. */
function keepFees(ctx: EngineContext, lbtc: AssetInventory): AssetInventory {
  const wanted = ctx.feeReserveSatPerSwap * BigInt(countInflight(ctx.store) + 1);
  const kept = wanted < lbtc.available ? wanted : lbtc.available;
  return { ...lbtc, available: lbtc.available - kept, kept };
}
