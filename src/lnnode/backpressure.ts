/**
 * Lets peers wait while a subscriber is behind, so that a flood does not cut off one that reads. A subscriber that takes
 * nothing at all makes nobody wait for long: pings have to be answered.
 */
import type { Pubkey } from '../core/units.js';

/** Bytes waiting for a subscriber above which senders wait, and below which they go on. */
const HIGH_BYTES = 1024 * 1024;
const LOW_BYTES = 256 * 1024;
const MAX_HOLD_MS = 5000;

export type BackpressureParts = {
  /** Bytes that wait for the subscriber that is furthest behind. */
  readonly waitingBytes: () => number;
  /** Stops reading from a peer. */
  readonly hold: (nodeId: Pubkey) => void;
  /** Reads from all of them again. */
  readonly release: () => void;
};

/** Decides who waits and how long. Called after turns. */
export function makeBackpressure({ waitingBytes, hold, release }: BackpressureParts) {
  let timer: NodeJS.Timeout | undefined;
  let isProgressing = false;
  let isPatient = true;

  const end = (): void => {
    clearTimeout(timer);
    timer = undefined;
    release();
  };

  return {
    /** A message of a peer was handed out. */
    handedOut: (nodeId: Pubkey): void => {
      if (!isPatient || waitingBytes() <= HIGH_BYTES) return;
      hold(nodeId);
      if (timer !== undefined) return;
      isProgressing = false;
      timer = setTimeout(() => {
        isPatient = isProgressing;
        end();
      }, MAX_HOLD_MS).unref();
    },
    /** A subscriber took a message, or is gone. */
    taken: (): void => {
      isProgressing = true;
      if (waitingBytes() >= LOW_BYTES) return;
      isPatient = true;
      if (timer !== undefined) end();
    },
  };
}
