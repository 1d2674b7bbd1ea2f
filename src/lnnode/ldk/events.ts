/** LDK's events: each becomes rows of the same turn. An event that was handled is never reported again. */
import { Transaction } from 'bitcoinjs-lib';
import * as ldk from 'lightningdevkit';

import { displayHex, hex, paymentHash, type PaymentHash } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { Anchors } from '../anchors.js';
import type { ChannelBook } from '../channelBook.js';
import { closureText, type Channels } from '../channels.js';
import type { Invoices } from '../invoices.js';
import type { Payments } from '../payments.js';
import type { Bumps } from './bumps.js';
import { isAbsent, some } from './result.js';
import type { Sweeper } from './sweeper.js';

export type EventParts = {
  readonly invoices: Invoices;
  readonly payments: Payments;
  readonly channels: Channels;
  readonly channelBook: ChannelBook;
  readonly sweeper: Sweeper;
  readonly anchors: Anchors;
  readonly bumps: Bumps;
  /** HTLCs wait to be looked at; must not happen inside the event. */
  readonly forwardSoon: () => void;
  readonly forgetFunding: (txid: string) => void;
  readonly log: Logger;
};

const hashOf = (bytes: Uint8Array): PaymentHash => paymentHash(hex(bytes));

/** Handles one event inside the turn. */
export function handleEvent(event: ldk.Event, parts: EventParts): void {
  const { invoices, payments, channels, channelBook, sweeper, log } = parts;
  if (event instanceof ldk.Event_PendingHTLCsForwardable) {
    parts.forwardSoon();
  } else if (event instanceof ldk.Event_PaymentClaimable) {
    invoices.onClaimable(
      hashOf(event.payment_hash),
      event.amount_msat,
      some(event.claim_deadline, ldk.Option_u32Z_Some),
    );
  } else if (event instanceof ldk.Event_PaymentClaimed) {
    invoices.onClaimed(hashOf(event.payment_hash), event.amount_msat);
  } else if (event instanceof ldk.Event_HTLCHandlingFailed) {
    const destination = event.failed_next_destination;
    if (destination instanceof ldk.HTLCDestination_FailedPayment)
      invoices.onFailedBack(hashOf(destination.payment_hash));
  } else if (event instanceof ldk.Event_PaymentSent) {
    payments.onSent(
      hashOf(event.payment_hash),
      event.payment_preimage,
      some(event.fee_paid_msat, ldk.Option_u64Z_Some),
    );
  } else if (event instanceof ldk.Event_PaymentPathSuccessful) {
    payments.onPathDone(hashOf(event.payment_id), event.path.fee_msat());
  } else if (event instanceof ldk.Event_PaymentFailed) {
    payments.onFailed(hashOf(event.payment_id), failureText(some(event.reason, ldk.Option_PaymentFailureReasonZ_Some)));
  } else if (event instanceof ldk.Event_FundingGenerationReady) {
    channels.onFundingNeeded(event);
  } else if (event instanceof ldk.Event_ChannelPending) {
    channels.onPending(event);
    channelBook.onPending(event);
  } else if (event instanceof ldk.Event_ChannelReady) {
    log.info({ channelId: hex(event.channel_id.get_a()) }, 'channel ready');
  } else if (event instanceof ldk.Event_ChannelClosed) {
    const why = closureText(event.reason);
    log.warn({ channelId: hex(event.channel_id.get_a()), why }, 'channel closed');
    channels.onClosed(event);
    channelBook.onClosed(event, why);
  } else if (event instanceof ldk.Event_DiscardFunding) {
    parts.forgetFunding(fundingTxid(event.funding_info));
  } else if (event instanceof ldk.Event_OpenChannelRequest) {
    parts.anchors.onOpenRequest(event);
  } else if (event instanceof ldk.Event_BumpTransaction) {
    parts.bumps.onBump(event.bump_transaction);
  } else if (event instanceof ldk.Event_SpendableOutputs) {
    sweeper.add(event.outputs, isAbsent(event.channel_id) ? '' : hex(event.channel_id.get_a()));
    sweeper.sweep();
  }
}

function fundingTxid(funding: ldk.FundingInfo): string {
  if (funding instanceof ldk.FundingInfo_Tx) return Transaction.fromBuffer(funding.transaction).getId();
  if (funding instanceof ldk.FundingInfo_OutPoint) return displayHex(funding.outpoint.get_txid());
  throw new Error('unknown kind of funding');
}

/** PaymentFailureReason without LDK's prefix, in upper snake case. */
function failureText(reason: ldk.PaymentFailureReason | undefined): string {
  const name = reason === undefined ? undefined : ldk.PaymentFailureReason[reason];
  if (name === undefined) return 'UNKNOWN';
  return name
    .replace(/^LDKPaymentFailureReason_/, '')
    .replace(/(?!^)[A-Z]/g, '_$&')
    .toUpperCase();
}
