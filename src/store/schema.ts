/** Tables of migrations/swapd as kysely sees them. Every INTEGER is a bigint (safe-integer mode). */
import type { Generated } from 'kysely';

export type SwapRow = {
  swap_id: string;
  principal: string;
  request_id: string;
  quote_id: string;
  payment_hash: string;
  seller_node_id: string;
  key_index: bigint;
  state: string;
  payment: string;
  version: bigint;
  asset_id: string;
  asset_amount: bigint;
  fee_subsidy_sat: bigint;
  price_msat: bigint;
  claim_pubkey: string;
  profile: string;
  min_funding_confs: bigint;
  terms: string;
  terms_hash: string;
  fund_by: bigint;
  created_at: bigint;
  updated_at: bigint;
  held_msat: bigint;
  reason: string;
  is_preimage_released: bigint;
  is_restored: bigint;
  is_subsidy_open: bigint;
  bolt11: string | null;
  invoice_expires_at: bigint | null;
  funding_txid: string | null;
  refund_height: bigint | null;
  witness_script: Buffer | null;
  outpoints: string | null;
  claim_txid: string | null;
  refund_txid: string | null;
};

export type QuoteRow = {
  quote_id: string;
  principal: string;
  asset_id: string;
  asset_amount: bigint;
  price_msat: bigint;
  fee_subsidy_sat: bigint;
  profile: string;
  min_funding_confs: bigint;
  max_funding_confs: bigint;
  created_at: bigint;
  expires_at: bigint;
};

export type OfferRow = {
  asset_id: string;
  price_msat_numerator: bigint;
  price_denominator: bigint;
  spread_ppm: bigint;
  min_amount: bigint;
  max_amount: bigint;
  updated_at: bigint;
};

export type TxRow = {
  tx_id: Generated<bigint>;
  swap_id: string | null;
  kind: string;
  version: bigint;
  request_id: string | null;
  body_hash: string | null;
  txid: string;
  raw: Buffer;
  fee_sat: bigint;
  state: string;
  created_at: bigint;
  signed_height: bigint;
};

export type Tables = {
  meta: { key: string; value: string };
  principals: { name: string; token_hash: string; created_at: bigint };
  offers: OfferRow;
  quotes: QuoteRow;
  swaps: SwapRow;
  requests: { principal: string; request_id: string; body_hash: string; swap_id: string; created_at: bigint };
  swap_events: {
    seq: Generated<bigint>;
    swap_id: string;
    kind: string;
    from_state: string;
    to_state: string;
    from_payment: string;
    to_payment: string;
    detail: string;
    created_at: bigint;
  };
  txs: TxRow;
  utxo_reservations: { txid: string; vout: bigint; tx_id: bigint };
  wallet_outputs: {
    txid: string;
    vout: bigint;
    asset_id: string;
    value: bigint;
    asset_blinder: Buffer;
    value_blinder: Buffer;
  };
  recent_blocks: { height: bigint; block_hash: string; time: bigint };
  fence_findings: { kind: string; id: string; text: string; is_accepted: bigint; found_at: bigint };
  tips: { id: bigint; height: bigint; block_hash: string; accepted_at: bigint };
};
