/** The last steps of a purchase: evidence is on disk before a final step is, for nobody writes anything after it. */
import { preimage } from '../core/units.js';
import { failpoint } from '../failpoint.js';
import { finishClaim, prepareClaim } from './claimStep.js';
import type { Drive } from './drive.js';
import { writeEvidence } from './evidence.js';
import type { Progress, PurchaseRecord } from './record.js';

/** Signs the claim. */
export const claim = async (
  drive: Drive,
  record: PurchaseRecord,
  paid: Extract<Progress, { step: 'paid' }>,
): Promise<Progress | undefined> => withEvidence(drive, record, paid.preimage, await prepareClaim(drive, record, paid));

/** Follows the claim until it is final. */
export const finish = async (
  drive: Drive,
  record: PurchaseRecord,
  claiming: Extract<Progress, { step: 'claiming' }>,
): Promise<Progress | undefined> =>
  withEvidence(drive, record, claiming.preimage, await finishClaim(drive, record, claiming));

/** Whoever paid and lost the asset needs evidence the most; it names no claim then. */
function withEvidence(
  { buyer }: Drive,
  record: PurchaseRecord,
  secret: string,
  progress: Progress | undefined,
): Progress | undefined {
  if (progress?.step !== 'claimed' && progress?.step !== 'lost') return progress;
  const claimTxid = progress.step === 'claimed' ? progress.claimTxid : undefined;
  failpoint('before evidence');
  writeEvidence(buyer.dir, record, { preimage: preimage(Buffer.from(secret, 'hex')), claimTxid });
  failpoint('after evidence');
  return progress;
}
