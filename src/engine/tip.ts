/** The tip rule as the seller applies it: against the clock and the last line of tips that it accepted. */
import { judgeTips } from '../core/tipRule.js';
import { blockHeight, unixSecs } from '../core/units.js';
import type { Tip } from '../liquid/chain.js';
import { findAcceptedTip, saveAcceptedTip } from '../store/meta.js';
import type { EngineContext } from './context.js';

const SECS_PER_BLOCK = 60;

/** Why this tip must not decide about money, or undefined if it may. */
export function tipProblem(ctx: EngineContext, tip: Tip): string | undefined {
  const last = findAcceptedTip(ctx.store);
  const lastAccepted = last === undefined ? undefined : { height: last.height, at: last.acceptedAt };
  const verdict = judgeTips({ tips: [tip], network: ctx.network, now: ctx.now(), lastAccepted });
  return verdict.ok ? undefined : verdict.problem;
}

/**
 * Takes a tip that arrived, and remembers the line that later tips are measured against. The line rises by one block a
 * minute at most, so that many small lies do not add up.
 */
export function acceptTip(ctx: EngineContext, tip: Tip): void {
  const reason = tipProblem(ctx, tip);
  ctx.health.tip = tip;
  if (reason !== ctx.health.degradedReason) {
    ctx.health.degradedReason = reason;
    if (reason !== undefined) ctx.log.error({ reason }, 'degraded');
  }
  const last = findAcceptedTip(ctx.store);
  if (reason !== undefined || last?.hash === tip.hash || ctx.store.isReadOnly) return;
  const now = ctx.now();
  const minutes = last === undefined ? 0 : Math.max(0, Math.floor((now - last.acceptedAt) / SECS_PER_BLOCK));
  const isOnLine = last === undefined || tip.height <= last.height + minutes;
  const line = isOnLine
    ? { height: tip.height, acceptedAt: now }
    : { height: blockHeight(last.height + minutes), acceptedAt: unixSecs(last.acceptedAt + minutes * SECS_PER_BLOCK) };
  ctx.store.tx(() => {
    saveAcceptedTip(ctx.store, { ...line, hash: tip.hash });
  });
}
