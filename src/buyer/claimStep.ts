/** The claim of a purchase: kit, signed bytes on disk, broadcast until final. */
import { join } from 'node:path';

import { claimKey } from '../core/keys.js';
import { blockHeight, hex, preimage, type Preimage } from '../core/units.js';
import type { Buyer, ChainSide } from './buyer.js';
import { highestFeeRate } from './checkChain.js';
import { followClaim, signClaim, type ClaimSource } from './claim.js';
import { writeClaimKit } from './claimKit.js';
import { purchaseFolder } from './dataDir.js';
import type { Drive } from './drive.js';
import { askAll } from './observe.js';
import type { Progress, PurchaseRecord, StoredHtlc } from './record.js';
import { loadZkp } from '../liquid/zkp.js';

/** What the claim of a purchase is signed from. */
export function claimSource(buyer: Buyer, record: PurchaseRecord, htlc: StoredHtlc): ClaimSource {
  return {
    network: record.deal.network,
    paymentHash: htlc.paymentHash,
    witnessScript: Buffer.from(htlc.witnessScript, 'hex'),
    refundHeight: htlc.refundHeight,
    outpoints: htlc.outpoints,
    fundingTx: Buffer.from(htlc.fundingTx, 'hex'),
    privateKey: claimKey(buyer.seed, record.deal.network, record.number).privateKey,
    payoutScript: Buffer.from(record.payout.scriptPubKey, 'hex'),
    blindingPubkey: record.payout.blindingPubkey ?? undefined,
  };
}

/** Where the claim kit of a purchase lies. */
export const claimKitFile = (dir: string, number: number): string =>
  join(purchaseFolder(dir, number), 'claim-kit.json');

/** Writes the claim kit; again with the preimage once it is known. */
export function writeKit(buyer: Buyer, record: PurchaseRecord, htlc: StoredHtlc, secret: Preimage | undefined): void {
  writeClaimKit(claimKitFile(buyer.dir, record.number), {
    genesis: record.deal.genesis,
    swapId: htlc.swapId,
    source: claimSource(buyer, record, htlc),
    preimage: secret,
    bolt11: htlc.bolt11,
    electrum: buyer.chains.map(({ name }) => name),
  });
}

/** Signs the claim; it is broadcast only after it is on disk. */
export async function prepareClaim(
  { buyer }: Drive,
  record: PurchaseRecord,
  paid: Extract<Progress, { step: 'paid' }>,
): Promise<Progress> {
  const secret = preimage(Buffer.from(paid.preimage, 'hex'));
  const now = await claimConditions(buyer);
  const claim = signClaim(await loadZkp(), claimSource(buyer, record, paid.htlc), { preimage: secret, ...now });
  return { ...paid, step: 'claiming', claims: [{ txid: claim.txid, raw: hex(claim.raw) }] };
}

/** The highest tip and fee rate of all servers that answer. @throws SwapError `chain_unavailable` if none does. */
export async function claimConditions({ chains }: Pick<ChainSide, 'chains'>): Promise<{
  tipHeight: ReturnType<typeof blockHeight>;
  feeRate: ReturnType<typeof highestFeeRate>;
}> {
  const { answers } = await askAll(chains, async ({ chain }) => {
    return { height: (await chain.tip()).height, feeRate: await chain.feeRate() };
  });
  return { tipHeight: blockHeight(Math.max(...answers.map(({ height }) => height))), feeRate: highestFeeRate(answers) };
}

/** The claim's bytes are on disk; they may be broadcast any number of times. */
export async function finishClaim(
  { buyer, options }: Drive,
  record: PurchaseRecord,
  claiming: Extract<Progress, { step: 'claiming' }>,
): Promise<Progress | undefined> {
  const newest = claiming.claims.at(-1);
  if (newest === undefined) throw new Error('a claiming purchase has no claim');
  const end = await followClaim(buyer.chains, claimSource(buyer, record, claiming.htlc), {
    raw: Buffer.from(newest.raw, 'hex'),
    signal: options.signal,
    onNews: (news) => {
      options.onEvent({ kind: 'claim', news });
    },
    onTrouble: (error) => {
      options.onEvent({ kind: 'waiting', problem: error.message });
    },
  });
  switch (end.kind) {
    case 'claimed':
      return { step: 'claimed', htlc: claiming.htlc, claimTxid: end.txid };
    case 'refunded':
      return { step: 'lost', htlc: claiming.htlc, refundTxid: end.txid };
    case 'pending':
      return undefined;
    default:
      throw new Error(`unknown end ${JSON.stringify(end satisfies never)}`);
  }
}
