/** Step S3: chooses T, builds and signs the funding, and commits it with its coins before anybody sees it. */
import { findFundingOutputs, fundingOutputs } from '../core/funding.js';
import { htlcWitnessScript, p2wshScriptPubKey, pubkeyHash } from '../core/htlc.js';
import type { Swap } from '../core/swap.js';
import { PROFILES, refundHeightFor } from '../core/timelock.js';
import { parseTransaction, type HtlcOutpoint } from '../core/tx.js';
import type { BlockHeight } from '../core/units.js';
import { SwapError } from '../errors.js';
import { findPause } from '../store/meta.js';
import { findSwap, moveSwap } from '../store/swaps.js';
import { insertTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCommit } from '../failpoint.js';
import { fenceReason } from './fence.js';
import { judgedTip, type JudgedTip } from './tip.js';
import { signSpend } from './walletSpend.js';

/** The HTLC of a swap whose funding is signed on `tip`. */
function htlcFor(ctx: EngineContext, swap: Swap, tip: BlockHeight) {
  const refundHeight = refundHeightFor(PROFILES[swap.profile], tip);
  const witnessScript = htlcWitnessScript({
    paymentHash: swap.paymentHash,
    claimPkh: pubkeyHash(swap.claimPubkey),
    refundPkh: pubkeyHash(ctx.keys.refundKey(swap.keyIndex).pubkey),
    refundHeight,
  });
  const scriptPubKey = p2wshScriptPubKey(witnessScript);
  const outputs = fundingOutputs({ ...swap, policyAsset: ctx.policyAsset, scriptPubKey });
  return { refundHeight, witnessScript, scriptPubKey, outputs };
}

/** What we signed is checked as the buyer will check it. */
function parseBack(raw: Buffer, htlc: ReturnType<typeof htlcFor>): readonly HtlcOutpoint[] {
  const check = findFundingOutputs(parseTransaction(raw), { scriptPubKey: htlc.scriptPubKey, expected: htlc.outputs });
  if (!check.ok) throw new Error(`our own funding is wrong: ${check.problem.message}`);
  return check.outpoints;
}

/** T is chosen from this very tip, so this very tip must pass the tip rule. @throws SwapError `degraded`. */
async function believableTip(ctx: EngineContext): Promise<JudgedTip> {
  const judged = await judgedTip(ctx);
  if (judged.problem !== undefined) throw new SwapError('degraded', judged.problem);
  return judged;
}

/** What nextDuty saw may have changed while the transaction was built. */
const mayStillFund = (ctx: EngineContext, swap: Swap): boolean =>
  findPause(ctx.store) === undefined &&
  ctx.health.degradedReason === undefined &&
  fenceReason(ctx) === undefined &&
  !swap.isRestored &&
  ctx.now() <= swap.fundBy;

/**
 * Signs and commits the funding of a swap in state INVOICED. A crash before the commit leaves nothing; after it the
 * bytes are never built again.
 *
 * @throws SwapError `insufficient_inventory`, `feerate_too_high` (the swap waits), `chain_unavailable`.
 */
export async function fund(ctx: EngineContext, swap: Swap & { readonly state: 'INVOICED' }): Promise<void> {
  await ctx.walletSection.run(async () => {
    await ctx.wallet.sync();
    const { tip: highest, depthHeight } = await believableTip(ctx);
    const tip = highest.height;
    const htlc = htlcFor(ctx, swap, tip);
    const spend = await signSpend(ctx, { payments: htlc.outputs, tip: depthHeight });
    const outpoints = parseBack(spend.raw, htlc);
    const commit = (): void => {
      const current = findSwap(ctx.store, swap.id);
      if (current?.state !== 'INVOICED' || current.payment !== 'OPEN' || !mayStillFund(ctx, current)) return;
      insertTx(ctx.store, { ...spend, swapId: swap.id, kind: 'funding', version: 1, signedHeight: tip }, ctx.now());
      const { refundHeight, witnessScript } = htlc;
      const funding = { fundingTxid: spend.txid, refundHeight, witnessScript, outpoints };
      moveSwap(ctx.store, current, { kind: 'funding_signed', funding }, ctx.now());
    };
    failpointsAroundCommit('funding_signed', () => {
      ctx.generation.commit(commit);
    });
    ctx.chain.subscribe(htlc.scriptPubKey);
  });
}
