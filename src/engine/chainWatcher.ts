/** Turns changes of the Liquid chain into reconciles. Reports facts and decides nothing about swaps. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain, SwapError } from '../errors.js';
import type { EngineContext } from './context.js';
import { compareWithChain } from './fence.js';
import { inBackground } from './loop.js';
import { followOwnTxs } from './ownTxs.js';
import type { Reconciler } from './reconcile.js';
import { watchReorgs } from './reorg.js';
import { acceptTip, judgedTip, tooFast } from './tip.js';

/** Even if nobody announces anything everything is asked again this often. */
const THOROUGH_MS = 60_000;
/** A call that hangs for one swap keeps the others from the next look no longer than this. */
const MAX_WAIT_MS = 2_000;
const lastThorough = new WeakMap<EngineContext, number>();

/** One look at the chain: tip rule, reorganisations, wallet, own transactions, then every open swap. */
export async function sweepChain(ctx: EngineContext, reconciler: Reconciler): Promise<void> {
  try {
    const { tip, depthHeight, problem } = await judgedTip(ctx);
    await ctx.wallet.sync();
    if (problem === undefined) await watchReorgs(ctx, tip);
    acceptTip(ctx, tip, problem ?? (await tooFast(ctx, tip))); // only now: nobody counts what was not scanned
    await compareWithChain(ctx);
    await followOwnTxs(ctx, depthHeight);
  } catch (error) {
    const isServerAway = error instanceof SwapError && error.code === 'chain_unavailable';
    if (isServerAway) ctx.health.degradedReason ??= ctx.chain.disagreement() ?? 'no Electrum server answers';
    ctx.log.warn({ cause: errorChain(error) }, 'chain sweep failed');
  }
  try {
    const passes = reconciler.reconcileAll({ isThorough: isThoroughDue(ctx) });
    await Promise.race([passes, delay(MAX_WAIT_MS, undefined, { ref: false })]);
  } catch (error) {
    ctx.log.error({ cause: errorChain(error) }, 'open swaps could not be read');
  }
  ctx.changes.emit('block');
}

function isThoroughDue(ctx: EngineContext): boolean {
  const now = performance.now();
  const isDue = now - (lastThorough.get(ctx) ?? Number.NEGATIVE_INFINITY) >= THOROUGH_MS;
  if (isDue) lastThorough.set(ctx, now);
  return isDue;
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
        const id = ctx.htlcScripts.get(change.scriptPubKeyHex);
        if (id !== undefined) inBackground(ctx.log, 'reconcile', reconciler.reconcile(id));
        return;
      }
      default:
        throw new Error(`unknown change ${JSON.stringify(change satisfies never)}`);
    }
  });
}
