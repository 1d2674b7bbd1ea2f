/** What is read of lnd's answers, checked. Everything else in them is ignored. */
import { z } from 'zod';

const u64 = z
  .string()
  .regex(/^\d{1,20}$/, 'an unsigned integer')
  .transform((text) => BigInt(text));
const bytes = z.instanceof(Uint8Array).transform((value) => Buffer.from(value).toString('hex'));

/** An incoming HTLC as lnd's invoice registry sees it: SETTLED is decided, not received. */
const invoiceHtlc = z.object({
  chan_id: u64,
  amt_msat: u64,
  expiry_height: z.int(),
  state: z.enum(['ACCEPTED', 'SETTLED', 'CANCELED']),
});

export const invoiceAnswer = z.object({
  memo: z.string(),
  r_hash: bytes,
  /** Empty or zeros while lnd does not know it. */
  r_preimage: bytes,
  value_msat: u64,
  amt_paid_msat: u64,
  creation_date: u64,
  expiry: u64,
  cltv_expiry: u64,
  description_hash: bytes,
  payment_request: z.string(),
  state: z.enum(['OPEN', 'ACCEPTED', 'SETTLED', 'CANCELED']),
  /** May be paid again and again; lnd calls it settled and pending at once. Never one of ours. */
  is_amp: z.boolean(),
  htlcs: z.array(invoiceHtlc),
});

export type InvoiceAnswer = z.output<typeof invoiceAnswer>;

export const invoicesAnswer = z.object({ invoices: z.array(invoiceAnswer), first_index_offset: u64 });

export const channelsAnswer = z.object({
  channels: z.array(
    z.object({
      active: z.boolean(),
      initiator: z.boolean(),
      chan_id: u64,
      alias_scids: z.array(u64),
      zero_conf_confirmed_scid: u64,
      remote_balance: u64,
      fee_per_kw: u64,
      remote_constraints: z.object({ chan_reserve_sat: u64 }),
      commitment_type: z.string(),
      pending_htlcs: z.array(z.object({ incoming: z.boolean(), hash_lock: bytes })),
    }),
  ),
});

export type OpenChannel = z.output<typeof channelsAnswer>['channels'][number];

export const walletBalanceAnswer = z.object({ confirmed_balance: u64 });

/** How an output of a closed channel ended. CLAIMED says that it was spent, not by whom. */
const resolution = z.object({
  resolution_type: z.string(),
  outcome: z.string(),
  amount_sat: u64,
  outpoint: z.object({ txid_str: z.string() }),
  sweep_txid: z.string(),
});

export type Resolution = z.output<typeof resolution>;

export const closedChannelsAnswer = z.object({
  channels: z.array(
    z.object({
      chan_id: u64,
      alias_scids: z.array(u64),
      zero_conf_confirmed_scid: u64,
      closing_tx_hash: z.string(),
      resolutions: z.array(resolution),
    }),
  ),
});

/** `label` is set by lnd for what it publishes itself; nobody else can set it. */
export const transactionAnswer = z.object({ label: z.string() });

export type ClosedChannel = z.output<typeof closedChannelsAnswer>['channels'][number];

export const infoAnswer = z.object({
  identity_pubkey: z.string(),
  block_height: z.int(),
  synced_to_chain: z.boolean(),
  chains: z.array(z.object({ network: z.string() })).min(1),
});

export const paymentAnswer = z.object({
  payment_hash: z.string(),
  payment_preimage: z.string(),
  status: z.enum(['UNKNOWN', 'INITIATED', 'IN_FLIGHT', 'SUCCEEDED', 'FAILED']),
  failure_reason: z.string(),
  fee_msat: u64,
});

export type PaymentAnswer = z.output<typeof paymentAnswer>;
