/** LDK's channel policy. */
import * as ldk from 'lightningdevkit';

export type ChannelPolicy = {
  /** Confirmations before a channel is used. */
  readonly minFundingDepth: number;
  readonly acceptsInbound: boolean;
  /** Forward payments to peers over channels that are not announced. */
  readonly forwardsToPrivate: boolean;
  /** Commitment transactions whose fees are paid from the wallet at the time of closing. */
  readonly hasAnchors: boolean;
  /** Satoshi kept back in the wallet for each of them. */
  readonly anchorReserveSat: bigint;
};

/** Channels with a static remote key, and with anchors if the policy says so; announced only if asked for, or if the peer that opens them asks. */
export function userConfig(policy: ChannelPolicy, isAnnounced: boolean): ldk.UserConfig {
  const config = ldk.UserConfig.constructor_default();
  const handshake = ldk.ChannelHandshakeConfig.constructor_default();
  handshake.set_minimum_depth(policy.minFundingDepth);
  handshake.set_announce_for_forwarding(isAnnounced);
  handshake.set_max_inbound_htlc_value_in_flight_percent_of_channel(100);
  handshake.set_negotiate_anchors_zero_fee_htlc_tx(policy.hasAnchors);
  config.set_channel_handshake_config(handshake);
  const limits = ldk.ChannelHandshakeLimits.constructor_default();
  limits.set_force_announced_channel_preference(false);
  config.set_channel_handshake_limits(limits);
  config.set_accept_forwards_to_priv_channels(policy.forwardsToPrivate);
  config.set_accept_inbound_channels(policy.acceptsInbound);
  config.set_manually_accept_inbound_channels(policy.hasAnchors); // LDK asks for this
  return config;
}
