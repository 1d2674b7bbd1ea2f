/**
 * Follows our own transactions until each has its final depth or is excluded for good. Only then are coins free again: a
 * transaction that a server rejects or forgets may still confirm.
 */
import { p2wshScriptPubKey } from '../core/htlc.js';
import { isDone, isFunded, type Swap } from '../core/swap.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { parseTransaction } from '../core/tx.js';
import { blockHeight, displayHex, outpoint, txid, type BlockHeight } from '../core/units.js';
import { errorChain } from '../errors.js';
import { confirmations } from '../liquid/chain.js';
import { findSwap } from '../store/swaps.js';
import { isConflictedTx, markTxConflicted, markTxFinal, pendingTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCall, failpointsAroundCommit } from '../failpoint.js';
import { fenceReason } from './fence.js';
import { ownEntry } from './ownEntry.js';

/**
 * One look at every transaction that is still open. Open swaps see to theirs; what belongs to none (withdrawals, splits,
 * and what a reorganisation undid after its swap was done) is broadcast again here.
 */
export async function followOwnTxs(ctx: EngineContext, tip: BlockHeight): Promise<void> {
  for (const own of pendingTxs(ctx.store)) {
    const swap = own.swapId === undefined ? undefined : findSwap(ctx.store, own.swapId);
    const isOpen = swap !== undefined && !isDone(swap);
    if (own.kind === 'refund' && isOpen) continue; // its swap decides
    try {
      if ((await follow(ctx, own, { swap, tip })) === 'unseen' && !isOpen && fenceReason(ctx) === undefined) {
        await failpointsAroundCall(`broadcast ${own.kind}`, () => ctx.chain.broadcast(own.raw));
      }
    } catch (error) {
      // A recipient with too long a history must not count as a server that is away.
      ctx.log.warn({ txid: own.txid, kind: own.kind, cause: errorChain(error) }, 'own transaction not looked at');
    }
  }
}

/** Looks for one transaction and stores what is final. `unseen`: it may still confirm, and no server lists it. */
async function follow(
  ctx: EngineContext,
  own: OwnTx,
  { swap, tip }: { readonly swap: Swap | undefined; readonly tip: BlockHeight },
): Promise<'unseen' | undefined> {
  const seen = await ownEntry(ctx, own, scriptToWatch(ctx, own, swap));
  if (seen !== undefined) {
    if (confirmations(seen.height, tip) < FINAL_CONFS) return undefined;
    await ctx.chain.proveInclusion(own.txid, blockHeight(seen.height));
    commit(ctx, own, 'tx_final');
    return undefined;
  }
  if (await isExcluded(ctx, own, tip)) {
    ctx.log.warn({ txid: own.txid, kind: own.kind, swapId: own.swapId }, 'own transaction can never confirm again');
    commit(ctx, own, 'tx_conflicted');
    return undefined;
  }
  return 'unseen';
}

function commit(ctx: EngineContext, own: OwnTx, what: 'tx_final' | 'tx_conflicted'): void {
  failpointsAroundCommit(what, () => {
    ctx.store.tx(() => {
      if (what === 'tx_final') markTxFinal(ctx.store, own.id);
      else markTxConflicted(ctx.store, own.id);
    });
  });
}

/** A script that the transaction pays and that is most likely watched anyway. */
function scriptToWatch(ctx: EngineContext, own: OwnTx, swap: Swap | undefined): Buffer | undefined {
  if (own.kind === 'funding' && swap !== undefined && isFunded(swap)) return p2wshScriptPubKey(swap.witnessScript);
  const { outs } = parseTransaction(own.raw);
  return (outs.find(({ script }) => ctx.wallet.ownsScript(script)) ?? outs[0])?.script;
}

/** Another spend of one of its inputs has its final depth, or a parent of it was excluded. */
async function isExcluded(ctx: EngineContext, own: OwnTx, tip: BlockHeight): Promise<boolean> {
  for (const input of parseTransaction(own.raw).ins) {
    const parent = txid(displayHex(input.hash));
    if (isConflictedTx(ctx.store, parent)) return true;
    const spender = ctx.wallet.spenderOf(outpoint(parent, input.index));
    if (spender === undefined || spender.txid === own.txid) continue;
    if (confirmations(spender.height, tip) < FINAL_CONFS) continue;
    await ctx.chain.proveInclusion(spender.txid, blockHeight(spender.height));
    return true;
  }
  return false;
}
