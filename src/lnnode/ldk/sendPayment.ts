/** Outgoing payments as LDK takes them; its payment id is the payment hash, so that it pays a hash once. */
import * as ldk from 'lightningdevkit';

import { hex, type PaymentHash, type Pubkey } from '../../core/units.js';
import { NodeError } from '../errors.js';
import { describe, errorOf, flag, isOk, unwrap } from './result.js';

/** Attempts that LDK makes by itself, each over another route. */
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

export type RouteLimits = {
  readonly maxFeeMsat: bigint;
  readonly maxTotalCltvDelta: number;
  /** Only over a channel with the payee itself. */
  readonly isDirectOnly: boolean;
};

/** Why LDK found no way; also its reason of a payment that failed later. */
export const ROUTE_NOT_FOUND = 'ROUTE_NOT_FOUND';

/** Payment hashes that LDK knows of. */
export const recentHashes = (manager: ldk.ChannelManager): ReadonlySet<string> =>
  new Set(manager.list_recent_payments().map(recentHash));

/**
 * True if a channel could carry the amount before long: its peer is not back yet, or other payments fill it. Without a
 * way now, one may be found then.
 */
export const mayRouteSoon = (
  manager: ldk.ChannelManager,
  { amountMsat, payee }: Payable,
  isDirectOnly: boolean,
): boolean =>
  manager.list_channels().some((channel) => {
    if (isDirectOnly && hex(channel.get_counterparty().get_node_id()) !== payee) return false;
    if (!flag(channel.get_is_channel_ready()) || channel.get_outbound_capacity_msat() < amountMsat) return false;
    if (!flag(channel.get_is_usable())) return true;
    const isBusy = channel.get_pending_outbound_htlcs().length > 0;
    return isBusy && channel.get_next_outbound_htlc_limit_msat() < amountMsat;
  });

function recentHash(payment: ldk.RecentPaymentDetails): string {
  if (payment instanceof ldk.RecentPaymentDetails_Pending) return hex(payment.payment_id);
  if (payment instanceof ldk.RecentPaymentDetails_Fulfilled) return hex(payment.payment_id);
  if (payment instanceof ldk.RecentPaymentDetails_Abandoned) return hex(payment.payment_id);
  return '';
}

/**
 * Gives a payment to LDK. @returns why LDK refused, undefined if it is out.
 * @throws NodeError `invalid_argument` if LDK reads the invoice in another way
 */
export function handOver(manager: ldk.ChannelManager, invoice: Payable, limits: RouteLimits): string | undefined {
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
  if (limits.isDirectOnly) payee.set_max_path_length(1);
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
      return ROUTE_NOT_FOUND;
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_DuplicatePayment:
      return undefined;
    case ldk.RetryableSendFailure.LDKRetryableSendFailure_OnionPacketSizeExceeded:
      return 'ONION_TOO_LARGE';
    default:
      return `SEND_FAILURE_${String(failure satisfies never)}`;
  }
}
