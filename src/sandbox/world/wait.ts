/** Waiting for a fact with a deadline. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain } from '../../errors.js';
import { WorldError } from '../problem.js';

const POLL_MS = 40;

/**
 * Asks `probe` again and again until it answers something. An error of the probe counts as "not yet".
 *
 * @throws WorldError `process_failed` when the deadline passes, with the last error.
 */
export async function waitFor<T>(what: string, deadlineMs: number, probe: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    let lastError: unknown;
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() >= end) {
      const reason = lastError === undefined ? '' : ` (${errorChain(lastError)})`;
      throw new WorldError('process_failed', `expected ${what} within ${deadlineMs / 1000} s${reason}`);
    }
    await delay(POLL_MS);
  }
}
