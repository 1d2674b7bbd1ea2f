/**
 * Coin selection: largest first, asset by asset. Pure.
 *
 * The seller's outputs are public anyway (the HTLC is explicit), so few inputs and a short transaction count most.
 */
import { SwapError } from '../errors.js';
import type { AssetAmount, AssetId, Outpoint } from './units.js';

/** An unspent output of the wallet. `height` stays signed: 0 and -1 are unconfirmed. */
export type SelectableCoin = {
  readonly outpoint: Outpoint;
  readonly assetId: AssetId;
  readonly value: AssetAmount;
  /** True if its asset or amount is hidden on the chain. */
  readonly isConfidential: boolean;
  readonly height: number;
};

/** An amount needed, in the asset's smallest units. */
export type Want = { readonly assetId: AssetId; readonly amount: bigint };

/** Largest first; confirmed before unconfirmed, then by outpoint, so that the choice depends on nothing else. */
function byPreference(a: SelectableCoin, b: SelectableCoin): number {
  if (a.value !== b.value) return a.value > b.value ? -1 : 1;
  if (a.height > 0 !== b.height > 0) return a.height > 0 ? -1 : 1;
  if (a.outpoint.txid !== b.outpoint.txid) return a.outpoint.txid < b.outpoint.txid ? -1 : 1;
  return a.outpoint.vout - b.outpoint.vout;
}

/**
 * Coins that cover every want; wants of one asset add up. Coins of other assets are left alone.
 *
 * @param coins the free ones: the caller has already left out what is reserved or not yet spendable.
 * @returns the coins in the order of the wants, none twice.
 * @throws SwapError `insufficient_inventory` with the asset, the amount needed and the amount found.
 */
export function selectCoins<C extends SelectableCoin>(coins: readonly C[], wants: readonly Want[]): C[] {
  const needed = new Map<AssetId, bigint>();
  for (const { assetId, amount } of wants) needed.set(assetId, (needed.get(assetId) ?? 0n) + amount);
  return [...needed].flatMap(([assetId, amount]) => {
    const candidates = coins.filter((coin) => coin.assetId === assetId && coin.value > 0n).sort(byPreference);
    const chosen: C[] = [];
    let total = 0n;
    for (const coin of candidates) {
      if (total >= amount) break;
      chosen.push(coin);
      total += coin.value;
    }
    if (total >= amount) return chosen;
    throw new SwapError(
      'insufficient_inventory',
      `asset ${assetId}: ${amount.toString()} needed, ${total.toString()} free in ${candidates.length} coins`,
    );
  });
}
