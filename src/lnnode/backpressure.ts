/**
 * Lets peers wait while a subscriber that reads is behind, so that a flood does not cut it off. Nobody waits for one that
 * takes nothing, or for long: pings have to be answered.
 */
import type { Pubkey } from '../core/units.js';

/** Bytes waiting for a subscriber above which senders wait, and below which they go on. */
const HIGH_BYTES = 1024 * 1024;
const LOW_BYTES = 256 * 1024;
const MAX_HOLD_MS = 5000;
const CHECK_MS = 100;

export type BackpressureParts = {
  /** Bytes that wait for the subscriber that is furthest behind, of those that read. */
  readonly backlog: () => number;
  /** Stops reading from a peer. */
  readonly hold: (nodeId: Pubkey) => void;
  /** Reads from all of them again. */
  readonly release: () => void;
};

/** Decides who waits and how long. Called after turns. */
export function makeBackpressure({ backlog, hold, release }: BackpressureParts) {
  let timer: NodeJS.Timeout | undefined;
  let since = 0;
  let isPatient = true; // until the next time that nothing much waits

  const check = (): void => {
    const isLow = backlog() < LOW_BYTES;
    if (isLow) isPatient = true;
    else if (timer !== undefined && performance.now() - since > MAX_HOLD_MS) isPatient = false;
    if (timer === undefined || (isPatient && !isLow)) return;
    clearInterval(timer);
    timer = undefined;
    release();
  };

  return {
    /** A message of a peer was handed out. */
    handedOut: (nodeId: Pubkey): void => {
      check();
      if (!isPatient || backlog() <= HIGH_BYTES) return;
      hold(nodeId);
      if (timer !== undefined) return;
      since = performance.now();
      timer = setInterval(check, CHECK_MS).unref();
    },
    /** A subscriber took a message, or is gone. */
    taken: check,
  };
}
