/** One process and one purchase at a time choose coins of the wallet, so that no two claims take the same. */
import { join } from 'node:path';

import { SwapError } from '../errors.js';
import { takeLock } from './files.js';
import { pause } from './wait.js';

const RETRY_MS = 100;

/**
 * Waits for its turn.
 *
 * @returns the function that ends it.
 * @throws SwapError `version_conflict` if it is not its turn within `milliseconds` or before the signal is aborted.
 */
export async function lockWallet(dir: string, milliseconds: number, signal: AbortSignal): Promise<() => void> {
  const end = performance.now() + milliseconds;
  for (;;) {
    try {
      return takeLock(join(dir, 'wallet.lock'));
    } catch (error) {
      const isTaken = error instanceof SwapError && error.code === 'version_conflict';
      if (!isTaken || signal.aborted || performance.now() > end) throw error;
      await pause(RETRY_MS, signal);
    }
  }
}
