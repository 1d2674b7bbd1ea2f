/** Claims from a claim kit alone: no data directory, no seller. */
import type { ChainSide } from './buyer.js';
import { BuyerError } from './buyerError.js';
import { findSpend, followClaim, signClaim, type ClaimEnd } from './claim.js';
import { readClaimKit } from './claimKit.js';
import { claimConditions } from './claimStep.js';
import type { DriveOptions } from './drive.js';
import { loadZkp } from '../liquid/zkp.js';

/**
 * Claims what a kit describes and follows the claim until it is final.
 *
 * @throws BuyerError `preimage_unknown` if neither the kit nor the chain has it; SwapError `invalid_argument` for a bad kit.
 */
export async function claimFromKit(
  side: ChainSide,
  path: string,
  options: Pick<DriveOptions, 'signal' | 'onEvent'>,
): Promise<ClaimEnd> {
  const { source, preimage } = readClaimKit(path);
  if (source.network !== side.network) {
    throw new BuyerError('unknown_network', `expected servers of ${source.network}, found ${side.network}`);
  }
  const [first] = side.chains;
  const spend = preimage !== undefined || first === undefined ? undefined : await findSpend(first, source);
  const secret = preimage ?? (spend?.kind === 'claimed' ? spend.preimage : undefined);
  if (secret === undefined) {
    throw new BuyerError(
      'preimage_unknown',
      `expected the preimage of ${source.paymentHash} in the kit, found null; copy it from the Lightning node that paid`,
    );
  }
  const claim = signClaim(await loadZkp(), source, { preimage: secret, ...(await claimConditions(side)) });
  return await followClaim(side.chains, source, {
    raw: claim.raw,
    signal: options.signal,
    onNews: (news) => {
      options.onEvent({ kind: 'claim', news });
    },
    onTrouble: (error) => {
      options.onEvent({ kind: 'waiting', problem: error.message });
    },
  });
}
