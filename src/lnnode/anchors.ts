/**
 * Channels with anchors need coins of the wallet when they close, so for each of them some are kept back; a peer's wish
 * for one more is refused while there are not enough, and LDK's peers then ask for one without anchors.
 */
import type * as ldk from 'lightningdevkit';

import type { ChannelBook } from './channelBook.js';
import { hasAnchors } from './ldk/channelFacts.js';
import { describe, errorOf, flag, isOk } from './ldk/result.js';
import type { ChannelPolicy } from './ldk/userConfig.js';
import type { Logger } from '../log.js';
import type { Wallet } from './wallet.js';

const REFUSAL = 'no coins are kept for a channel with anchors';
/** LDK's number for channels that peers open; ours are never this. */
const INBOUND_MARK = 0n;

export type AnchorParts = {
  readonly manager: ldk.ChannelManager;
  readonly channelBook: ChannelBook;
  readonly wallet: Wallet;
  readonly policy: ChannelPolicy;
  readonly tipHeight: () => number;
  readonly log: Logger;
};

export type Anchors = ReturnType<typeof makeAnchors>;

/** Keeps the reserve of one node. */
export function makeAnchors({ manager, channelBook, wallet, policy, tipHeight, log }: AnchorParts) {
  const reserveSat = (): bigint => {
    const channels = [...channelBook.open(), ...channelBook.sweeping().map(({ details }) => details)];
    return BigInt(channels.filter(hasAnchors).length) * policy.anchorReserveSat;
  };
  wallet.useReserve(reserveSat);

  const canKeepOneMore = (): boolean =>
    wallet.balance(tipHeight()).confirmedSats >= reserveSat() + policy.anchorReserveSat;

  return {
    /** A peer wants to open a channel. Called inside a turn, and only where anchors are allowed. */
    onOpenRequest: (event: ldk.Event_OpenChannelRequest): void => {
      const { temporary_channel_id: id, counterparty_node_id: peer, channel_type: type } = event;
      const isAffordable = !flag(type.requires_anchors_zero_fee_htlc_tx()) || canKeepOneMore();
      const result = isAffordable
        ? manager.accept_inbound_channel(id, peer, INBOUND_MARK)
        : manager.force_close_without_broadcasting_txn(id, peer, REFUSAL);
      if (!isOk(result)) log.debug({ why: describe(errorOf(result)) }, 'the peer took its channel back');
    },
  };
}
