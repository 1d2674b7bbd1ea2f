/** Turns changes of the Liquid chain into reconciles. Reports facts and decides nothing about swaps. */
import { p2wshScriptPubKey } from '../core/htlc.js';
import { isFunded } from '../core/swap.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { parseTransaction } from '../core/tx.js';
import { hex, type SwapId } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { confirmations } from '../liquid/chain.js';
import { findSwap, openSwapIds } from '../store/swaps.js';
import { markTxFinal, pendingWalletTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { inBackground } from './loop.js';
import type { Reconciler } from './reconcile.js';
import { acceptTip } from './tip.js';

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
  try {
    await reconciler.reconcileAll();
  } catch (error) {
    ctx.log.error({ cause: errorChain(error) }, 'open swaps could not be read');
  }
  ctx.changes.emit('block');
}

/** Withdrawals are broadcast again until they are final; unknown is never "not sent". */
async function rebroadcastWalletTxs(ctx: EngineContext): Promise<void> {
  for (const own of pendingWalletTxs(ctx.store)) {
    try {
      await rebroadcast(ctx, own);
    } catch (error) {
      // A recipient with too long a history must not count as a server that is away.
      ctx.log.warn({ txid: own.txid, cause: errorChain(error) }, 'withdrawal not looked at');
    }
  }
}

async function rebroadcast(ctx: EngineContext, own: OwnTx): Promise<void> {
  const { outs } = parseTransaction(own.raw);
  const output = outs.find(({ script }) => ctx.wallet.ownsScript(script)) ?? outs[0];
  if (output === undefined) return;
  const history = await ctx.chain.history(output.script);
  const seen = history.find((entry) => entry.txid === own.txid);
  const tip = await ctx.chain.tip();
  if (seen === undefined) await ctx.chain.broadcast(own.raw);
  else if (confirmations(seen.height, tip.height) >= FINAL_CONFS) {
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
