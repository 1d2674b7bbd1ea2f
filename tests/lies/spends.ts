/** Spends of a forged HTLC from before it is handed over. */
import type { Zkp } from '../../src/core/blind.js';
import { buildClaim, buildRefund } from '../../src/core/htlcSpend.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { rawOf, SEQUENCE_REPLACEABLE } from '../../src/core/tx.js';
import { sat, satPerKvb } from '../../src/core/units.js';
import type { Forged } from '../support/forge.js';
import { p2wpkhScriptPubKey } from '../../src/core/htlc.js';
import { keyOf, preimageOf, randomBytes } from '../unit/core/zkp.js';

/** S of an HTLC that is claimed before it is handed over. */
export const CLAIMED_PREIMAGE = preimageOf('claimed before');

const common = (zkp: Zkp, { outpoints, witnessScript }: Forged) => ({
  zkp,
  outpoints,
  witnessScript,
  payoutScript: p2wpkhScriptPubKey(keyOf('forge wallet').pubkey),
  policyAsset: LIQUID_NETWORKS.regtest.policyAsset,
  feeRate: satPerKvb(1_000n),
  maxFeeSat: sat(5_000n),
  randomBytes,
});

/** The seller's refund; the chain takes it if the refund height is reached. */
export const refundOf = (zkp: Zkp, forged: Forged): Buffer =>
  rawOf(buildRefund({ ...common(zkp, forged), privateKey: forged.refundKey.privateKey }).tx);

/** The buyer's claim with a preimage that only the forge knows. */
export function claimOf(zkp: Zkp, forged: Forged, privateKey: Uint8Array): Buffer {
  const options = { preimage: CLAIMED_PREIMAGE, sequence: SEQUENCE_REPLACEABLE, privateKey };
  return rawOf(buildClaim({ ...common(zkp, forged), ...options }).tx);
}
