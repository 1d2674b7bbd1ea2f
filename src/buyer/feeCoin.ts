/** What pays a claim's fee: the HTLC's own L-BTC, else coins of the buyer's wallet, else as much as there is. */
import type { Zkp } from '../core/blind.js';
import { feeFor } from '../core/tx.js';
import { SwapError } from '../errors.js';
import type { Coin } from '../liquid/wallet.js';
import {
  isLbtcSale,
  lbtcOf,
  signClaim,
  wantedRate,
  type ClaimConditions,
  type ClaimSource,
  type FeeHelp,
  type SignedClaim,
} from './claim.js';

/** No claim of an asset with a coin of the wallet is smaller, vB; blinding takes long, so what cannot suffice is not tried. */
const LEAST_VSIZE = 390;
/** A transaction with a confidential input has a confidential output, vB. */
const LEAST_CONFIDENTIAL_VSIZE = 1_500;

/** The wallet as far as a claim needs it; asked only when the HTLC's own L-BTC does not suffice. */
export type FeeWallet = {
  readonly coins: () => Promise<readonly Coin[]>;
  readonly change: () => Promise<FeeHelp['change']>;
  readonly sign: FeeHelp['sign'];
};

/** The result, or undefined if there is not L-BTC enough. */
function ifAffordable(sign: () => SignedClaim): SignedClaim | undefined {
  try {
    return sign();
  } catch (error) {
    if (error instanceof SwapError && error.code === 'feerate_too_high') return undefined;
    throw error;
  }
}

/** Sets of coins worth a try: the first that does alone, else more and more of them. */
function* sets(coins: readonly Coin[]): Generator<readonly Coin[]> {
  for (const coin of coins) yield [coin];
  const largestFirst = [...coins].sort((a, b) => (a.value > b.value ? -1 : a.value < b.value ? 1 : 0));
  for (let count = 2; count <= coins.length; count += 1) yield largestFirst.slice(0, count);
}

/**
 * Signs a claim that pays the rate and replaces what it has to: out of the HTLC alone if that suffices, else with the fewest
 * coins of the wallet that do. If nothing suffices, the rate is lowered to what can be paid.
 *
 * @throws SwapError `feerate_too_high` if it cannot replace what it has to, or has no L-BTC at all.
 */
export async function signBestClaim(
  zkp: Zkp,
  source: ClaimSource,
  now: ClaimConditions,
  wallet: FeeWallet | undefined,
): Promise<SignedClaim> {
  const own = lbtcOf(source.network, now.outpoints ?? source.outpoints);
  const alone = (isBestEffort: boolean): SignedClaim | undefined =>
    own === 0n ? undefined : ifAffordable(() => signClaim(zkp, source, now, { isBestEffort }));
  const exact = alone(false);
  if (exact !== undefined) return exact;
  const coins = wallet === undefined || isLbtcSale(source) ? [] : await wallet.coins();
  if (wallet === undefined || coins.length === 0) return alone(true) ?? refuse(own, now);
  const help = { change: await wallet.change(), sign: wallet.sign };
  const rate = wantedRate(source, now.tipHeight, now.feeRate);
  for (const set of sets(coins)) {
    const least = set.some((coin) => coin.isConfidential) ? LEAST_CONFIDENTIAL_VSIZE : LEAST_VSIZE;
    if (own + lbtcOf(source.network, set) < feeFor(least, rate)) continue;
    const signed = ifAffordable(() =>
      signClaim(zkp, source, now, { help: { ...help, coins: set }, isBestEffort: false }),
    );
    if (signed !== undefined) return signed;
  }
  const all = (): SignedClaim => signClaim(zkp, source, now, { help: { ...help, coins }, isBestEffort: true });
  return alone(true) ?? ifAffordable(all) ?? refuse(own, now);
}

function refuse(own: bigint, { feeRate }: ClaimConditions): never {
  throw new SwapError(
    'feerate_too_high',
    `claim: expected L-BTC for a fee at ${feeRate.toString()} sat/kvB, found ${own.toString()} sat in the HTLC and no coins of the wallet that suffice`,
  );
}
