/** The record of one purchase: what is on disk at every step. Amounts are decimal strings there, bytes are hex. */
import { z } from 'zod';

import type { LiquidNetworkName } from '../core/network.js';
import type { HtlcOutpoint } from '../core/tx.js';
import type { ProfileName } from '../core/timelock.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  msat,
  outpoint,
  paymentHash,
  pubkey,
  quoteId,
  sat,
  swapId,
  txid,
  unixSecs,
} from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Deal } from './deal.js';

const decimal = z.string().regex(/^(0|[1-9][0-9]{0,18})$/, 'a decimal integer');
const hexText = z.string().regex(/^([0-9a-f]{2})*$/, 'lower-case hex');
const count = z.int().min(0);

const profileSchema = z.enum(['routed', 'near', 'direct', 'regtest']) satisfies z.ZodType<ProfileName>;
const networkSchema = z.enum(['liquidv1', 'liquidtestnet', 'regtest']) satisfies z.ZodType<LiquidNetworkName>;

const dealSchema = z.strictObject({
  network: networkSchema,
  genesis: z.string().transform(blockHash),
  sellerNodeId: z.string().transform(pubkey),
  quoteId: z.string().transform(quoteId),
  assetId: z.string().transform(assetId),
  assetAmount: decimal.transform((text) => assetAmount(BigInt(text))),
  priceMsat: decimal.transform((text) => msat(BigInt(text))),
  feeSubsidySat: decimal.transform((text) => sat(BigInt(text))),
  profile: profileSchema,
  refundDeltaBlocks: count,
  minFundingConfs: count,
  invoiceExpirySecs: count,
  claimPubkey: z.string().transform(pubkey),
}) satisfies z.ZodType<Deal>;

const outpointSchema = z
  .strictObject({
    outpoint: z.strictObject({ txid: z.string(), vout: count }).transform(({ txid: id, vout }) => outpoint(id, vout)),
    assetId: z.string().transform(assetId),
    value: decimal.transform((text) => assetAmount(BigInt(text))),
  })
  .readonly() satisfies z.ZodType<HtlcOutpoint>;

/** A verified HTLC: everything needed to claim it but the preimage. */
const htlcSchema = z.strictObject({
  swapId: z.string().transform(swapId),
  bolt11: z.string(),
  paymentHash: z.string().transform(paymentHash),
  witnessScript: hexText,
  refundHeight: z.int().transform(blockHeight),
  fundingTx: hexText,
  outpoints: z.array(outpointSchema),
});

/** The last that the seller said of the swap: numbers of the protocol, bytes in hex, empty while it had none. */
const seenSchema = z.strictObject({
  status: count,
  paymentStatus: count,
  fundingTxid: hexText,
  witnessScript: hexText,
});

/** Who pays. Only he can tell whether a payment is out, so nobody else may take over. */
const payerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('node'), nodeId: z.string().transform(pubkey) }),
  /** A person with another wallet. */
  z.strictObject({ kind: z.literal('external') }),
]);

const claimSchema = z.strictObject({
  txid: z.string().transform(txid),
  raw: hexText,
  /** Liquid's tip when it was signed; records of earlier programs do not tell. */
  height: z.int().transform(blockHeight).optional(),
});
const preimageHex = z.string().regex(/^[0-9a-f]{64}$/);

const progressSchema = z.discriminatedUnion('step', [
  /** The quote is accepted; CreateSwap may or may not have been called. */
  z.strictObject({ step: z.literal('quoted') }),
  /** The seller has stored the swap. */
  z.strictObject({ step: z.literal('created'), swapId: z.string().transform(swapId), seen: seenSchema.optional() }),
  /** Every check passed; nothing was sent. */
  z.strictObject({ step: z.literal('verified'), htlc: htlcSchema }),
  /** The payment may have been sent; records of the first program do not tell by which node. */
  z.strictObject({ step: z.literal('paying'), htlc: htlcSchema, payer: payerSchema.optional() }),
  /** The preimage is known. */
  z.strictObject({ step: z.literal('paid'), htlc: htlcSchema, preimage: preimageHex }),
  /** A claim is signed and may have been broadcast; newest last. */
  z.strictObject({
    step: z.literal('claiming'),
    htlc: htlcSchema,
    preimage: preimageHex,
    claims: z.array(claimSchema).min(1),
  }),
  /** Final: the claim has its confirmations. */
  z.strictObject({ step: z.literal('claimed'), htlc: htlcSchema, claimTxid: z.string().transform(txid) }),
  /** Final: nothing was paid. */
  z.strictObject({ step: z.literal('unpaid'), reason: z.string() }),
  /** Final: paid, and the seller's refund won. Cannot happen while the checks hold; the operator must make good. */
  z.strictObject({ step: z.literal('lost'), htlc: htlcSchema, refundTxid: z.string().transform(txid) }),
]);

const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Number of the purchase: its folder and the index of its claim key. */
  number: count,
  requestId: z.uuid(),
  createdAt: z.int().transform(unixSecs),
  sellerAddress: z.string(),
  ticker: z.string(),
  precision: z.int().min(0).max(18),
  deal: dealSchema,
  maxFeeMsat: decimal.transform((text) => msat(BigInt(text))),
  payout: z.strictObject({
    address: z.string(),
    scriptPubKey: hexText,
    blindingPubkey: z.string().transform(pubkey).nullable(),
    /** Where L-BTC that is left goes if the address is not of the own wallet; records of earlier programs have none. */
    changeScript: hexText.optional(),
  }),
  progress: progressSchema,
});

/** One purchase. */
export type PurchaseRecord = z.output<typeof recordSchema>;
/** How far it is; a field exists only from the step on that knows it. */
export type Progress = z.output<typeof progressSchema>;
/** Name of a step. */
export type Step = Progress['step'];
/** A version of the claim as it is stored. */
export type StoredClaim = z.output<typeof claimSchema>;
/** A verified HTLC as it is stored. */
export type StoredHtlc = z.output<typeof htlcSchema>;
/** The seller's last word. */
export type SellerWord = z.output<typeof seenSchema>;
/** Who pays. */
export type Payer = z.output<typeof payerSchema>;

/** True when nothing more happens to the purchase. */
export const isFinal = (step: Step): boolean => step === 'claimed' || step === 'unpaid' || step === 'lost';

const bigintAsText = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);

/** The text of a record file. */
export const encodeRecord = (record: PurchaseRecord): string => `${JSON.stringify(record, bigintAsText, 2)}\n`;

/** @throws SwapError `bad_config` naming the file and what is wrong in it. */
export function decodeRecord(path: string, text: string): PurchaseRecord {
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    const problem = cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll('\n', ' ') : errorChain(cause);
    throw new SwapError('bad_config', `expected the record of a purchase in ${path}, found: ${problem}`, { cause });
  }
}
