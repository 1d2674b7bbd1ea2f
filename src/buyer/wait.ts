/** Waiting: for the chain or a clock, whichever is first. Nothing here ever throws. */
import type { NamedChain } from './observe.js';

/** Resolves after `milliseconds`, or at once when the signal is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Notices changes on chains, also those between two waits. */
export type ChainWatch = {
  /** Resolves when anything changed since the last call, after `milliseconds`, or when the signal is aborted. */
  next(milliseconds: number, signal: AbortSignal): Promise<void>;
  close(): void;
};

/** Starts to notice blocks and changes of one script. */
export function watchChains(chains: readonly NamedChain[], scriptPubKey: Uint8Array): ChainWatch {
  let hasChanged = false;
  let wake: (() => void) | undefined;
  const stops = chains.map(({ chain }) => {
    chain.subscribe(scriptPubKey);
    return chain.onChange(() => {
      hasChanged = true;
      wake?.();
    });
  });
  return {
    next: async (milliseconds, signal) => {
      const woken = new AbortController();
      wake = () => {
        woken.abort();
      };
      if (!hasChanged) await pause(milliseconds, AbortSignal.any([signal, woken.signal]));
      hasChanged = false;
      wake = undefined;
    },
    close: () => {
      for (const stop of stops) stop();
      for (const { chain } of chains) chain.unsubscribe(scriptPubKey);
    },
  };
}
