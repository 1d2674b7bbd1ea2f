/** Sends an asset out of the wallet; the same request never sends twice. */
import { createHash } from 'node:crypto';

import { decodeAddress } from '../core/network.js';
import type { AssetAmount, AssetId, BlockHeight, Sat, Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { findRequestTx, insertTx } from '../store/txs.js';
import { tiedUp } from '../store/swaps.js';
import type { EngineContext } from './context.js';
import { inventory } from './inventory.js';
import { signSpend } from './walletSpend.js';

export type Withdrawal = {
  /** UUID. */
  readonly requestId: string;
  readonly address: string;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
};

/**
 * Commits the signed transaction, then broadcasts it; sweeps broadcast it again until it is final.
 *
 * @throws SwapError `invalid_argument` for a wrong address, `insufficient_inventory` (what swaps were promised is not
 *   touched), `request_id_reused`, `feerate_too_high`, `chain_unavailable`.
 */
export async function withdraw(
  ctx: EngineContext,
  request: Withdrawal,
): Promise<{ readonly txid: Txid; readonly feeSat: Sat }> {
  const payTo = decodeAddress(request.address, ctx.network);
  const bodyHash = createHash('sha256')
    .update(`${request.address}\n${request.assetId}\n${request.assetAmount.toString()}\n`)
    .digest('hex');
  const own = await ctx.walletSection.run(async () => {
    const known = findRequestTx(ctx.store, request.requestId);
    if (known !== undefined) {
      if (known.bodyHash === bodyHash) return known;
      throw new SwapError(
        'request_id_reused',
        `request_id ${request.requestId}: expected the withdrawal it was used for`,
      );
    }
    await ctx.wallet.sync();
    const tip = (await ctx.chain.tip()).height;
    requireFree(ctx, tip, { ...request, needed: request.assetAmount });
    const payments = [{ ...payTo, assetId: request.assetId, value: request.assetAmount }];
    const spend = await signSpend(ctx, { payments, tip });
    ctx.store.tx(() => {
      // A swap may have been promised coins while this was signed.
      const { assetId, assetAmount } = request;
      const isLbtc = assetId === ctx.policyAsset;
      requireFree(ctx, tip, { assetId, needed: assetAmount + (isLbtc ? spend.feeSat : 0n) });
      if (!isLbtc) requireFree(ctx, tip, { assetId: ctx.policyAsset, needed: spend.feeSat });
      insertTx(
        ctx.store,
        { ...spend, kind: 'withdraw', version: 1, signedHeight: tip, requestId: request.requestId, bodyHash },
        ctx.now(),
      );
    });
    return spend;
  });
  const outcome = await ctx.chain.broadcast(own.raw);
  if (outcome.kind !== 'accepted') {
    const cause = outcome.kind === 'rejected' ? outcome.text : errorChain(outcome.cause);
    ctx.log.warn({ txid: own.txid, outcome: outcome.kind, cause }, 'withdrawal is broadcast again later');
  }
  return { txid: own.txid, feeSat: own.feeSat };
}

/** Coins promised to swaps stay. */
function requireFree(
  ctx: EngineContext,
  tip: BlockHeight,
  request: { readonly assetId: AssetId; readonly needed: bigint },
): void {
  const free = inventory(ctx, tip).get(request.assetId)?.available ?? 0n;
  if (free >= request.needed) return;
  const promised = tiedUp(ctx.store, ctx.policyAsset).get(request.assetId)?.reserved ?? 0n;
  throw new SwapError(
    'insufficient_inventory',
    `asset ${request.assetId}: ${request.needed.toString()} needed, ${free.toString()} free, ${promised.toString()} promised to swaps`,
  );
}
