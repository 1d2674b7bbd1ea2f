/** A swap as it changes. Level-triggered: a slow reader sees the newest state, never a backlog. */
import type { Swap } from '../core/swap.js';
import type { SwapId } from '../core/units.js';
import { findSwap } from '../store/swaps.js';
import type { RpcContext } from './context.js';

/** The swap now, then again after every move and every block. Ends when the signal aborts or the swap is not found. */
export async function* swapStates(ctx: RpcContext, id: SwapId, signal: AbortSignal): AsyncGenerator<Swap> {
  const state = { isDirty: true, wake: (): void => undefined };
  const touch = (): void => {
    state.isDirty = true;
    state.wake();
  };
  const onSwap = (changed: SwapId): void => {
    if (changed === id) touch();
  };
  ctx.changes.on('swap', onSwap);
  ctx.changes.on('block', touch);
  signal.addEventListener('abort', touch);
  try {
    while (!signal.aborted) {
      if (!state.isDirty) {
        await new Promise<void>((resolve) => {
          state.wake = resolve;
        });
        continue;
      }
      state.isDirty = false;
      const swap = findSwap(ctx.store, id);
      if (swap === undefined) return;
      yield swap;
    }
  } finally {
    ctx.changes.off('swap', onSwap);
    ctx.changes.off('block', touch);
    signal.removeEventListener('abort', touch);
  }
}
