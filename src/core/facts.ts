/** What is looked up before a decision about a swap, and the duties that a decision may lead to. Pure types and one rule. */
import type { Swap, SwapEvent } from './swap.js';
import type { BlockHeight, Msat, Txid, UnixSecs } from './units.js';

/** The invoice as the node reports it. */
export type InvoiceReport = {
  readonly state: 'OPEN' | 'HELD' | 'SETTLED' | 'CANCELED';
  readonly heldMsat: Msat;
  readonly claimDeadlineHeight: number | undefined;
  readonly isHtlcPending: boolean;
  /** A payment that was being taken went back to the payer on the chain. */
  readonly isTimedOutOnChain: boolean;
  readonly cancelReason: string;
};

/** A transaction that spends an HTLC outpoint. */
export type SpendReport = { readonly kind: 'claim' | 'refund'; readonly txid: Txid; readonly confs: number };

/** The HTLC as the chain shows it. */
export type HtlcReport = {
  /** The funding is in the mempool or in a block. */
  readonly isSeen: boolean;
  readonly confs: number;
  /** One entry per outpoint, in the swap's order; undefined while unspent. */
  readonly spends: readonly (SpendReport | undefined)[];
};

/** The newest transaction of ours of one kind. */
export type OwnTxReport = {
  readonly txid: Txid;
  /** Signed so many blocks ago that a higher fee is due if no block has it yet. */
  readonly isStuck: boolean;
};

/** Everything that was looked up for one decision. Undefined means that nobody answered. */
export type Facts = {
  readonly now: UnixSecs;
  readonly tip: BlockHeight | undefined;
  /** Only while the tips do not pass the tip rule: the lowest of them. No server alone makes a payment come too late. */
  readonly lowestTip?: BlockHeight;
  /** What the node says of the invoice; `unknown_hash` only if it says that it does not know it. */
  readonly invoice: InvoiceReport | 'unknown_hash' | undefined;
  readonly node: { readonly blockHeight: number; readonly isSynced: boolean } | undefined;
  readonly htlc: HtlcReport | undefined;
  /** A transaction that excludes the funding (or a parent of it) has its final depth. */
  readonly isFundingLost: boolean;
  /** The self-spend that replaces a funding, with whether the chain's servers list it. */
  readonly abort: (OwnTxReport & { readonly isSeen: boolean }) | undefined;
  readonly refund: OwnTxReport | undefined;
  readonly isPaused: boolean;
  /** The tip rule is broken or a backend lags: nothing new, and no settling is decided. */
  readonly isDegraded: boolean;
  /** A commit failed: nothing can be stored any more. */
  readonly isReadOnly: boolean;
  /** This database may be an old copy: nothing is decided from what it does not know. */
  readonly isFenced: boolean;
};

/** The next thing to do. A call may be repeated; what it led to is looked up, never assumed. */
export type Duty =
  | { readonly kind: 'wait' }
  | { readonly kind: 'record'; readonly event: SwapEvent; readonly alarm?: string }
  | { readonly kind: 'create_invoice' }
  | { readonly kind: 'fund' }
  | { readonly kind: 'broadcast_funding' }
  /** Signs the self-spend, or one with a higher fee. */
  | { readonly kind: 'sign_abort' }
  | { readonly kind: 'broadcast_abort' }
  | { readonly kind: 'settle' }
  | { readonly kind: 'cancel' }
  /** Signs the refund, or one with a higher fee. */
  | { readonly kind: 'sign_refund' }
  | { readonly kind: 'broadcast_refund' };

/** A duty that stores an event, with the alarm that it raises. */
export const record = (event: SwapEvent, alarm?: string): Duty =>
  alarm === undefined ? { kind: 'record', event } : { kind: 'record', event, alarm };

/**
 * Nobody can have been paid and nobody ever will: docs/protocol.md section 2. What the node reports now must not contradict
 * what was stored: it may know S since an earlier settling. What an older database says of itself is not enough; then the
 * node's own report has to stand.
 */
export function isFinallyUnpaid(swap: Swap, { invoice, isFenced }: Facts): boolean {
  if (swap.payment !== 'CANCELED') return false;
  if (typeof invoice === 'object') return invoice.state === 'CANCELED';
  return !isFenced && !swap.isRestored;
}
