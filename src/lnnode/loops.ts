/** What a running node does by itself: following the chain, and the timers of LDK. */
import { setTimeout as sleep } from 'node:timers/promises';

import { errorChain } from '../errors.js';
import type { ConfirmListener } from './chain/confirmFollower.js';
import type { ChainListener } from './chain/follower.js';
import type { Ldk } from './ldk/assembly.js';
import { archiveMonitors } from './ldk/archive.js';
import { heapBytes } from './ldk/wasm.js';
import type { Base, NodeOptions, Services } from './parts.js';
import { ldkRows } from './store/ldkRows.js';

// A tick says "a while has passed" to LDK, which disconnects a peer that owes an answer for two of them: never in a burst.
const PEER_TICK_MS = 10_000;
const REBROADCAST_MS = 30_000;
const MANAGER_TICK_MS = 60_000;
const EXPIRY_MS = 500;
const FEE_REFRESH_MS = 60_000;
const HEAP_LOOK_MS = 5_000;
const ARCHIVE_MS = 3_600_000;

/** Follows the chain until it is told to stop. */
export async function followChain(
  options: NodeOptions,
  base: Base,
  listener: ChainListener & ConfirmListener,
  signal: AbortSignal,
): Promise<void> {
  const { log, source } = options;
  let feesAt = performance.now();
  let isFailing = false;
  while (!signal.aborted) {
    try {
      await base.follower.round(listener);
      if (performance.now() - feesAt > FEE_REFRESH_MS) {
        feesAt = performance.now();
        await base.fees.refresh(source);
      }
      if (isFailing) log.info('chain: following again');
      isFailing = false;
      base.chain.problem = '';
    } catch (error) {
      base.chain.problem = errorChain(error);
      if (!isFailing) log.warn({ why: errorChain(error) }, 'chain: cannot follow');
      isFailing = true;
    }
    await sleep(options.pollIntervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Starts the timers; the caller clears them. */
export function startTimers(options: NodeOptions, base: Base, parts: Ldk, services: Services): NodeJS.Timeout[] {
  const { turns, wallet } = base;
  const every = (ms: number, body: () => void): NodeJS.Timeout =>
    setInterval(() => {
      turns.run(body);
    }, ms);
  return [
    every(PEER_TICK_MS, () => {
      parts.peers.timer_tick_occurred();
    }),
    every(MANAGER_TICK_MS, () => {
      parts.manager.timer_tick_occurred();
    }),
    every(REBROADCAST_MS, () => {
      parts.chainMonitor.rebroadcast_pending_claims();
      const waiting = wallet.unconfirmed();
      turns.after(() => {
        for (const { raw } of waiting) options.source.broadcast(raw).catch(() => undefined);
      });
    }),
    setInterval(services.invoices.expireDue, EXPIRY_MS),
    every(ARCHIVE_MS, () => {
      archiveMonitors(parts.chainMonitor, ldkRows(options.db));
    }),
    setInterval(() => {
      if (heapBytes() > options.heapLimitBytes) options.onHeapFull();
    }, HEAP_LOOK_MS),
  ];
}
