/**
 * Brings one stored channel monitor to the tip. LDK does not store a monitor at every block, so after a restart it may be
 * some blocks behind, or on a branch that lost.
 */
import * as ldk from 'lightningdevkit';

import { displayHex } from '../../core/units.js';
import type { MonitorTools } from '../ldk/assembly.js';
import { some } from '../ldk/result.js';
import type { Turns } from '../ldk/turn.js';
import type { HeaderRows, StoredHeader } from '../store/headers.js';
import { PREFETCH, type ConnectedBlock } from './follower.js';

export type CatchUpParts = {
  readonly headers: HeaderRows;
  readonly turns: Turns;
  readonly fetchBlock: (header: StoredHeader) => Promise<ConnectedBlock>;
};

/** Replays the blocks that the monitor missed. */
export async function catchUpMonitor(
  monitor: ldk.ChannelMonitor,
  { broadcaster, fees, logger }: MonitorTools,
  { headers, turns, fetchBlock }: CatchUpParts,
): Promise<void> {
  const at = monitor.current_best_block();
  let stored = headers.find(displayHex(at.get_block_hash()));
  while (stored?.isBest === false) {
    const gone = stored;
    turns.run(() => {
      monitor.block_disconnected(Uint8Array.from(gone.header), gone.height, broadcaster, fees, logger);
    });
    stored = headers.find(displayHex(gone.header.subarray(4, 36)));
  }
  if (stored === undefined) throw new Error(`channel monitor: its block ${at.get_height()} is not stored`);
  const missed: StoredHeader[] = [];
  for (let next = headers.at(stored.height + 1); next !== undefined; next = headers.at(next.height + 1))
    missed.push(next);
  for (let start = 0; start < missed.length; start += PREFETCH) {
    const blocks = await Promise.all(missed.slice(start, start + PREFETCH).map(fetchBlock));
    turns.run(() => {
      for (const block of blocks) {
        const { height } = block;
        monitor.block_connected(
          Uint8Array.from(block.header),
          transactionsOf(block),
          height,
          broadcaster,
          fees,
          logger,
        );
      }
    });
  }
}

/**
 * The same for a chain of proven transactions: only the tip is missing, because what a monitor learned was stored with it
 * and is told again at the start. A block that lost takes its transactions with it.
 */
export function moveMonitorToTip(
  monitor: ldk.ChannelMonitor,
  { broadcaster, fees, logger }: MonitorTools,
  { headers, turns }: Pick<CatchUpParts, 'headers' | 'turns'>,
): void {
  const tip = headers.tip();
  if (tip === undefined) throw new Error('the header chain has no start yet');
  turns.run(() => {
    for (const relevant of monitor.get_relevant_txids()) {
      const hash = some(relevant.get_c(), ldk.Option_ThirtyTwoBytesZ_Some);
      if (hash === undefined || headers.find(displayHex(hash))?.isBest !== false) continue;
      monitor.transaction_unconfirmed(relevant.get_a(), broadcaster, fees, logger);
    }
    monitor.best_block_updated(Uint8Array.from(tip.header), tip.height, broadcaster, fees, logger);
  });
}

const transactionsOf = ({ block }: ConnectedBlock): ldk.TwoTuple_usizeTransactionZ[] =>
  (block.transactions ?? []).map((tx, position) =>
    ldk.TwoTuple_usizeTransactionZ.constructor_new(position, Uint8Array.from(tx.toBuffer())),
  );
