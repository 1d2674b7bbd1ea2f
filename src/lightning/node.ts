/**
 * The port to a Lightning node: what the seller needs to sell and the buyer to pay. One file per backend beside it.
 *
 * Every method may throw SwapError `lightning_unavailable`: the outcome is then unknown, never "failed". Every call has a
 * deadline of the adapter's own.
 */
import type { Msat, PaymentHash, Preimage, Pubkey, Sat, UnixSecs } from '../core/units.js';

/** Prefix of invoices: mainnet `lnbc`, testnet `lntb`, regtest `lnbcrt`. */
export type BitcoinNetwork = 'bitcoin' | 'testnet' | 'regtest';

/** The node's own facts. */
export type NodeInfo = {
  readonly nodeId: Pubkey;
  readonly network: BitcoinNetwork;
  /** Height of the last Bitcoin block that the node applied. */
  readonly blockHeight: number;
  /** False while the node lags behind its chain: no money may move then. */
  readonly isSynced: boolean;
};

/** OPEN unpaid, HELD a complete payment waits for settle or cancel, SETTLED taken, CANCELED refused for ever. */
type InvoiceState = 'OPEN' | 'HELD' | 'SETTLED' | 'CANCELED';

/** A hold invoice as the node sees it. */
export type HoldInvoice = {
  readonly paymentHash: PaymentHash;
  readonly bolt11: string;
  readonly state: InvoiceState;
  readonly amountMsat: Msat;
  /** What is held or was taken; 0 while OPEN. */
  readonly heldMsat: Msat;
  /** Bitcoin height at which the node fails a held payment back by itself; undefined unless HELD. */
  readonly claimDeadlineHeight: number | undefined;
  /** True while an HTLC for this hash is unresolved on any channel, closing ones included. */
  readonly isHtlcPending: boolean;
  /** True if a payment that was being taken went back to the payer on the chain, by the timeout of its HTLC. */
  readonly isTimedOutOnChain: boolean;
  readonly label: string;
  /** Why it is CANCELED ("EXPIRED" among them); empty otherwise. */
  readonly cancelReason: string;
  readonly expiresAt: UnixSecs;
};

/** A hold invoice to make. */
export type HoldInvoiceRequest = {
  readonly paymentHash: PaymentHash;
  readonly amountMsat: Msat;
  /** SHA256 of the canonical terms, 64 hex digits. */
  readonly descriptionHash: string;
  readonly expirySecs: number;
  /** min_final_cltv_expiry that the invoice must carry, Bitcoin blocks. */
  readonly minFinalCltvDelta: number;
  readonly label: string;
};

/** An outgoing payment. IN_FLIGHT is not a failure. */
export type PaymentResult =
  | { readonly state: 'IN_FLIGHT' }
  | { readonly state: 'SUCCEEDED'; readonly preimage: Preimage; readonly feeMsat: Msat }
  | { readonly state: 'FAILED'; readonly reason: string };

/** A payment to make. */
export type PayRequest = {
  readonly bolt11: string;
  readonly maxFeeMsat: Msat;
  /** Greatest total CLTV delta of the route, Bitcoin blocks. */
  readonly maxTotalCltvDelta: number;
  /** Answer with the state after at most this many seconds, 1..120. */
  readonly timeoutSecs: number;
};

/** What a node is used for here. */
export type NodeRole = 'seller' | 'buyer';

export type LightningNode = {
  getInfo(): Promise<NodeInfo>;
  /** What could be received right now over usable channels, msat. */
  inboundCapacityMsat(): Promise<Msat>;
  /**
   * Makes a hold invoice. The same hash with the same fields answers with the same invoice.
   * @throws SwapError `payment_hash_reused` if the hash exists with other fields.
   */
  createHoldInvoice(request: HoldInvoiceRequest): Promise<HoldInvoice>;
  /** Asks the node to take a held payment. Repeating is safe; a normal return is not a report of SETTLED. */
  settleInvoice(preimage: Preimage): Promise<void>;
  /** Asks the node to refuse a payment for ever. Repeating is safe; a normal return is not a report of CANCELED. */
  cancelInvoice(paymentHash: PaymentHash): Promise<void>;
  /** The invoice, or undefined only if the node itself says that it does not know the hash. */
  lookupInvoice(paymentHash: PaymentHash): Promise<HoldInvoice | undefined>;
  /** All hold invoices whose label starts with the prefix. */
  listHoldInvoices(labelPrefix: string): Promise<readonly HoldInvoice[]>;
  /** Payment hashes whose invoice may have changed; hints only. Ends or throws when the stream is lost or aborted. */
  watchInvoices(signal: AbortSignal): AsyncIterable<PaymentHash>;
  /** Pays at most once per payment hash. */
  pay(request: PayRequest): Promise<PaymentResult>;
  /** State of an outgoing payment, or undefined only if the node itself says that it was never sent. */
  lookupPayment(paymentHash: PaymentHash): Promise<PaymentResult | undefined>;
  /** Calls that its credentials forbid and the role needs, for people. Absent where credentials allow all or nothing. */
  missingRights?(role: NodeRole): Promise<readonly string[]>;
  /**
   * Confirmed coins that its wallet lacks to pay the fees with which it would take payments on the chain in time; 0 if
   * none. Absent where the node keeps such coins by itself.
   */
  missingFeeCoins?(): Promise<Sat>;
  /** Frees the connection. */
  close(): void;
};
