/**
 * Writes BOLT 11 invoices with the wall clock. LDK's own encoder would stamp them with the last block's time, and payers
 * would see them expire too early.
 */
import { encode, sign } from 'bolt11';

import type { PaymentHash, Pubkey } from '../core/units.js';
import type { Network } from './chain/headers.js';

/** A way to this node over a channel that is not announced. */
export type RouteHint = {
  readonly nodeId: Pubkey;
  readonly shortChannelId: bigint;
  readonly feeBaseMsat: number;
  readonly feePpm: number;
  readonly cltvDelta: number;
};

export type InvoiceFields = {
  readonly network: Network;
  readonly paymentHash: PaymentHash;
  /** 64 hex digits. */
  readonly paymentSecret: string;
  readonly amountMsat: bigint;
  /** Text, or the SHA256 of one as 64 hex digits. */
  readonly description: { readonly text: string } | { readonly hash: string };
  /** Unix seconds. */
  readonly createdAt: number;
  readonly expirySecs: number;
  readonly minFinalCltvDelta: number;
  readonly hints: readonly RouteHint[];
};

const PREFIX: Record<Network, { bech32: string; pubKeyHash: number; scriptHash: number }> = {
  bitcoin: { bech32: 'bc', pubKeyHash: 0x00, scriptHash: 0x05 },
  testnet: { bech32: 'tb', pubKeyHash: 0x6f, scriptHash: 0xc4 },
  regtest: { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4 },
};

/** Bits 8 and 14 required, 17 optional: what LDK demands of a payer. */
const FEATURES = {
  word_length: 4,
  var_onion_optin: { required: true, supported: false },
  payment_secret: { required: true, supported: false },
  basic_mpp: { required: false, supported: true },
};

/** The signed invoice text. */
export function encodeInvoice(fields: InvoiceFields, nodeSecret: Uint8Array): string {
  const { description } = fields;
  const unsigned = encode(
    {
      network: { ...PREFIX[fields.network], validWitnessVersions: [0, 1] },
      timestamp: fields.createdAt,
      millisatoshis: fields.amountMsat.toString(),
      tags: [
        { tagName: 'payment_hash', data: fields.paymentHash },
        { tagName: 'payment_secret', data: fields.paymentSecret },
        'hash' in description
          ? { tagName: 'purpose_commit_hash', data: description.hash }
          : { tagName: 'description', data: description.text },
        { tagName: 'expire_time', data: fields.expirySecs },
        { tagName: 'min_final_cltv_expiry', data: fields.minFinalCltvDelta },
        { tagName: 'feature_bits', data: FEATURES },
        ...fields.hints.map((hint) => ({ tagName: 'routing_info', data: [routingInfo(hint)] })),
      ],
    },
    false,
  );
  const { paymentRequest } = sign(unsigned, Buffer.from(nodeSecret));
  if (paymentRequest === undefined) throw new Error('bolt11: expected a signed invoice');
  return paymentRequest;
}

const routingInfo = (hint: RouteHint) => ({
  pubkey: hint.nodeId,
  short_channel_id: hint.shortChannelId.toString(16).padStart(16, '0'),
  fee_base_msat: hint.feeBaseMsat,
  fee_proportional_millionths: hint.feePpm,
  cltv_expiry_delta: hint.cltvDelta,
});
