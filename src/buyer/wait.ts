/** Waiting: for the chain or a clock, whichever is first. Nothing here ever throws. */
import type { NamedChain } from './observe.js';

/**
 * Resolves after `milliseconds`, or at once when one of the signals is aborted. (AbortSignal.any is not used: Node 20 may
 * collect it before it fires.)
 */
export async function pause(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    for (const signal of signals) signal.addEventListener('abort', done, { once: true });
  });
}

/** A signal that aborts with `parent` or after `milliseconds`. It does not keep the process alive. */
export function withTimeout(parent: AbortSignal, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  const end = (): void => {
    controller.abort();
  };
  setTimeout(end, milliseconds).unref();
  parent.addEventListener('abort', end, { once: true });
  if (parent.aborted) end();
  return controller.signal;
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
      if (!hasChanged) await pause(milliseconds, signal, woken.signal);
      hasChanged = false;
      wake = undefined;
    },
    close: () => {
      for (const stop of stops) stop();
      for (const { chain } of chains) chain.unsubscribe(scriptPubKey);
    },
  };
}
