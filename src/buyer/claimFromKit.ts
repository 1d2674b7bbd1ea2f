/** Claims from a claim kit alone: no data directory, no seller, no wallet. */
import { hashPreimage } from '../core/htlc.js';
import type { Preimage } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { ChainSide } from './buyer.js';
import { BuyerError } from './buyerError.js';
import type { ClaimSource } from './claim.js';
import type { ClaimVersion } from './claimBump.js';
import { followClaim, type ClaimEnd } from './claimFollow.js';
import { readClaimKit } from './claimKit.js';
import { findSpend } from './claimLook.js';
import { beginClaim, signVersion, type ClaimNeed } from './claimSign.js';
import { claimTold } from './claimStep.js';
import type { DriveOptions } from './drive.js';
import { askAll } from './observe.js';

/** What claiming from a kit takes besides servers and the file. */
export type KitOptions = Pick<DriveOptions, 'signal' | 'onEvent'> & {
  /** Counts more than one in the kit: typed in by a person. */
  readonly preimage?: Preimage | undefined;
};

/**
 * Claims what a kit describes and follows the claim until it is final, with a higher fee whenever it needs one. The fee is
 * paid out of the HTLC alone.
 *
 * @throws BuyerError `preimage_unknown` if neither the caller, the kit nor the chain has it, `unknown_network` if the servers
 *   are on another one; SwapError `invalid_argument` for a bad kit or a preimage of another hash, `feerate_too_high` if the
 *   HTLC has no L-BTC for a fee, `chain_unavailable`.
 */
export async function claimFromKit(side: ChainSide, path: string, options: KitOptions): Promise<ClaimEnd> {
  const { source, preimage: written } = readClaimKit(path);
  if (source.network !== side.network) {
    throw new BuyerError('unknown_network', `expected servers of ${source.network}, found ${side.network}`);
  }
  const given = options.preimage;
  if (given !== undefined && hashPreimage(given) !== source.paymentHash) {
    throw new SwapError('invalid_argument', `preimage: expected that of ${source.paymentHash}, found another`);
  }
  const secret = given ?? written ?? (await shownPreimage(side, source));
  const begun = await beginClaim(side, source);
  if ('refunded' in begun) return { kind: 'refunded', txid: begun.refunded };
  const versions: ClaimVersion[] = ['seen' in begun ? begun.seen : await sign(source, secret, begun.need)];
  let stuckAt: ClaimVersion['height'];
  for (;;) {
    const end = await followClaim(side, source, { versions, stuckAt, ...claimTold(options) });
    if (end.kind !== 'bump') return end;
    try {
      const { feeSat, ...version } = await sign(source, secret, end);
      versions.push(version);
      options.onEvent({ kind: 'claim', news: { kind: 'bumped', reason: end.reason, txid: version.txid, feeSat } });
    } catch (error) {
      if (!(error instanceof SwapError && error.code === 'feerate_too_high')) throw error;
      options.onEvent({ kind: 'waiting', problem: error.message });
      stuckAt = end.tipHeight;
    }
  }
}

const sign = async (source: ClaimSource, secret: Preimage, need: ClaimNeed): ReturnType<typeof signVersion> =>
  await signVersion(source, secret, need, undefined);

/** S out of a claim that somebody broadcast already. */
async function shownPreimage({ chains }: ChainSide, source: ClaimSource): Promise<Preimage> {
  const { answers } = await askAll(chains, async (named) => await findSpend(named, source));
  const [shown] = answers.flatMap((spend) => (spend.kind === 'claimed' && spend.preimage ? [spend.preimage] : []));
  if (shown !== undefined) return shown;
  throw new BuyerError(
    'preimage_unknown',
    `expected the preimage of ${source.paymentHash} in the kit, found null; copy it from the Lightning wallet that paid`,
  );
}
