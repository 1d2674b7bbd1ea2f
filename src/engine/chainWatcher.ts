/** Turns changes of the Liquid chain into reconciles. Reports facts and decides nothing about swaps. */
import { p2wshScriptPubKey } from '../core/htlc.js';
import { isFunded } from '../core/swap.js';
import { judgeTips } from '../core/tipRule.js';
import { hex, type SwapId } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Tip } from '../liquid/chain.js';
import { findAcceptedTip, saveAcceptedTip } from '../store/meta.js';
import { findSwap, openSwapIds } from '../store/swaps.js';
import { markTxFinal, pendingWalletTxs } from '../store/txs.js';
import { FINAL_CONFS } from '../core/duty.js';
import { confirmations } from '../liquid/chain.js';
import { parseTransaction } from '../core/tx.js';
import type { EngineContext } from './context.js';
import { inBackground } from './loop.js';
import type { Reconciler } from './reconcile.js';

/** Applies the tip rule to a tip that just arrived and remembers it if it passed. */
function acceptTip(ctx: EngineContext, tip: Tip): void {
  const last = findAcceptedTip(ctx.store);
  const now = ctx.now();
  const verdict = judgeTips({
    tips: [tip],
    network: ctx.network,
    now,
    lastAccepted: last === undefined ? undefined : { height: last.height, at: last.acceptedAt },
  });
  ctx.health.tip = tip;
  const reason = verdict.ok ? undefined : verdict.problem;
  if (reason !== ctx.health.degradedReason) {
    ctx.health.degradedReason = reason;
    if (reason !== undefined) ctx.log.error({ reason }, 'degraded');
  }
  if (verdict.ok && last?.hash !== tip.hash) {
    ctx.store.tx(() => {
      saveAcceptedTip(ctx.store, { height: tip.height, hash: tip.hash, acceptedAt: now });
    });
  }
}

/** One look at the chain: tip rule, wallet, own wallet transactions, then every open swap. */
export async function sweepChain(ctx: EngineContext, reconciler: Reconciler): Promise<void> {
  try {
    const tip = await ctx.chain.tip();
    await ctx.wallet.sync();
    acceptTip(ctx, tip); // only now, so that nobody counts an inventory that was not scanned
    await rebroadcastWalletTxs(ctx);
  } catch (error) {
    const isServerAway = error instanceof SwapError && error.code === 'chain_unavailable';
    if (isServerAway) ctx.health.degradedReason ??= 'the Electrum server does not answer';
    ctx.log.warn({ cause: errorChain(error) }, 'chain sweep failed');
  }
  await reconciler.reconcileAll();
  ctx.changes.emit('block');
}

/** Withdrawals are broadcast again until they are final; unknown is never "not sent". */
async function rebroadcastWalletTxs(ctx: EngineContext): Promise<void> {
  for (const own of pendingWalletTxs(ctx.store)) {
    const [output] = parseTransaction(own.raw).outs;
    if (output === undefined) continue;
    const history = await ctx.chain.history(output.script);
    const seen = history.find((entry) => entry.txid === own.txid);
    const tip = await ctx.chain.tip();
    if (seen === undefined) await ctx.chain.broadcast(own.raw);
    else if (confirmations(seen.height, tip.height) >= FINAL_CONFS)
      ctx.store.tx(() => {
        markTxFinal(ctx.store, own.id);
      });
  }
}

/** The open swap whose HTLC has this script. */
function swapOfScript(ctx: EngineContext, scriptPubKeyHex: string): SwapId | undefined {
  return openSwapIds(ctx.store).find((id) => {
    const swap = findSwap(ctx.store, id);
    return swap !== undefined && isFunded(swap) && hex(p2wshScriptPubKey(swap.witnessScript)) === scriptPubKeyHex;
  });
}

/** Listens until the returned function is called. `wake` starts a sweep soon. */
export function watchChain(ctx: EngineContext, reconciler: Reconciler, wake: () => void): () => void {
  return ctx.chain.onChange((change) => {
    switch (change.kind) {
      case 'block':
      case 'connected':
        wake();
        return;
      case 'disconnected':
        ctx.log.warn('Electrum connection lost');
        return;
      case 'script': {
        const id = swapOfScript(ctx, change.scriptPubKeyHex);
        if (id !== undefined) inBackground(ctx.log, 'reconcile', reconciler.reconcile(id));
        return;
      }
      default:
        throw new Error(`unknown change ${JSON.stringify(change satisfies never)}`);
    }
  });
}
