/** Follows the Lightning node: its state, and hints about invoices. Truth is looked up by the reconciler. */
import { LIQUID_NETWORKS } from '../core/network.js';
import { errorChain } from '../errors.js';
import { whyUnfit } from '../lightning/fitness.js';
import { swapIdOfHash } from '../store/swaps.js';
import type { EngineContext } from './context.js';
import { compareWithNode } from './fence.js';
import { inBackground } from './loop.js';
import type { Reconciler } from './reconcile.js';

/** Looks the node up and remembers whether it can be used. */
export async function checkNode(ctx: EngineContext): Promise<void> {
  try {
    const node = await ctx.lightning.getInfo();
    ctx.health.node = node;
    await compareWithNode(ctx);
    const { bitcoinNetwork: network } = LIQUID_NETWORKS[ctx.network];
    ctx.health.lightningProblem = await whyUnfit(ctx.lightning, node, { role: 'seller', network });
  } catch (error) {
    ctx.health.lightningProblem = errorChain(error);
  }
}

/**
 * One stream of hints until it breaks. At every reconnect all swaps are looked at, because hints were missed. Nothing is
 * waited for here: a call that hangs for one swap must not keep the hints from the others.
 */
export async function followInvoices(ctx: EngineContext, reconciler: Reconciler, signal: AbortSignal): Promise<void> {
  await checkNode(ctx);
  inBackground(ctx.log, 'reconcile', reconciler.reconcileAll());
  for await (const hash of ctx.lightning.watchInvoices(signal)) {
    const id = swapIdOfHash(ctx.store, hash);
    if (id !== undefined) inBackground(ctx.log, 'reconcile', reconciler.reconcile(id));
  }
}
