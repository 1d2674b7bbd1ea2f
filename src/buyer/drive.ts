/** What driving a purchase takes and tells. */
import type { Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { PaymentResult } from '../lightning/node.js';
import type { Buyer } from './buyer.js';
import type { ClaimNews } from './claimFollow.js';
import type { PurchaseRecord, SellerWord, Step } from './record.js';
import type { VerificationReport } from './verify.js';

/** What happens while a purchase is driven; for people and logs. */
export type PurchaseEvent =
  | { readonly kind: 'step'; readonly record: PurchaseRecord }
  /** The seller's word. */
  | { readonly kind: 'swap'; readonly swap: Swap }
  | { readonly kind: 'report'; readonly report: VerificationReport }
  | { readonly kind: 'payment'; readonly state: 'SENDING' | PaymentResult['state'] }
  | { readonly kind: 'claim'; readonly news: ClaimNews }
  /** Something is away or not as expected; it is tried again. */
  | { readonly kind: 'waiting'; readonly problem: string };

/** How far a purchase is driven, and who hears of it. */
export type DriveOptions = {
  /** Stop when this step is stored; default: when the purchase is final. */
  readonly until?: Step;
  /** Stops as soon as it is safe; the purchase stays pending. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: PurchaseEvent) => void;
  /** How long a verification may wait for blocks and servers, milliseconds. */
  readonly patienceMs?: number;
};

/** What a run remembers besides the record; a new run begins without it. */
export type RunMemory = {
  /** Payment attempts that ended in failure. */
  failedSends: number;
  /** A send call is out that has not answered. */
  isSending: boolean;
  /** The invoice was shown to the person who pays. */
  isShown: boolean;
  /** The last that the seller said. */
  word: SellerWord | undefined;
};

/** A purchase under way. */
export type Drive = { readonly buyer: Buyer; readonly options: DriveOptions; readonly run: RunMemory };

/** The memory of a run that begins. */
export const newRun = (word: SellerWord | undefined): RunMemory => ({
  failedSends: 0,
  isSending: false,
  isShown: false,
  word,
});
