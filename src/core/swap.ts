/**
 * A swap: its states, the one transition table, and what happened to it. Pure.
 *
 * Two axes. `state` follows the chain, `payment` follows Lightning; docs/swap-states.md draws both. Every move goes
 * through {@link apply}; everything that is not in the tables is refused.
 */
import type { HtlcOutpoint } from './tx.js';
import type { ProfileName } from './timelock.js';
import type {
  AssetAmount,
  AssetId,
  BlockHeight,
  Msat,
  PaymentHash,
  Pubkey,
  QuoteId,
  Sat,
  SwapId,
  Txid,
  UnixSecs,
} from './units.js';

/** Every internal state, in the order of a swap's life. */
export const SWAP_STATES = [
  'INTENT',
  'INVOICED',
  'FUNDING_SIGNED',
  'ABORTING',
  'FUNDED',
  'CLAIM_SEEN',
  'REFUND_SEEN',
  'CLAIMED',
  'REFUNDED',
  'FAILED',
  'OWED',
] as const;

/** Where the swap stands on Liquid, in the seller's words. */
export type SwapState = (typeof SWAP_STATES)[number];

/** Where the payment stands. SETTLING and CANCELING exclude each other. */
export type PaymentStatus = 'NONE' | 'OPEN' | 'HELD' | 'SETTLING' | 'SETTLED' | 'CANCELING' | 'CANCELED';

/** What is known from the first commit on. */
type SwapBase = {
  readonly id: SwapId;
  readonly principal: string;
  /** UUID of the request that made it. */
  readonly requestId: string;
  readonly quoteId: QuoteId;
  readonly paymentHash: PaymentHash;
  /** The node whose signature on the invoice binds the terms. */
  readonly sellerNodeId: Pubkey;
  /** Index of the refund key. */
  readonly keyIndex: number;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly feeSubsidySat: Sat;
  readonly priceMsat: Msat;
  readonly claimPubkey: Pubkey;
  readonly profile: ProfileName;
  /** Depth of the funding that the buyer asked for, Liquid blocks. */
  readonly minFundingConfs: number;
  /** Canonical terms, text. */
  readonly terms: string;
  /** SHA256 of the terms, 64 hex digits. */
  readonly termsHash: string;
  /** After this moment no funding is started. */
  readonly fundBy: UnixSecs;
  readonly createdAt: UnixSecs;
  /** Grows by one with every move. */
  readonly version: number;
  readonly payment: PaymentStatus;
  /** What was held or taken, msat; 0 before. */
  readonly heldMsat: Msat;
  /** Why it was canceled or failed; empty otherwise. */
  readonly reason: string;
  /** True once the preimage may be given out: settled and no HTLC pending. */
  readonly isPreimageReleased: boolean;
  /** True once an operator accepted an older database while it was open: only the node's own report ends its payment. */
  readonly isRestored: boolean;
  /** True while a claimed swap's fee subsidy was left unspent: it is refunded after T. */
  readonly isSubsidyOpen: boolean;
};

/** Known once the node made the invoice. */
type Invoiced = { readonly bolt11: string; readonly invoiceExpiresAt: UnixSecs };

/** Known once the funding is signed. */
export type FundingFacts = {
  readonly fundingTxid: Txid;
  readonly refundHeight: BlockHeight;
  readonly witnessScript: Buffer;
  /** The asset's output first, then the fee subsidy's; one only when L-BTC is sold. */
  readonly outpoints: readonly HtlcOutpoint[];
};

/** A swap that has a funding. */
export type FundedSwap = SwapBase &
  Invoiced &
  FundingFacts &
  (
    | { readonly state: 'FUNDING_SIGNED' | 'ABORTING' | 'FUNDED' | 'OWED' }
    | { readonly state: 'CLAIM_SEEN' | 'CLAIMED'; readonly claimTxid: Txid }
    | { readonly state: 'REFUND_SEEN' | 'REFUNDED'; readonly refundTxid: Txid }
  );

export type Swap =
  | (SwapBase & { readonly state: 'INTENT' })
  | (SwapBase & Invoiced & { readonly state: 'INVOICED' })
  | FundedSwap
  | (SwapBase & Partial<Invoiced> & Partial<FundingFacts> & { readonly state: 'FAILED' });

