/** What is pending on channels, open or closing. */
import * as ldk from 'lightningdevkit';

import { hex, pubkey } from '../../core/units.js';
import type { RouteHint } from '../bolt11.js';
import { flag, isAbsent, some } from './result.js';
import type { Turns } from './turn.js';

/** The parts of LDK that know about channels. */
export type ChannelParts = {
  readonly manager: ldk.ChannelManager;
  readonly chainMonitor: ldk.ChainMonitor;
};

export type PendingHtlcs = {
  readonly hashes: ReadonlySet<string>;
  /**
   * A channel is closing and its commitment is in no block yet. LDK does not name the HTLCs then whose preimage it has,
   * so every payment must be taken for pending. Once the commitment confirms they are named again, and when an HTLC's
   * own transaction is in a block its preimage is public.
   */
  readonly isAnyUnnamed: boolean;
};

/** HTLCs of both directions that are not resolved. */
export function pendingHtlcs({ manager, chainMonitor }: ChannelParts): PendingHtlcs {
  const hashes = new Set<string>();
  const channels = manager.list_channels();
  for (const channel of channels) {
    for (const htlc of channel.get_pending_inbound_htlcs()) hashes.add(hex(htlc.get_payment_hash()));
    for (const htlc of channel.get_pending_outbound_htlcs()) hashes.add(hex(htlc.get_payment_hash()));
  }
  let isAnyUnnamed = false;
  for (const balance of chainMonitor.get_claimable_balances(channels)) {
    if (balance instanceof ldk.Balance_ClaimableOnChannelClose) isAnyUnnamed = true;
    if (
      balance instanceof ldk.Balance_ContentiousClaimable ||
      balance instanceof ldk.Balance_MaybeTimeoutClaimableHTLC ||
      balance instanceof ldk.Balance_MaybePreimageClaimableHTLC
    ) {
      hashes.add(hex(balance.payment_hash));
    }
  }
  return { hashes, isAnyUnnamed };
}

/** The same, remembered until the next turn; for callers outside of turns. */
export function rememberedHtlcs(parts: ChannelParts, turns: Turns): () => PendingHtlcs {
  let at = -1;
  let last: PendingHtlcs = { hashes: new Set(), isAnyUnnamed: false };
  return () => {
    if (at !== turns.count()) {
      at = turns.count();
      last = pendingHtlcs(parts);
    }
    return last;
  };
}

/** At most this many hints: each makes the invoice 90 characters longer. */
const MAX_HINTS = 4;

/** Hints for the channels that are not announced, the largest first. */
export function routeHints(manager: ldk.ChannelManager): RouteHint[] {
  return manager
    .list_channels()
    .filter((channel) => flag(channel.get_is_channel_ready()) && !flag(channel.get_is_announced()))
    .sort((a, b) => Number(b.get_inbound_capacity_msat() - a.get_inbound_capacity_msat()))
    .flatMap((channel): RouteHint[] => {
      const peer = channel.get_counterparty();
      const forwarding = peer.get_forwarding_info();
      const shortChannelId = some(channel.get_inbound_payment_scid(), ldk.Option_u64Z_Some);
      if (isAbsent(forwarding) || shortChannelId === undefined) return [];
      return [
        {
          nodeId: pubkey(hex(peer.get_node_id())),
          shortChannelId,
          feeBaseMsat: forwarding.get_fee_base_msat(),
          feePpm: forwarding.get_fee_proportional_millionths(),
          cltvDelta: forwarding.get_cltv_expiry_delta(),
        },
      ];
    })
    .slice(0, MAX_HINTS);
}
