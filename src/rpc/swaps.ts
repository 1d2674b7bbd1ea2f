/** GetSwap and WatchSwap. */
import { isFinalState, type Swap } from '../core/swap.js';
import type { SwapId } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { GetSwapRequest, Swap as SwapMessage, WatchSwapRequest } from '../gen/ln_liquid_swap/v1/swap.js';
import { findSwap } from '../store/swaps.js';
import { swapStates } from './changes.js';
import type { BuyerCall, RpcContext } from './context.js';
import { toSwapMessage } from './convert.js';
import { parseRequest, swapIdSchema } from './parse.js';

/** Nobody learns of another's swaps: a foreign one is not found. */
function ownSwap(ctx: RpcContext, id: SwapId, principal: string): Swap {
  const swap = findSwap(ctx.store, id);
  if (swap?.principal === principal) return swap;
  throw new SwapError('swap_not_found', `expected a swap of yours, found none with id ${id}`);
}

export async function getSwap(
  ctx: RpcContext,
  request: GetSwapRequest,
  call: BuyerCall,
): Promise<{ swap: SwapMessage }> {
  const { swapId } = parseRequest(swapIdSchema, request);
  return { swap: await toSwapMessage(ctx, ownSwap(ctx, swapId, call.principal)) };
}

/**
 * The present state, then every change of the swap or of its funding's depth. Ends after a final state. A server that is
 * silent for a moment is no change: the depth stays what it was.
 */
export async function* watchSwap(
  ctx: RpcContext,
  request: WatchSwapRequest,
  call: BuyerCall,
): AsyncGenerator<{ swap: SwapMessage }> {
  const { swapId } = parseRequest(swapIdSchema, request);
  ownSwap(ctx, swapId, call.principal);
  let shown: SwapMessage | undefined;
  for await (const swap of swapStates(ctx, swapId, call.signal)) {
    const message = await toSwapMessage(ctx, swap, shown?.fundingConfs);
    if (message.version !== shown?.version || message.fundingConfs !== shown.fundingConfs) yield { swap: message };
    shown = message;
    if (isFinalState(swap.state)) return;
  }
}
