/** From what the servers show to a signed version of the claim: the first one and every later one. */
import type { Preimage, Txid } from '../core/units.js';
import { loadZkp } from '../liquid/zkp.js';
import type { ChainSide } from './buyer.js';
import type { ClaimSource } from './claim.js';
import { conditionsOf, freeOutpoints, isContested, toReplace, type Bump, type ClaimVersion } from './claimBump.js';
import { agreedEnd, lookAtClaim, type ClaimView } from './claimLook.js';
import { signBestClaim, type FeeWallet } from './feeCoin.js';
import { askAll } from './observe.js';
import { mayDecide } from './operators.js';

/** What a version is signed for. */
export type ClaimNeed = Omit<Bump, 'kind' | 'reason'>;

/** A version and what it pays. */
export type PricedVersion = ClaimVersion & { readonly feeSat: bigint };

/** A claim of the HTLC that our key signed, although this program does not know it: by the kit, or before a lost record. */
function claimSeen(views: readonly ClaimView[]): ClaimVersion | undefined {
  const claims = views.flatMap(({ spends }) => spends);
  const found = claims.find(({ kind, spends }) => kind === 'claimed' && spends.includes(0));
  return found && { txid: found.txid, raw: found.raw, height: conditionsOf(views).tipHeight };
}

/**
 * What the first version is signed for, by all servers that answer.
 *
 * @returns a version that is there already, to be followed instead of a new one; or the refund that is final by the word of
 *   enough servers.
 * @throws SwapError `chain_unavailable` if none answers.
 */
export async function beginClaim(
  side: ChainSide,
  source: ClaimSource,
): Promise<{ readonly refunded: Txid } | { readonly seen: ClaimVersion } | { readonly need: ClaimNeed }> {
  const { answers } = await askAll(side.chains, async (named) => ({
    name: named.name,
    view: await lookAtClaim(named, source, new Map()),
  }));
  const views = answers.map(({ view }) => view);
  const names = answers.map(({ name }) => name);
  const end = mayDecide(side, names) ? agreedEnd(views) : undefined;
  if (end?.kind === 'refunded') return { refunded: end.txid };
  const seen = claimSeen(views);
  if (seen !== undefined) return { seen };
  const situation = { versions: [], views };
  const outpoints = freeOutpoints(source, situation);
  const replaces = toReplace(situation);
  return { need: { ...conditionsOf(views), outpoints, replaces, isContested: isContested(source, situation) } };
}

/** Signs a version. @throws SwapError `feerate_too_high` if nothing pays what it needs. */
export async function signVersion(
  source: ClaimSource,
  preimage: Preimage,
  need: ClaimNeed,
  wallet: FeeWallet | undefined,
): Promise<PricedVersion> {
  const { txid, raw, feeSat } = await signBestClaim(await loadZkp(), source, { preimage, ...need }, wallet);
  return { txid, raw, feeSat, height: need.tipHeight };
}
