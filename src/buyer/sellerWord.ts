/** What the seller says about a swap, against what it said before. None of it is believed; a contradiction is a lie. Pure. */
import { displayHex, hex, type SwapId } from '../core/units.js';
import { PaymentStatus, SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { BuyerErrorCode } from './buyerError.js';
import { printable } from './printable.js';
import type { SellerWord, StoredHtlc } from './record.js';

/** What is wrong with an answer. */
export type WordProblem = {
  readonly code: Extract<BuyerErrorCode, 'invoice_before_funding' | 'seller_state_backwards' | 'seller_swap_changed'>;
  readonly message: string;
};

/** What may follow each status, also after looks that were missed. A status that is not listed says nothing. */
type Order = Readonly<Record<number, { readonly name: string; readonly then: readonly number[] } | undefined>>;

const { CREATED, FUNDED, CLAIMED, REFUNDED, FAILED, OWED } = SwapStatus;
const STATUS_ORDER: Order = {
  [CREATED]: { name: 'CREATED', then: [CREATED, FUNDED, CLAIMED, REFUNDED, FAILED, OWED] },
  [FUNDED]: { name: 'FUNDED', then: [FUNDED, CLAIMED, REFUNDED, FAILED, OWED] },
  [CLAIMED]: { name: 'CLAIMED', then: [CLAIMED] },
  [REFUNDED]: { name: 'REFUNDED', then: [REFUNDED] },
  [FAILED]: { name: 'FAILED', then: [FAILED] },
  [OWED]: { name: 'OWED', then: [OWED] },
};

const { NONE, OPEN, HELD, SETTLING, SETTLED, CANCELING, CANCELED } = PaymentStatus;
/** A node's report of SETTLED may come at any time. */
const PAYMENT_ORDER: Order = {
  [NONE]: { name: 'payment NONE', then: [NONE, OPEN, HELD, SETTLING, SETTLED, CANCELING, CANCELED] },
  [OPEN]: { name: 'payment OPEN', then: [OPEN, HELD, SETTLING, SETTLED, CANCELING, CANCELED] },
  [HELD]: { name: 'payment HELD', then: [HELD, SETTLING, SETTLED, CANCELING, CANCELED] },
  [SETTLING]: { name: 'payment SETTLING', then: [SETTLING, SETTLED, CANCELED] },
  [SETTLED]: { name: 'payment SETTLED', then: [SETTLED] },
  [CANCELING]: { name: 'payment CANCELING', then: [CANCELING, CANCELED, SETTLED] },
  [CANCELED]: { name: 'payment CANCELED', then: [CANCELED, SETTLED] },
};

/** An answer in short. What it leaves out stands as it was said before. */
export function wordOf(swap: Swap, before: SellerWord | undefined): SellerWord {
  const { status, paymentStatus, fundingTxid, witnessScript } = swap;
  return {
    status: STATUS_ORDER[status] === undefined ? (before?.status ?? 0) : status,
    paymentStatus: PAYMENT_ORDER[paymentStatus] === undefined ? (before?.paymentStatus ?? 0) : paymentStatus,
    fundingTxid: fundingTxid.length === 0 ? (before?.fundingTxid ?? '') : displayHex(fundingTxid),
    witnessScript: witnessScript.length === 0 ? (before?.witnessScript ?? '') : hex(witnessScript),
  };
}

/** What the seller had said when the swap was verified. */
export const verifiedWord = (htlc: StoredHtlc): SellerWord => ({
  status: FUNDED,
  paymentStatus: OPEN,
  fundingTxid: htlc.outpoints[0]?.outpoint.txid ?? '',
  witnessScript: htlc.witnessScript,
});

/** True if nothing new was said. */
export const isSameWord = (one: SellerWord | undefined, other: SellerWord): boolean =>
  one?.status === other.status &&
  one.paymentStatus === other.paymentStatus &&
  one.fundingTxid === other.fundingTxid &&
  one.witnessScript === other.witnessScript;

/** What an answer contradicts, or undefined: itself, the swap that was asked for, or what was said before. */
export function judgeWord(swap: Swap, id: SwapId | undefined, before: SellerWord | undefined): WordProblem | undefined {
  return (
    showsInvoiceEarly(swap) ??
    isAnother('swap', id, hex(swap.swapId)) ??
    isAnother('funding', before?.fundingTxid, displayHex(swap.fundingTxid)) ??
    isAnother('witness script', before?.witnessScript, hex(swap.witnessScript)) ??
    goesBack(STATUS_ORDER, before?.status, swap.status) ??
    goesBack(PAYMENT_ORDER, before?.paymentStatus, swap.paymentStatus)
  );
}

function showsInvoiceEarly({ status, bolt11, fundingTxid, witnessScript }: Swap): WordProblem | undefined {
  const isFunded = status !== CREATED && STATUS_ORDER[status] !== undefined;
  if (bolt11 === '' || (isFunded && fundingTxid.length > 0 && witnessScript.length > 0)) return undefined;
  const found = isFunded ? 'no HTLC' : `status ${STATUS_ORDER[status]?.name ?? 'unknown'}`;
  return {
    code: 'invoice_before_funding',
    message: `expected an invoice only after the asset is locked up, found one with ${found}`,
  };
}

function isAnother(what: string, was: string | undefined, is: string): WordProblem | undefined {
  if (was === undefined || was === '' || is === '' || was === is) return undefined;
  return { code: 'seller_swap_changed', message: `expected the ${what} ${was} as before, found ${is.slice(0, 600)}` };
}

function goesBack(order: Order, was: number | undefined, is: number): WordProblem | undefined {
  const before = was === undefined ? undefined : order[was];
  const now = order[is];
  if (before === undefined || now === undefined || before.then.includes(is)) return undefined;
  return {
    code: 'seller_state_backwards',
    message: `expected what can follow ${before.name}, found ${now.name}: the seller goes back on its word`,
  };
}

/** Why a swap that we did not pay cannot be paid any more. */
export function endWithoutPayment(swap: Swap): string | undefined {
  const { status, paymentStatus } = swap;
  const isOver = status === FAILED || status === REFUNDED || status === CLAIMED || status === OWED;
  const isCanceled = paymentStatus === CANCELING || paymentStatus === CANCELED;
  const why = swap.reason === '' ? '' : `: ${printable(swap.reason)}`;
  if (isOver) return `the seller ended the swap${why}`;
  return isCanceled ? `the seller canceled the invoice${why}` : undefined;
}

/** True if the seller says that a payment for the invoice has reached it. */
export const saysItIsPaid = ({ paymentStatus }: Swap): boolean =>
  paymentStatus === HELD || paymentStatus === SETTLING || paymentStatus === SETTLED;
