/** An HTLC with two outputs, and the two transactions that may spend them: the buyer's claim and the seller's refund. */
import { signClaim, type ClaimSource } from '../../../src/buyer/claim.js';
import type { Zkp } from '../../../src/core/blind.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { buildRefund } from '../../../src/core/htlcSpend.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../../../src/core/network.js';
import { parseTransaction, rawOf, txidOf } from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  outpoint,
  sat,
  satPerKvb,
  type Preimage,
  type Txid,
} from '../../../src/core/units.js';
import { keyOf, randomBytes } from '../core/zkp.js';

const FEE_RATE = satPerKvb(100n);

/** 250 of an asset and 1,000 sat of L-BTC. */
export function claimSource(network: LiquidNetworkName, preimage: Preimage, refundHeight: number): ClaimSource {
  const terms = {
    paymentHash: hashPreimage(preimage),
    claimPkh: keyOf('buyer').pkh,
    refundPkh: keyOf('refund').pkh,
    refundHeight: blockHeight(refundHeight),
  };
  const { policyAsset } = LIQUID_NETWORKS[network];
  return {
    network,
    paymentHash: terms.paymentHash,
    witnessScript: htlcWitnessScript(terms),
    refundHeight: terms.refundHeight,
    outpoints: [
      { outpoint: outpoint('fa'.repeat(32), 0), assetId: assetId('11'.repeat(32)), value: assetAmount(250n) },
      { outpoint: outpoint('fa'.repeat(32), 1), assetId: policyAsset, value: assetAmount(1_000n) },
    ],
    fundingTx: Buffer.of(1),
    privateKey: keyOf('buyer').privateKey,
    payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
  };
}

/** Both spends, signed. */
export function spendsOf(
  zkp: Zkp,
  source: ClaimSource,
  { preimage, tipHeight }: { readonly preimage: Preimage; readonly tipHeight: number },
): { readonly claim: Buffer; readonly refund: Buffer } {
  const { policyAsset } = LIQUID_NETWORKS[source.network];
  const now = { preimage, tipHeight: blockHeight(tipHeight), feeRate: FEE_RATE };
  const { tx } = buildRefund({
    ...{ zkp, randomBytes, policyAsset, feeRate: FEE_RATE, maxFeeSat: sat(1_000n) },
    ...{ outpoints: source.outpoints, witnessScript: source.witnessScript },
    ...{ privateKey: keyOf('refund').privateKey, payoutScript: p2wpkhScriptPubKey(keyOf('seller').pubkey) },
  });
  return { claim: signClaim(zkp, source, now).raw, refund: rawOf(tx) };
}

export const idOf = (raw: Buffer): Txid => txidOf(parseTransaction(raw));

/** For what a test's server is never asked. */
export const notAsked = (): never => {
  throw new Error('not asked in these tests');
};
