/** Notices reorganisations. Swaps need no notice of them, every look starts from the tip; but a deep one is an incident. */
import { MAX_REORG_BLOCKS } from '../core/timelock.js';
import type { Tip } from '../liquid/chain.js';
import { recentBlocks, saveRecentBlock } from '../store/blocks.js';
import { alarmOnce, type EngineContext } from './context.js';

/**
 * Compares the seen blocks with the chain as served now; more than {@link MAX_REORG_BLOCKS} undone blocks pause new
 * business. One request a new block, and one a replaced block.
 *
 * @throws SwapError `chain_unavailable`; then it is looked at again with the next sweep.
 */
export async function watchReorgs(ctx: EngineContext, tip: Tip): Promise<void> {
  const seen = recentBlocks(ctx.store);
  const [last] = seen;
  if (last?.hash === tip.hash || ctx.store.isReadOnly) return;
  let undone = 0;
  let oldest = tip;
  for (const block of seen) {
    if (block.height <= tip.height) {
      const served = await ctx.chain.blockAt(block.height);
      if (served.hash === block.hash) break;
    }
    oldest = { ...block, height: block.height };
    undone = (last?.height ?? tip.height) - block.height + 1;
  }
  ctx.store.tx(() => {
    if (undone > 0) saveRecentBlock(ctx.store, oldest); // forgets what is above it
    saveRecentBlock(ctx.store, tip);
  });
  if (undone > 0) ctx.log.warn({ blocks: undone, tip: tip.height }, 'the Liquid chain was reorganised');
  if (undone > MAX_REORG_BLOCKS) {
    alarmOnce(
      ctx,
      `a reorganisation of Liquid undid at least ${undone} blocks below height ${(last?.height ?? tip.height) + 1}`,
    );
  }
}