/** Something that happened and is to be stored. */
export type SwapEvent =
  | { readonly kind: 'invoice_created'; readonly bolt11: string; readonly expiresAt: UnixSecs }
  | { readonly kind: 'funding_signed'; readonly funding: FundingFacts }
  | { readonly kind: 'abort_started'; readonly reason: string }
  /** Deep enough. If the invoice can no longer be paid in time, `cancelReason` cancels it in the same commit. */
  | { readonly kind: 'funding_deep'; readonly cancelReason?: string }
  | { readonly kind: 'claim_seen'; readonly txid: Txid }
  | { readonly kind: 'refund_seen'; readonly txid: Txid }
  | { readonly kind: 'spend_gone' }
  /** `isSubsidyOpen`: the buyer claimed the asset and left the fee subsidy. */
  | { readonly kind: 'claim_final'; readonly isSubsidyOpen?: boolean }
  /** The subsidy that a buyer left was spent for good by that transaction. */
  | { readonly kind: 'subsidy_done'; readonly txid: Txid }
  | { readonly kind: 'refund_final' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'funding_lost'; readonly reason: string }
  | { readonly kind: 'payment_held'; readonly heldMsat: Msat }
  | { readonly kind: 'settle_decided' }
  | { readonly kind: 'payment_settled'; readonly heldMsat: Msat }
  | { readonly kind: 'cancel_decided'; readonly reason: string }
  | { readonly kind: 'payment_canceled'; readonly reason: string }
  | { readonly kind: 'preimage_released' };

export type SwapEventKind = SwapEvent['kind'];

/** state x event -> next state. An event that is not listed for any state leaves the state alone. */
export const STATE_MOVES = {
  INTENT: { invoice_created: 'INVOICED', failed: 'FAILED' },
  INVOICED: { funding_signed: 'FUNDING_SIGNED', failed: 'FAILED' },
  FUNDING_SIGNED: { funding_deep: 'FUNDED', abort_started: 'ABORTING', failed: 'FAILED', funding_lost: 'OWED' },
  ABORTING: { funding_deep: 'FUNDED', failed: 'FAILED', funding_lost: 'OWED' },
  FUNDED: { claim_seen: 'CLAIM_SEEN', refund_seen: 'REFUND_SEEN', failed: 'FAILED', funding_lost: 'OWED' },
  CLAIM_SEEN: { claim_final: 'CLAIMED', spend_gone: 'FUNDED', refund_seen: 'REFUND_SEEN', claim_seen: 'CLAIM_SEEN' },
  REFUND_SEEN: { refund_final: 'REFUNDED', spend_gone: 'FUNDED', claim_seen: 'CLAIM_SEEN', refund_seen: 'REFUND_SEEN' },
  CLAIMED: { subsidy_done: 'CLAIMED' },
  REFUNDED: {},
  FAILED: {},
  OWED: {},
} as const satisfies Record<SwapState, Partial<Record<SwapEventKind, SwapState>>>;

/** payment x event -> next payment status. A report of SETTLED is recorded from every status. */
export const PAYMENT_MOVES = {
  NONE: { invoice_created: 'OPEN', cancel_decided: 'CANCELING', payment_settled: 'SETTLED' },
  OPEN: {
    payment_held: 'HELD',
    cancel_decided: 'CANCELING',
    payment_canceled: 'CANCELED',
    payment_settled: 'SETTLED',
  },
  HELD: {
    settle_decided: 'SETTLING',
    cancel_decided: 'CANCELING',
    payment_canceled: 'CANCELED',
    payment_settled: 'SETTLED',
  },
  SETTLING: { payment_settled: 'SETTLED', payment_canceled: 'CANCELED' },
  SETTLED: { preimage_released: 'SETTLED' },
  CANCELING: { payment_canceled: 'CANCELED', payment_settled: 'SETTLED' },
  CANCELED: { payment_settled: 'SETTLED' },
} as const satisfies Record<PaymentStatus, Partial<Record<SwapEventKind, PaymentStatus>>>;

const eventsOf = (moves: Record<string, Partial<Record<SwapEventKind, string>>>): ReadonlySet<string> =>
  new Set(Object.values(moves).flatMap((row) => Object.keys(row)));
/** An event that a table names anywhere must be allowed by it; every event is named in one of them at least. */
const STATE_EVENTS = eventsOf(STATE_MOVES);
const PAYMENT_EVENTS = eventsOf(PAYMENT_MOVES);

/** True when the chain side can never change again. */
export const isFinalState = (state: SwapState): boolean =>
  Object.values<SwapState>(STATE_MOVES[state]).every((next) => next === state);

/** True when neither side needs work any more. */
export function isDone(swap: Swap): boolean {
  const isPaymentDone = swap.payment === 'CANCELED' || (swap.payment === 'SETTLED' && swap.isPreimageReleased);
  return isFinalState(swap.state) && (isPaymentDone || swap.payment === 'NONE') && !swap.isSubsidyOpen;
}

/** The states of the public API. */
export type PublicStatus = 'CREATED' | 'FUNDED' | 'CLAIMED' | 'REFUNDED' | 'FAILED' | 'OWED';

/** What the buyer is shown for each internal state. */
export const PUBLIC_STATUS = {
  INTENT: 'CREATED',
  INVOICED: 'CREATED',
  FUNDING_SIGNED: 'CREATED',
  ABORTING: 'CREATED',
  FUNDED: 'FUNDED',
  CLAIM_SEEN: 'FUNDED',
  REFUND_SEEN: 'FUNDED',
  CLAIMED: 'CLAIMED',
  REFUNDED: 'REFUNDED',
  FAILED: 'FAILED',
  OWED: 'OWED',
} as const satisfies Record<SwapState, PublicStatus>;

