/** The place of a person with another wallet; externalStep.ts says what is done with the answers. */
import type { Msat, Preimage, UnixSecs } from '../core/units.js';

/** What the person needs to pay: nothing else of the deal. */
export type ExternalInvoice = {
  readonly bolt11: string;
  /** L: the payment's total CLTV delta must not exceed it, Bitcoin blocks. */
  readonly maxTotalCltvDelta: number;
  readonly amountMsat: Msat;
  /** Pay before this time or not at all: later the verification that was made says nothing any more. */
  readonly payUntil: UnixSecs;
};

/** A person with another wallet: shown the invoice, asked for the preimage. */
export type ExternalPayer = {
  /** Shows invoice, cap L, deadline and warning; called after a fresh verification, again after each restart. */
  readonly show: (invoice: ExternalInvoice) => void;
  /**
   * The next thing typed: a preimage (64 hex digits) or 'failed' (the wallet says that it failed for good); undefined
   * when nothing was typed within the wait, or when the signal was aborted.
   */
  readonly answer: (signal: AbortSignal, milliseconds: number) => Promise<Preimage | 'failed' | undefined>;
};
