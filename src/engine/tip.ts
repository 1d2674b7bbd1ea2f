/** The tip rule as the seller applies it: against the clock and the last line of tips that it accepted. */
import { judgeTips, PACE_BLOCKS, paceProblem } from '../core/tipRule.js';
import { blockHeight, unixSecs, type BlockHeight } from '../core/units.js';
import type { Tip } from '../liquid/chain.js';
import { findAcceptedTip, saveAcceptedTip } from '../store/meta.js';
import type { EngineContext } from './context.js';

const SECS_PER_BLOCK = 60;

/** Why these tips must not decide about money, or undefined if they may. */
function tipProblem(ctx: EngineContext, tips: readonly Tip[]): string | undefined {
  const last = findAcceptedTip(ctx.store);
  const lastAccepted = last === undefined ? undefined : { height: last.height, at: last.acceptedAt };
  const { network, serversNeeded } = ctx;
  const verdict = judgeTips({ tips, serversNeeded, network, now: ctx.now(), lastAccepted });
  return verdict.ok ? ctx.chain.disagreement() : verdict.problem;
}

/** The tips of all servers, judged. */
export type JudgedTip = {
  /** The highest: what is left until T is reckoned from it. */
  readonly tip: Tip;
  /** The lowest height: confirmations are counted from it, so that no server adds any by a tip of its own. */
  readonly depthHeight: BlockHeight;
  /** Why they must not decide about money. */
  readonly problem: string | undefined;
};

/** Asks every server for its tip. @throws SwapError `chain_unavailable`. */
export async function judgedTip(ctx: EngineContext): Promise<JudgedTip> {
  const tips = await ctx.chain.tips();
  const [first, ...others] = tips;
  if (first === undefined) throw new Error('the chain port told no tip and no error');
  const tip = others.reduce((highest, each) => (each.height > highest.height ? each : highest), first);
  const depthHeight = blockHeight(Math.min(...tips.map((each) => each.height)));
  return { tip, depthHeight, problem: tipProblem(ctx, tips) };
}

/** Liquid makes at most one block a minute; a chain that runs faster is none to trust. @throws SwapError `chain_unavailable`. */
export async function tooFast(ctx: EngineContext, tip: Tip): Promise<string | undefined> {
  if (ctx.network === 'regtest' || tip.height <= PACE_BLOCKS) return undefined;
  return paceProblem(await ctx.chain.blockAt(blockHeight(tip.height - PACE_BLOCKS)), tip);
}

/**
 * Takes a tip that was judged, and remembers the line that later tips are measured against. The line rises by one block a
 * minute at most, so that many small lies do not add up.
 */
export function acceptTip(ctx: EngineContext, tip: Tip, problem: string | undefined): void {
  ctx.health.tip = tip;
  if (problem !== ctx.health.degradedReason) {
    ctx.health.degradedReason = problem;
    if (problem !== undefined) ctx.log.error({ reason: problem }, 'degraded');
  }
  const last = findAcceptedTip(ctx.store);
  if (problem !== undefined || last?.hash === tip.hash || ctx.store.isReadOnly) return;
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
