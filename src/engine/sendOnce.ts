/** Spends of the wallet that the operator asks for: the same request never sends twice. */
import { createHash } from 'node:crypto';

import type { TxOutput } from '../core/tx.js';
import type { AssetId, BlockHeight, Sat, Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { tiedUp } from '../store/swaps.js';
import { findRequestTx, insertTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCall, failpointsAroundCommit } from '../failpoint.js';
import { fenceReason } from './fence.js';
import { inventory } from './inventory.js';
import { judgedTip } from './tip.js';
import { signSpend } from './walletSpend.js';

export type OwnerRequest = {
  readonly kind: 'withdraw' | 'split';
  /** UUID. */
  readonly requestId: string;
  /** What was asked for: the same id with another body is refused. */
  readonly body: string;
  /**
   * The payments, and how much of which asset leaves the stock that is free; coins promised to swaps stay. Called inside
   * the wallet section, after a sync.
   */
  readonly plan: (tip: BlockHeight) => Promise<OwnerPlan>;
};

export type OwnerPlan = {
  readonly payments: readonly TxOutput[];
  readonly takes: { readonly assetId: AssetId; readonly amount: bigint };
};

export type SentSpend = { readonly txid: Txid; readonly feeSat: Sat };

/**
 * Commits the signed transaction, then broadcasts it; sweeps broadcast it again until it is final.
 *
 * @throws SwapError `insufficient_inventory`, `request_id_reused`, `feerate_too_high`, `chain_unavailable`, `fenced`.
 */
export async function sendOnce(ctx: EngineContext, request: OwnerRequest): Promise<SentSpend> {
  const fence = fenceReason(ctx);
  if (fence !== undefined) throw new SwapError('fenced', `expected a database that is no old copy, found: ${fence}`);
  const own = await ctx.walletSection.run(() => signedOnce(ctx, request));
  const outcome = await failpointsAroundCall(`broadcast ${request.kind}`, () => ctx.chain.broadcast(own.raw));
  if (outcome.kind !== 'accepted') {
    const cause = outcome.kind === 'rejected' ? outcome.text : errorChain(outcome.cause);
    ctx.log.warn({ txid: own.txid, kind: request.kind, outcome: outcome.kind, cause }, 'it is broadcast again later');
  }
  return { txid: own.txid, feeSat: own.feeSat };
}

/** The transaction that the request made before, or a new one, committed. */
async function signedOnce(ctx: EngineContext, request: OwnerRequest): Promise<SentSpend & { readonly raw: Buffer }> {
  const { kind, requestId } = request;
  const bodyHash = createHash('sha256').update(request.body).digest('hex');
  const known = findRequestTx(ctx.store, requestId);
  if (known !== undefined) {
    if (known.kind === kind && known.bodyHash === bodyHash) return known;
    throw new SwapError('request_id_reused', `request_id ${requestId}: expected the ${known.kind} it was used for`);
  }
  await ctx.wallet.sync();
  const { depthHeight: tip } = await judgedTip(ctx);
  const { payments, takes } = await request.plan(tip);
  requireFree(ctx, tip, takes);
  const spend = await signSpend(ctx, { payments, tip });
  failpointsAroundCommit(`${kind}_signed`, () => {
    ctx.store.tx(() => {
      // A swap may have been promised coins while this was signed.
      const isLbtc = takes.assetId === ctx.policyAsset;
      requireFree(ctx, tip, { ...takes, amount: takes.amount + (isLbtc ? spend.feeSat : 0n) });
      if (!isLbtc) requireFree(ctx, tip, { assetId: ctx.policyAsset, amount: spend.feeSat });
      insertTx(ctx.store, { ...spend, kind, version: 1, signedHeight: tip, requestId, bodyHash }, ctx.now());
    });
  });
  return spend;
}

/** Coins promised to swaps and kept for refunds stay. */
function requireFree(ctx: EngineContext, tip: BlockHeight, wanted: OwnerPlan['takes']): void {
  const free = inventory(ctx, tip).get(wanted.assetId)?.available ?? 0n;
  if (free >= wanted.amount) return;
  const promised = tiedUp(ctx.store, ctx.policyAsset).get(wanted.assetId)?.reserved ?? 0n;
  throw new SwapError(
    'insufficient_inventory',
    `asset ${wanted.assetId}: ${wanted.amount.toString()} needed, ${free.toString()} free, ${promised.toString()} promised to swaps`,
  );
}
