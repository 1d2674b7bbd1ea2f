/** What the Lightning node answers, for scripts (names of states, ids in display order) and for people. */
import { printable } from '../buyer/printable.js';
import { displayHex, hex } from '../core/units.js';
import {
  ChannelState,
  InvoiceState,
  PaymentState,
  type Channel,
  type DecodeInvoiceResponse,
  type GetNodeInfoResponse,
  type Invoice,
  type Payment,
  type WalletBalanceResponse,
} from '../gen/lnnode/v1/lnnode.js';
import { describeAmount, describeMsat } from './amount.js';
import { enumName } from './json.js';
import { fields, table } from './output.js';

const isoTime = (unixSecs: bigint): string =>
  unixSecs === 0n ? '' : new Date(Number(unixSecs) * 1000).toISOString().replace('.000Z', 'Z');
const sats = (amount: bigint): string => describeAmount(amount, 8, 'BTC');
const mebibytes = (bytes: bigint): string => (Number(bytes) / 2 ** 20).toFixed(0);
const yesNo = (isSo: boolean): string => (isSo ? 'yes' : 'no');

/** The node, for scripts. */
export const infoView = (info: GetNodeInfoResponse): object => ({ ...info, blockHash: displayHex(info.blockHash) });

/** The node, for people. */
export function describeInfo(info: GetNodeInfoResponse): string {
  const isHeapKnown = info.heapLimitBytes > 0n;
  return fields([
    ['node id', hex(info.nodeId)],
    ['alias', printable(info.alias)],
    ['network', info.network],
    ['peers connect to', info.listenAddresses.map((address) => printable(address)).join(', ')],
    ['block', `${info.blockHeight} ${displayHex(info.blockHash)}`],
    ['synced', info.isSynced ? 'yes' : `NO: ${printable(info.syncProblem)}`],
    ['chain source', info.chainSource],
    ['gossip of', isoTime(info.gossipAtUnixSecs)],
    ['version', printable(info.ldkVersion === '' ? info.version : `${info.version}, LDK ${info.ldkVersion}`)],
    ['memory', isHeapKnown ? `${mebibytes(info.heapBytes)} of ${mebibytes(info.heapLimitBytes)} MiB` : ''],
  ]);
}

/** A channel, for scripts. */
export const channelView = (channel: Channel): object => ({ ...channel, state: enumName(ChannelState, channel.state) });

/** Channels, for people. */
export function describeChannels(channels: readonly Channel[]): string {
  if (channels.length === 0) return 'no channels';
  return channels
    .map((channel) =>
      fields([
        ['channel', hex(channel.channelId)],
        ['peer', hex(channel.nodeId)],
        ['state', `${enumName(ChannelState, channel.state)}, usable: ${yesNo(channel.isUsable)}`],
        ['capacity', describeMsat(channel.capacityMsat)],
        ['can send', isClosed(channel) ? '' : describeMsat(channel.outboundCapacityMsat)],
        ['can receive', isClosed(channel) ? '' : describeMsat(channel.inboundCapacityMsat)],
        ['funding', channel.fundingTxid.length === 0 ? '' : fundingOf(channel)],
        ['confirmations', isClosed(channel) ? '' : String(channel.confirmations)],
        ['open HTLCs', String(channel.pendingHtlcs)],
        ['opened by', channel.isOutbound ? 'this node' : 'the peer'],
        ['kind', `${channel.isAnnounced ? 'announced' : 'private'}${channel.hasAnchors ? ', anchors' : ''}`],
        ['closed', printable(channel.closeReason)],
        ['next', isClosed(channel) ? 'its coins are on their way to the wallet' : ''],
      ]),
    )
    .join('\n\n');
}

/** Nothing of a closed channel can be used or counted any more. */
const isClosed = ({ state }: Channel): boolean => state === ChannelState.SWEEPING;
const fundingOf = ({ fundingTxid, fundingVout }: Channel): string => `${displayHex(fundingTxid)}:${fundingVout}`;

