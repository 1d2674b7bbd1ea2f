/** Notices reorganisations. Swaps need no notice of them, every look starts from the tip; but a deep one is an incident. */
import { FINAL_CONFS, MAX_REORG_BLOCKS } from '../core/timelock.js';
import { blockHeight } from '../core/units.js';
import type { Tip } from '../liquid/chain.js';
import { forgetBlocksFrom, recentBlocks, saveRecentBlock, type SeenBlock } from '../store/blocks.js';
import { savePause } from '../store/meta.js';
import { reopenTxsFrom } from '../store/txs.js';
import { pauseReason, tellAlarm, type EngineContext } from './context.js';
import { failpointsAroundCommit } from '../failpoint.js';

/** Transactions of ours that were signed so long before an undone block may have been in it. */
const REOPENED_BLOCKS = 100;

/**
 * Compares the seen blocks with the chain as served now; more than {@link MAX_REORG_BLOCKS} undone blocks pause new
 * business. One request a new block in most cases, and one a replaced block.
 *
 * @param tip one that passed the tip rule: a made-up height would make all real blocks look undone.
 * @throws SwapError `chain_unavailable`; then it is looked at again with the next sweep.
 */
export async function watchReorgs(ctx: EngineContext, tip: Tip): Promise<void> {
  const seen = recentBlocks(ctx.store);
  const [last] = seen;
  if (last?.hash === tip.hash || ctx.store.isReadOnly) return;
  const lowest = await lowestReplaced(ctx, seen, tip);
  if (last !== undefined && lowest === undefined && tip.height < last.height) return; // a server that lags
  const undone = last === undefined || lowest === undefined ? 0 : last.height - lowest.height + 1;
  const added = await lastBlocks(
    ctx,
    tip,
    lowest === undefined ? seen : seen.filter((each) => each.height < lowest.height),
  );
  const isDeep = undone > MAX_REORG_BLOCKS;
  const text = `a reorganisation of Liquid undid at least ${undone} blocks from height ${lowest?.height ?? 0} on`;
  const remember = (): void => {
    if (lowest !== undefined) forgetBlocksFrom(ctx.store, lowest.height);
    for (const block of added) saveRecentBlock(ctx.store, block);
    if (lowest !== undefined && undone >= FINAL_CONFS) reopenTxsFrom(ctx.store, lowest.height - REOPENED_BLOCKS);
    if (isDeep) savePause(ctx.store, pauseReason(text));
  };
  if (undone === 0) ctx.store.tx(remember);
  else
    failpointsAroundCommit('reorganised', () => {
      ctx.store.tx(remember);
    });
  if (undone > 0) ctx.log.warn({ blocks: undone, tip: tip.height }, 'the Liquid chain was reorganised');
  if (isDeep) tellAlarm(ctx, text);
}

/** The lowest of the seen blocks that the chain does not have any more. What lies above the tip may still be there. */
async function lowestReplaced(
  ctx: EngineContext,
  seen: readonly SeenBlock[],
  tip: Tip,
): Promise<SeenBlock | undefined> {
  let lowest: SeenBlock | undefined;
  for (const block of seen) {
    if (block.height > tip.height) continue;
    const served = block.height === tip.height ? tip : await ctx.chain.blockAt(block.height);
    if (served.hash === block.hash) return lowest;
    lowest = block;
  }
  return lowest;
}

/** The tip and the blocks below it, lowest first, as far as they were not seen: gaps would hide how deep a reorganisation is. */
async function lastBlocks(ctx: EngineContext, tip: Tip, seen: readonly SeenBlock[]): Promise<readonly SeenBlock[]> {
  const highest = seen[0]?.height ?? 0;
  const added: SeenBlock[] = [];
  for (let height = Math.max(1, highest + 1, tip.height - MAX_REORG_BLOCKS); height < tip.height; height += 1) {
    added.push(await ctx.chain.blockAt(blockHeight(height)));
  }
  return [...added, tip];
}
