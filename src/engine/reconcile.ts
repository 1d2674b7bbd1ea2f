/**
 * The one function that drives a swap: load -> facts -> duty -> perform, until nothing is due. Boot, blocks, Lightning
 * updates, reconnects and RPCs all call it, so recovery is normal operation.
 */
import { alarmsOf, nextDuty } from '../core/duty.js';
import type { Duty } from '../core/facts.js';
import { p2wshScriptPubKey } from '../core/htlc.js';
import { isDone, isFunded, type FundedSwap } from '../core/swap.js';
import { hex, type SwapId } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { findSwap, openSwapIds } from '../store/swaps.js';
import { writeBundle } from './bundle.js';
import { alarmOnce, type EngineContext } from './context.js';
import { gatherFacts } from './facts.js';
import { perform } from './perform.js';

/** A pass that needs more steps than the longest path of a swap has a bug; it stops and is tried again later. */
const MAX_STEPS = 24;

export type Reconciler = {
  /** Drives one swap as far as it goes now. Calls for the same swap are serialized and merged. Never rejects. */
  readonly reconcile: (id: SwapId) => Promise<void>;
  /**
   * Drives every open swap. Never rejects.
   *
   * @param options.isThorough also looks up what nothing depends on at present; default true.
   */
  readonly reconcileAll: (options?: { readonly isThorough: boolean }) => Promise<void>;
  /** Waits until nothing is running. */
  readonly idle: () => Promise<void>;
};

export function createReconciler(ctx: EngineContext): Reconciler {
  const running = new Map<SwapId, { promise: Promise<void>; isAgain: boolean; isThorough: boolean }>();

  const drive = (id: SwapId, isThorough: boolean): Promise<void> => {
    const current = running.get(id);
    if (current !== undefined) {
      current.isAgain = true; // something changed while it ran: one more pass sees it
      current.isThorough ||= isThorough;
      return current.promise;
    }
    const entry = { promise: Promise.resolve(), isAgain: false, isThorough };
    running.set(id, entry);
    entry.promise = (async () => {
      try {
        for (entry.isAgain = true; entry.isAgain;) {
          const now = { isThorough: entry.isThorough };
          entry.isAgain = false;
          entry.isThorough = false;
          await pass(ctx, id, now);
        }
      } finally {
        running.delete(id);
      }
    })();
    return entry.promise;
  };

  return {
    reconcile: (id) => drive(id, true),
    reconcileAll: async ({ isThorough } = { isThorough: true }) => {
      await Promise.all(openSwapIds(ctx.store).map((id) => drive(id, isThorough)));
    },
    idle: async () => {
      while (running.size > 0) await Promise.all([...running.values()].map((entry) => entry.promise));
    },
  };
}

/** Listens to the HTLC, and writes the recovery bundle if a crash or a full disk kept it from being written. */
function prepare(ctx: EngineContext, swap: FundedSwap): void {
  const scriptPubKey = p2wshScriptPubKey(swap.witnessScript);
  ctx.chain.subscribe(scriptPubKey);
  ctx.htlcScripts.set(hex(scriptPubKey), swap.id);
  try {
    writeBundle(ctx.bundleDir, swap);
  } catch (error) {
    ctx.log.error({ swapId: swap.id, cause: errorChain(error) }, 'recovery bundle not written');
  }
}

function forget(ctx: EngineContext, swap: FundedSwap): void {
  const scriptPubKey = p2wshScriptPubKey(swap.witnessScript);
  ctx.chain.unsubscribe(scriptPubKey);
  ctx.htlcScripts.delete(hex(scriptPubKey));
}

/** One pass. Each call to the outside is made at most once; what it led to is looked up in the next step. */
async function pass(ctx: EngineContext, id: SwapId, options: { readonly isThorough: boolean }): Promise<void> {
  const tried = new Set<Duty['kind']>();
  for (let step = 0; step < MAX_STEPS; step += 1) {
    let kind: Duty['kind'] = 'wait';
    try {
      const swap = findSwap(ctx.store, id);
      if (swap === undefined || isDone(swap)) return;
      if (isFunded(swap)) prepare(ctx, swap);
      const facts = await gatherFacts(ctx, swap, options);
      for (const alarm of alarmsOf(swap, facts)) alarmOnce(ctx, `swap ${swap.id}: ${alarm}`);
      const duty = nextDuty(swap, facts, tried);
      ({ kind } = duty);
      if (duty.kind === 'wait') return;
      if (duty.kind !== 'record') tried.add(duty.kind);
      await perform(ctx, swap, duty);
      const moved = findSwap(ctx.store, id);
      if (moved !== undefined && isDone(moved) && isFunded(swap)) forget(ctx, swap);
    } catch (error) {
      if (error instanceof SwapError && error.code === 'version_conflict') continue;
      const level = error instanceof SwapError ? 'warn' : 'error';
      ctx.log[level]({ swapId: id, cause: errorChain(error) }, 'duty not done; it is tried again');
      if (!(error instanceof SwapError)) return;
      tried.add(kind); // read-only: what needs a commit is skipped, broadcasts and calls go on
    }
  }
}
