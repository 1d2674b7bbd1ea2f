/**
 * Outgoing payments, at most one per payment hash. The row is committed in the turn that hands the payment to LDK and in
 * the turn that takes LDK's report, so it is true after any crash.
 */
import * as ldk from 'lightningdevkit';

import { hex, type PaymentHash, type Pubkey } from '../core/units.js';
import type { Logger } from '../log.js';
import { NodeError } from './errors.js';
import { pendingHtlcs, type ChannelParts } from './ldk/htlcs.js';
import { bytes, describe, errorOf, isOk, unwrap } from './ldk/result.js';
import type { Turns } from './ldk/turn.js';
import type { PaymentRow, PaymentRows } from './store/payments.js';

/** Attempts within one call, each over another route. */
const RETRIES = 5;

/** What the payer checked in the invoice. */
export type Payable = {
  readonly bolt11: string;
  readonly payee: Pubkey;
  readonly paymentHash: PaymentHash;
  readonly amountMsat: bigint;
  /** Unix seconds. */
  readonly expiresAt: number;
};

export type PaymentLimits = {
  readonly maxFeeMsat: bigint;
  readonly maxTotalCltvDelta: number;
  readonly timeoutSecs: number;
};

export type PaymentParts = ChannelParts & {
  readonly nodeId: Pubkey;
  /** Pay only peers with a channel. */
  readonly isDirectOnly: boolean;
  readonly rows: PaymentRows;
  readonly turns: Turns;
  readonly log: Logger;
  readonly now: () => number;
};

export type Payments = ReturnType<typeof makePayments>;

/** The payments of one node. */
export function makePayments(parts: PaymentParts) {
  const { rows, turns, manager, log } = parts;
  const waiters = new Map<string, Set<() => void>>();
  const timers = new Set<NodeJS.Timeout>();

  const finish = (row: PaymentRow): void => {
    rows.put(row);
    turns.after(() => {
      for (const wake of waiters.get(row.paymentHash) ?? []) wake();
    });
  };

  const lookup = (hash: PaymentHash): PaymentRow => {
    const row = rows.find(hash);
    if (row === undefined) throw new NodeError('payment_not_found', `no payment for payment hash ${hash}`);
    return row;
  };

  /** After the caller's timeout no further attempt is made; what is out stays out. */
  const stopRetries = (hash: PaymentHash, timeoutSecs: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (rows.find(hash)?.state !== 'IN_FLIGHT') return;
      turns.run(() => {
        manager.abandon_payment(bytes(hash));
      });
    }, timeoutSecs * 1000);
    timers.add(timer);
  };

  const outcome = async (hash: PaymentHash, timeoutSecs: number, signal: AbortSignal): Promise<void> => {
    if (rows.find(hash)?.state !== 'IN_FLIGHT') return;
    const set = waiters.get(hash) ?? new Set();
    waiters.set(hash, set);
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        timers.delete(timer);
        signal.removeEventListener('abort', end);
        set.delete(end);
        if (set.size === 0) waiters.delete(hash);
        resolve();
      };
      const timer = setTimeout(end, timeoutSecs * 1000);
      timers.add(timer);
      set.add(end);
      signal.addEventListener('abort', end);
    });
  };

  const send = (invoice: Payable, limits: PaymentLimits): void => {
    const row = {
      paymentHash: invoice.paymentHash,
      bolt11: invoice.bolt11,
      amountMsat: invoice.amountMsat,
      feeMsat: 0n,
      preimage: undefined,
    };
    turns.run(() => {
      const failure = handOver(manager, invoice, limits, parts.isDirectOnly);
      if (failure === undefined) rows.put({ ...row, state: 'IN_FLIGHT', failureReason: '' });
      else finish({ ...row, state: 'FAILED', failureReason: failure });
    });
    stopRetries(invoice.paymentHash, limits.timeoutSecs);
  };

  return {
    lookup,
    /**
     * Pays, or joins a payment of the same hash; answers with its state at the timeout at the latest.
     * @throws NodeError `invoice_expired`, `own_invoice`
     */
    pay: async (invoice: Payable, limits: PaymentLimits, signal: AbortSignal): Promise<PaymentRow> => {
      const known = rows.find(invoice.paymentHash);
      if (known === undefined || known.state === 'FAILED') {
        if (invoice.payee === parts.nodeId) throw new NodeError('own_invoice', 'the invoice is our own');
        if (parts.now() >= invoice.expiresAt) {
          throw new NodeError('invoice_expired', `invoice: expired at ${invoice.expiresAt}, now ${parts.now()}`);
        }
        send(invoice, limits);
      }
      await outcome(invoice.paymentHash, limits.timeoutSecs, signal);
      return lookup(invoice.paymentHash);
    },
    /** Called inside a turn. */
    onSent: (hash: PaymentHash, preimage: Uint8Array, feeMsat: bigint | undefined): void => {
      const row = rows.find(hash);
      if (row === undefined) log.error({ paymentHash: hash }, 'a payment without a row was sent');
      else
        finish({
          ...row,
          state: 'SUCCEEDED',
          preimage: Buffer.from(preimage),
          feeMsat: feeMsat ?? 0n,
          failureReason: '',
        });
    },
    /** Called inside a turn. */
    onFailed: (hash: PaymentHash, failureReason: string): void => {
      const row = rows.find(hash);
      if (row?.state === 'IN_FLIGHT') finish({ ...row, state: 'FAILED', failureReason });
    },
    /** After a restart: a row whose payment LDK does not know and for which no HTLC is out has failed. */
    resume: (): void => {
      const known = new Set(manager.list_recent_payments().map(recentHash));
      const pending = pendingHtlcs(parts);
      for (const row of rows.inFlight()) {
        if (known.has(row.paymentHash) || pending.hashes.has(row.paymentHash) || pending.isAnyUnnamed) continue;
        log.error({ paymentHash: row.paymentHash }, 'a payment in flight is unknown to LDK');
        finish({ ...row, state: 'FAILED', failureReason: 'LOST_BEFORE_SENDING' });
      }
    },
    stop: (): void => {
      for (const timer of timers) clearTimeout(timer);
      for (const set of waiters.values()) for (const wake of set) wake();
    },
  };
}

