/** What driving a purchase takes and tells. */
import type { Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { PaymentResult } from '../lightning/node.js';
import type { Buyer } from './buyer.js';
import type { ClaimNews } from './claimFollow.js';
import type { PurchaseRecord, Step } from './record.js';
import type { VerificationReport } from './verify.js';

/** What happens while a purchase is driven; for people and logs. */
export type PurchaseEvent =
  | { readonly kind: 'step'; readonly record: PurchaseRecord }
  /** The seller's word. */
  | { readonly kind: 'swap'; readonly swap: Swap }
  | { readonly kind: 'report'; readonly report: VerificationReport }
  | { readonly kind: 'payment'; readonly state: 'SENDING' | PaymentResult['state'] }
  | { readonly kind: 'claim'; readonly news: ClaimNews }
  /** Something is away; it is tried again. */
  | { readonly kind: 'waiting'; readonly problem: string };

export type DriveOptions = {
  /** Stop when this step is stored; default: when the purchase is final. */
  readonly until?: Step;
  /** Stops as soon as it is safe; the purchase stays pending. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: PurchaseEvent) => void;
  /** How long a verification may wait for blocks and servers, milliseconds. */
  readonly patienceMs?: number;
};

/** A purchase under way. `sends` counts the payment attempts of this run that ended in failure. */
export type Drive = { readonly buyer: Buyer; readonly options: DriveOptions; readonly sends: { failed: number } };
