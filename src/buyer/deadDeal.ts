/** Purchases of which nothing was sent, and that cannot come to an invoice any more. Ending them risks nothing. */
import { errorChain, SwapError } from '../errors.js';
import { nowSecs } from './buyer.js';
import { BuyerError, RemoteError } from './buyerError.js';
import { printable } from './printable.js';
import type { Progress, PurchaseRecord } from './record.js';

/** A quote is used within minutes: an invoice of a deal that is older than this and the invoice's life is dead. */
const LATEST_INVOICE_SECS = 600;

/** Outcome unknown or backend away: asking again is right. */
export function isTemporary(error: unknown): error is SwapError | RemoteError {
  if (error instanceof RemoteError) return error.outcome === 'unavailable' || error.outcome === 'failed';
  return error instanceof SwapError && (error.code === 'chain_unavailable' || error.code === 'lightning_unavailable');
}

/** The seller has stored nothing of a CreateSwap that it answered so. */
export const isRefusal = (error: unknown): error is RemoteError =>
  error instanceof RemoteError && (error.outcome === 'refused' || error.code === 'invalid_argument');

/** An answer that is none. */
const isNonsense = (error: unknown): boolean => error instanceof BuyerError && error.code === 'seller_answer_invalid';

const isUnsent = ({ progress }: PurchaseRecord): boolean => progress.step === 'quoted' || progress.step === 'created';

/** Nothing was sent, and what the seller could still show would be refused. */
const isDeadDeal = (record: PurchaseRecord): boolean =>
  isUnsent(record) && nowSecs() > record.createdAt + LATEST_INVOICE_SECS + record.deal.invoiceExpirySecs;

const unpaid = (why: string): Progress => ({
  step: 'unpaid',
  reason: `nothing was sent, and an invoice would be dead by now (${why})`,
});

/** The end of a purchase whose seller talked for so long that nothing can come of it. */
export const deadByTime = (record: PurchaseRecord): Progress | undefined =>
  isDeadDeal(record) ? unpaid('the seller showed none') : undefined;

/** The end of a purchase that an error leaves without a hope; the error is still to be told if it is nonsense. */
export function deadByError(record: PurchaseRecord, error: unknown): Progress | undefined {
  if (isUnsent(record) && isNonsense(error)) {
    return { step: 'unpaid', reason: `seller_answer_invalid: ${printable(errorChain(error))}` };
  }
  const isOfSeller = error instanceof RemoteError && !(record.progress.step === 'quoted' && isRefusal(error));
  const mayEnd = isTemporary(error) || isOfSeller;
  return mayEnd && isDeadDeal(record) ? unpaid(printable(error.message)) : undefined;
}
