/** Monitors of channels that are over leave LDK's memory. */
import type * as ldk from 'lightningdevkit';

import type { LdkRows } from '../store/ldkRows.js';

/**
 * Moves every monitor to the archive whose channel has had nothing to claim for 4032 blocks (LDK's own delay, about four
 * weeks). LDK notes the first sight of an empty channel in its monitor, so this may run at any times. Called inside a turn.
 */
export function archiveMonitors(chainMonitor: ldk.ChainMonitor, rows: LdkRows): void {
  chainMonitor.archive_fully_resolved_channel_monitors();
  rows.removeOrphanedUpdates(); // LDK leaves the updates of the monitors that it moved
}
