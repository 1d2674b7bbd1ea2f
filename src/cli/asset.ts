/** Assets by the name a user types. Tickers are words of the seller, so the id is always shown beside them. */
import { BuyerError } from '../buyer/buyerError.js';
import type { AssetId } from '../core/units.js';

/** An asset with a name and its decimals. */
export type KnownAsset = { readonly assetId: AssetId; readonly ticker: string; readonly precision: number };

/**
 * Finds an asset by its id (64 hex digits) or its ticker, in any letter case.
 *
 * @param verified assets whose id is known from elsewhere; a ticker of theirs means that id and no other.
 * @throws BuyerError `unknown_asset` if there is none, or more than one of that ticker.
 */
export function findAsset<A extends KnownAsset>(
  name: string,
  assets: readonly A[],
  verified: readonly KnownAsset[] = [],
): A {
  const wanted = name.toLowerCase();
  const byTicker = (asset: KnownAsset): boolean => asset.ticker.toLowerCase() === wanted;
  const id = verified.find(byTicker)?.assetId;
  const matches = assets.filter((asset) => asset.assetId === (id ?? wanted) || (id === undefined && byTicker(asset)));
  const [only, another] = matches;
  if (only !== undefined && another === undefined) return only;
  const known = assets.map((asset) => `${asset.ticker} ${asset.assetId}`).join(', ');
  const found =
    only === undefined ? `"${name.slice(0, 70)}"` : `${matches.length} assets called "${name}"; give the id`;
  throw new BuyerError('unknown_asset', `expected one of: ${known === '' ? '(no offers)' : known}; found ${found}`);
}