function recentHash(payment: ldk.RecentPaymentDetails): string {
  if (payment instanceof ldk.RecentPaymentDetails_Pending) return hex(payment.payment_id);
  if (payment instanceof ldk.RecentPaymentDetails_Fulfilled) return hex(payment.payment_id);
  if (payment instanceof ldk.RecentPaymentDetails_Abandoned) return hex(payment.payment_id);
  return '';
}

/** Gives a payment to LDK. @returns why LDK refused, undefined if it is out. */
function handOver(
  manager: ldk.ChannelManager,
  invoice: Payable,
  limits: PaymentLimits,
  isDirectOnly: boolean,
): string | undefined {
  const parsed = ldk.Bolt11Invoice.constructor_from_str(invoice.bolt11);
  if (!isOk(parsed)) throw new NodeError('invalid_argument', `bolt11: ${describe(errorOf(parsed))}`);
  const invoiceRead = unwrap(parsed, ldk.Result_Bolt11InvoiceParseOrSemanticErrorZ_OK, 'invoice');
  const parameters = ldk.UtilMethods.constructor_payment_parameters_from_invoice(invoiceRead);
  if (!isOk(parameters)) throw new NodeError('invalid_argument', 'bolt11: expected an amount');
  const triple = unwrap(
    parameters,
    ldk.Result_C3Tuple_ThirtyTwoBytesRecipientOnionFieldsRouteParametersZNoneZ_OK,
    'invoice',
  );
  const hash = triple.get_a();
  const route = triple.get_c();
  const isSame =
    hex(hash) === invoice.paymentHash &&
    hex(invoiceRead.get_payee_pub_key()) === invoice.payee &&
    route.get_final_value_msat() === invoice.amountMsat;
  if (!isSame) throw new NodeError('invalid_argument', 'bolt11: two readers of one invoice disagree');
  route.set_max_total_routing_fee_msat(ldk.Option_u64Z.constructor_some(limits.maxFeeMsat));
  const payee = route.get_payment_params();
  payee.set_max_total_cltv_expiry_delta(limits.maxTotalCltvDelta);
  if (isDirectOnly) payee.set_max_path_length(1);
  route.set_payment_params(payee);
  const retry = ldk.Retry.constructor_attempts(RETRIES);
  const result = manager.send_payment(hash, triple.get_b(), hash, route, retry);
  return result instanceof ldk.Result_NoneRetryableSendFailureZ_Err ? sendFailure(result.err) : undefined;
}

/** RetryableSendFailure as text; undefined if LDK has the payment already. */
function sendFailure(failure: ldk.RetryableSendFailure): string | undefined {
  switch (failure) {
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_PaymentExpired:
      return 'INVOICE_EXPIRED';
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_RouteNotFound:
      return 'ROUTE_NOT_FOUND';
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_DuplicatePayment:
      return undefined;
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_OnionPacketSizeExceeded:
      return 'ONION_TOO_LARGE';
    default:
      return `SEND_FAILURE_${String(failure satisfies never)}`;
  }
}