/** What the wallet holds, for people. */
export const describeBalance = (balance: WalletBalanceResponse): string =>
  fields([
    ['confirmed', sats(balance.confirmedSats)],
    ['of it kept for anchor channels', balance.anchorReserveSats === 0n ? '' : sats(balance.anchorReserveSats)],
    ['not confirmed yet', sats(balance.unconfirmedSats)],
    ['on its way from closed channels', sats(balance.sweepingSats)],
  ]);

/** A transaction that was sent, for people. */
export const describeSent = (txid: Uint8Array, feeSats: bigint): string =>
  fields([
    ['transaction', displayHex(txid)],
    ['fee', sats(feeSats)],
  ]);

/** An invoice, for scripts. */
export const invoiceView = (invoice: Invoice): object => ({ ...invoice, state: enumName(InvoiceState, invoice.state) });

/** Invoices in columns, for people. */
export function describeInvoices(invoices: readonly Invoice[]): string {
  if (invoices.length === 0) return 'no invoices';
  const rows = invoices.map((invoice) => [
    hex(invoice.paymentHash),
    enumName(InvoiceState, invoice.state),
    describeMsat(invoice.amountMsat),
    isoTime(invoice.expiresAtUnixSecs),
    printable(invoice.label),
    [invoice.cancelReason, invoice.isTimedOutOnChain ? 'TIMED OUT ON CHAIN' : ''].join(' ').trim(),
  ]);
  return table([['PAYMENT HASH', 'STATE', 'AMOUNT', 'EXPIRES', 'LABEL', 'WHY'], ...rows]);
}

/** What an invoice says, for people. */
export function describeDecoded(decoded: DecodeInvoiceResponse): string {
  return fields([
    ['payee', hex(decoded.payeeNodeId)],
    ['payment hash', hex(decoded.paymentHash)],
    ['amount', decoded.amountMsat === 0n ? 'none named' : describeMsat(decoded.amountMsat)],
    ['network', decoded.network],
    ['made', isoTime(decoded.createdAtUnixSecs)],
    ['expires', `${isoTime(decoded.expiresAtUnixSecs)}${decoded.isExpired ? ': EXPIRED' : ''}`],
    ['final CLTV', `${decoded.minFinalCltvDelta} blocks`],
    ['description', printable(decoded.description)],
    ['description hash', hex(decoded.descriptionHash)],
    ['features', decoded.features.join(', ')],
    ['route hints', String(decoded.routeHints)],
    ...decoded.refusals.map((refusal): [string, string] => ['DO NOT PAY', printable(refusal)]),
  ]);
}

/** A payment, for scripts. */
export const paymentView = (payment: Payment): object => ({ ...payment, state: enumName(PaymentState, payment.state) });

/** A payment, for people. */
export const describePayment = (payment: Payment): string =>
  fields([
    ['payment hash', hex(payment.paymentHash)],
    ['state', enumName(PaymentState, payment.state)],
    ['amount', describeMsat(payment.amountMsat)],
    ['fee', payment.state === PaymentState.SUCCEEDED ? describeMsat(payment.feeMsat) : ''],
    ['preimage', hex(payment.preimage)],
    ['why', printable(payment.failureReason)],
  ]);

/** Payments in columns, for people. */
export function describePayments(payments: readonly Payment[]): string {
  if (payments.length === 0) return 'no payments';
  const rows = payments.map((payment) => [
    hex(payment.paymentHash),
    enumName(PaymentState, payment.state),
    describeMsat(payment.amountMsat),
    payment.state === PaymentState.SUCCEEDED ? describeMsat(payment.feeMsat) : '',
    printable(payment.failureReason),
  ]);
  return table([['PAYMENT HASH', 'STATE', 'AMOUNT', 'FEE', 'WHY'], ...rows]);
}
