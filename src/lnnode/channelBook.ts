/** The channels of the node as its operator sees them: closing them, and what became of those that are closed. */
import * as ldk from 'lightningdevkit';

import { hex, pubkey, type Pubkey } from '../core/units.js';
import { NodeError } from './errors.js';
import { fundingTxidOf, heldSats, isHtlc, isShuttingDown } from './ldk/channelFacts.js';
import { apiProblem, errorOf, isOk, unwrap } from './ldk/result.js';
import type { Turns } from './ldk/turn.js';
import type { ChannelRows, ClosedRow } from './store/channels.js';
import type { WalletRows } from './store/wallet.js';

/** A reorg may bring the coins of a closed channel back into question for as many blocks. */
const WATCHED_BLOCKS = 144;
/** Told to the peer. */
const FORCED = 'the channel was closed by force';

export type ChannelBookParts = {
  readonly manager: ldk.ChannelManager;
  readonly chainMonitor: ldk.ChainMonitor;
  readonly rows: ChannelRows;
  readonly coins: Pick<WalletRows, 'unspentSpendable' | 'unswept'>;
  readonly turns: Turns;
  readonly isConnected: (nodeId: Pubkey) => boolean;
  readonly tipHeight: () => number;
};

/** A closed channel with coins that are not back yet. */
export type SweepingChannel = {
  /** What LDK said when it was funded. */
  readonly details: ldk.ChannelDetails;
  readonly reason: string;
  readonly pendingHtlcs: number;
};

export type ChannelBook = ReturnType<typeof makeChannelBook>;

const idOf = (details: ldk.ChannelDetails): string => hex(details.get_channel_id().get_a());

/** The book of one node. */
export function makeChannelBook(parts: ChannelBookParts) {
  const { manager, chainMonitor, rows, turns } = parts;
  const decoded = new Map<string, ldk.ChannelDetails>();

  const detailsOf = ({ channelId, details }: ClosedRow): ldk.ChannelDetails => {
    const known = decoded.get(channelId);
    if (known !== undefined) return known;
    const read = ldk.ChannelDetails.constructor_read(Uint8Array.from(details));
    const value = unwrap(read, ldk.Result_ChannelDetailsDecodeErrorZ_OK, 'channel details');
    decoded.set(channelId, value);
    return value;
  };

  /** LDK answers for all channels together, so each one is asked for by leaving out the others. */
  const closedChannels = (): { row: ClosedRow; details: ldk.ChannelDetails; balances: readonly ldk.Balance[] }[] => {
    const closed = rows
      .closed(parts.tipHeight() - WATCHED_BLOCKS)
      .map((row) => ({ row, details: detailsOf(row), balances: [] as readonly ldk.Balance[] }));
    if (closed.length === 0) return [];
    const open = manager.list_channels();
    if (chainMonitor.get_claimable_balances(open).length === 0) return closed;
    return closed.map((channel) => {
      const others = closed.filter(({ row }) => row !== channel.row).map(({ details }) => details);
      return { ...channel, balances: chainMonitor.get_claimable_balances([...open, ...others]) };
    });
  };

  const isBack = ({ row, balances }: ReturnType<typeof closedChannels>[number]): boolean =>
    balances.every((balance) => heldSats(balance) === 0n) && parts.coins.unspentSpendable(row.channelId) === 0;

  const sweeping = (): SweepingChannel[] =>
    closedChannels()
      .filter((channel) => !isBack(channel))
      .map(({ row, details, balances }) => ({
        details,
        reason: row.reason,
        pendingHtlcs: balances.filter(isHtlc).length,
      }));

  const find = (channelId: string): ldk.ChannelDetails | undefined =>
    manager.list_channels().find((details) => idOf(details) === channelId);

  const closeOpen = (details: ldk.ChannelDetails, isForced: boolean): void => {
    const peer = details.get_counterparty().get_node_id();
    if (!isForced) {
      if (isShuttingDown(details)) return;
      const nodeId = pubkey(hex(peer));
      if (!parts.isConnected(nodeId)) throw new NodeError('peer_not_connected', `peer ${nodeId} is not connected`);
    }
    const id = details.get_channel_id();
    const result = isForced
      ? manager.force_close_broadcasting_latest_txn(id, peer, FORCED)
      : manager.close_channel(id, peer);
    if (!isOk(result)) throw new NodeError('channel_refused', `channel: ${apiProblem(errorOf(result))}`);
  };

  const remember = (details: ldk.ChannelDetails): void => {
    rows.put(idOf(details), details.write());
  };

  return {
    /** LDK's open channels. */
    open: (): ldk.ChannelDetails[] => manager.list_channels(),
    /** Closed channels whose coins are not all back. */
    sweeping,
    /** Satoshi of closed channels that no transaction to the wallet carries yet. */
    sweepingSats: (): bigint => {
      const balances = chainMonitor.get_claimable_balances(manager.list_channels());
      const atLdk = balances.reduce((sum, balance) => sum + balance.claimable_amount_satoshis(), 0n);
      return parts.coins.unswept().reduce((sum, { valueSat }) => sum + valueSat, atLdk);
    },
    /**
     * Starts to close a channel; also one that is closing or closed already.
     * @throws NodeError `channel_not_found`, `peer_not_connected`, `channel_refused`
     */
    close: (channelId: string, isForced: boolean): void => {
      turns.run(() => {
        const details = find(channelId);
        if (details !== undefined) closeOpen(details, isForced);
        else if (!rows.has(channelId)) throw new NodeError('channel_not_found', `no channel ${channelId}`);
      });
    },
    /** Channels of before this table existed. Called inside a turn at start. */
    rememberAll: (): void => {
      for (const details of manager.list_channels()) if (fundingTxidOf(details) !== undefined) remember(details);
    },
    /** Called inside a turn. */
    onPending: (event: ldk.Event_ChannelPending): void => {
      const details = find(hex(event.channel_id.get_a()));
      if (details !== undefined) remember(details);
    },
    /** Called inside a turn. */
    onClosed: (event: ldk.Event_ChannelClosed, reason: string): void => {
      rows.close(hex(event.channel_id.get_a()), reason);
    },
    /** Notes which channels have brought all coins back. Called inside a turn, for every block. */
    atHeight: (height: number): void => {
      for (const channel of closedChannels()) {
        const { channelId, isResolved } = channel.row;
        if (isBack(channel) !== isResolved) rows.resolve(channelId, isResolved ? undefined : height);
      }
    },
  };
}
