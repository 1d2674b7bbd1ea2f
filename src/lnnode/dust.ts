/**
 * HTLCs that are too small for an output of their own in a commitment transaction. Whoever publishes it gives their
 * amounts to the miners, so a payer could learn the preimage of a held payment for them and burn the payment.
 */
import type * as ldk from 'lightningdevkit';

import { hex, type PaymentHash } from '../core/units.js';
import { flag } from './ldk/result.js';

/** Three times 354 sat, the most that a peer may have as its limit. Ours is lower, but it may be the peer that closes. */
export const LEAST_PART_MSAT = 1_062_000n;

/** A part of a payment on one of our channels. */
export type HeldPart = {
  readonly amountMsat: bigint;
  /** By our own limit; in a channel without anchors it rises with the fee rate. */
  readonly isDust: boolean;
};

/** Every HTLC towards us with this hash. */
export const partsOf = (manager: ldk.ChannelManager, hash: PaymentHash): HeldPart[] =>
  manager.list_channels().flatMap((channel) =>
    channel
      .get_pending_inbound_htlcs()
      .filter((htlc) => hex(htlc.get_payment_hash()) === hash)
      .map((htlc) => ({ amountMsat: htlc.get_amount_msat(), isDust: flag(htlc.get_is_dust()) })),
  );

const sumOf = (parts: readonly HeldPart[]): bigint => parts.reduce((sum, part) => sum + part.amountMsat, 0n);

/**
 * What of a payment is sure to be takeable on the chain. A part that no channel lists any more is not; nor does another
 * HTLC with the same hash make up for one in dust.
 */
export function takeableMsat(amountMsat: bigint, parts: readonly HeldPart[]): bigint {
  const isDust = (part: HeldPart): boolean => part.isDust || part.amountMsat < LEAST_PART_MSAT;
  const withoutDust = amountMsat - sumOf(parts.filter(isDust));
  const listed = sumOf(parts.filter((part) => !isDust(part)));
  return listed < withoutDust ? listed : withoutDust;
}