function lookup<Name extends string>(
  moves: Record<Name, Partial<Record<SwapEventKind, Name>>>,
  from: Name,
  kind: SwapEventKind,
): Name {
  const next = moves[from][kind];
  if (next === undefined) throw new Error(`${kind} is not possible from ${from}`);
  return next;
}

/**
 * The swap after the event.
 *
 * @throws Error if the tables do not allow the move: a bug of the caller, nothing is to be stored.
 */
export function apply(swap: Swap, event: SwapEvent): Swap {
  const { kind } = event;
  if (!STATE_EVENTS.has(kind) && !PAYMENT_EVENTS.has(kind)) throw new Error(`no table knows ${kind}`);
  const state = STATE_EVENTS.has(kind) ? lookup<SwapState>(STATE_MOVES, swap.state, kind) : swap.state;
  const payment = PAYMENT_EVENTS.has(kind) ? lookup<PaymentStatus>(PAYMENT_MOVES, swap.payment, kind) : swap.payment;
  const moved = { ...swap, payment, version: swap.version + 1 };
  return withState(withFacts(moved, event), state, event);
}

/** Facts that the event brings and that do not depend on the state. */
function withFacts(swap: Swap, event: SwapEvent): Swap {
  switch (event.kind) {
    case 'payment_held':
    case 'payment_settled':
      return { ...swap, heldMsat: event.heldMsat };
    case 'cancel_decided':
    case 'payment_canceled':
    case 'abort_started':
    case 'failed':
    case 'funding_lost':
      return swap.reason === '' ? { ...swap, reason: event.reason } : swap;
    case 'funding_deep':
      if (event.cancelReason === undefined || swap.payment !== 'OPEN') return swap;
      return { ...swap, payment: 'CANCELING', reason: event.cancelReason };
    case 'preimage_released':
      return { ...swap, isPreimageReleased: true };
    case 'claim_final':
      return { ...swap, isSubsidyOpen: event.isSubsidyOpen === true };
    case 'subsidy_done':
      return { ...swap, isSubsidyOpen: false };
    case 'invoice_created':
    case 'funding_signed':
    case 'claim_seen':
    case 'refund_seen':
    case 'spend_gone':
    case 'refund_final':
    case 'settle_decided':
      return swap;
    default:
      throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`);
  }
}

function withState(swap: Swap, state: SwapState, event: SwapEvent): Swap {
  if (state === swap.state && event.kind !== 'claim_seen' && event.kind !== 'refund_seen') return swap;
  switch (state) {
    case 'INVOICED':
      if (event.kind !== 'invoice_created') break;
      return { ...swap, state, bolt11: event.bolt11, invoiceExpiresAt: event.expiresAt };
    case 'FUNDING_SIGNED':
      if (event.kind !== 'funding_signed' || swap.state !== 'INVOICED') break;
      return { ...swap, ...event.funding, state };
    case 'CLAIM_SEEN':
      if (event.kind !== 'claim_seen' || !isFunded(swap)) break;
      return { ...withoutSpend(swap), state, claimTxid: event.txid };
    case 'REFUND_SEEN':
      if (event.kind !== 'refund_seen' || !isFunded(swap)) break;
      return { ...withoutSpend(swap), state, refundTxid: event.txid };
    case 'CLAIMED':
      if (swap.state !== 'CLAIM_SEEN') break;
      return { ...swap, state };
    case 'REFUNDED':
      if (swap.state !== 'REFUND_SEEN') break;
      return { ...swap, state };
    case 'ABORTING':
    case 'FUNDED':
    case 'OWED':
      if (!isFunded(swap)) break;
      return { ...withoutSpend(swap), state };
    case 'FAILED':
      return { ...swap, state };
    case 'INTENT':
      break;
    default:
      throw new Error(`unknown state ${state satisfies never}`);
  }
  throw new Error(`${event.kind} does not bring what ${state} needs`);
}

/** A spend that is gone or replaced leaves no txid behind. */
function withoutSpend(swap: FundedSwap): SwapBase & Invoiced & FundingFacts {
  const rest: FundedSwap & { claimTxid?: Txid; refundTxid?: Txid } = { ...swap };
  delete rest.claimTxid;
  delete rest.refundTxid;
  return rest;
}

/** True when the swap has (or had) a signed funding. */
export function isFunded(swap: Swap): swap is FundedSwap {
  switch (swap.state) {
    case 'INTENT':
    case 'INVOICED':
    case 'FAILED':
      return false;
    case 'FUNDING_SIGNED':
    case 'ABORTING':
    case 'FUNDED':
    case 'CLAIM_SEEN':
    case 'REFUND_SEEN':
    case 'CLAIMED':
    case 'REFUNDED':
    case 'OWED':
      return true;
    default:
      throw new Error(`unknown state ${JSON.stringify(swap satisfies never)}`);
  }
}
