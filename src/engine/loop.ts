/** Named background loops: each takes an AbortSignal, logs its failures and backs off with jitter. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain } from '../errors.js';
import type { Logger } from '../log.js';

const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 10_000;

/** Lets something run on its own; a failure is logged with its cause chain. */
export function inBackground(log: Logger, name: string, work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    log.error({ work: name, cause: errorChain(error) }, 'background work failed');
  });
}

/**
 * Runs `round` again and again until the signal aborts. A round that ends waits `pauseMs`; one that throws waits longer
 * each time, up to 10 s, unless it had worked for longer than that.
 */
export async function loop(options: {
  readonly name: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly pauseMs: number;
  readonly round: () => Promise<void>;
}): Promise<void> {
  const { name, log, signal, pauseMs, round } = options;
  let failures = 0;
  while (!signal.aborted) {
    let waitMs = pauseMs;
    const startedAt = performance.now();
    try {
      await round();
      failures = 0;
    } catch (error) {
      failures = performance.now() - startedAt > MAX_BACKOFF_MS ? 1 : failures + 1;
      waitMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** failures) * (0.5 + Math.random() / 2);
      log.warn({ loop: name, failures, cause: errorChain(error) }, 'loop round failed');
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
