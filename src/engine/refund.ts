/** Step S7: signs and commits the refund; broadcasting it is another duty. */
import { buildRefund } from '../core/htlcSpend.js';
import type { FundedSwap } from '../core/swap.js';
import { rawOf, txidOf } from '../core/tx.js';
import { findSwap } from '../store/swaps.js';
import { insertTx } from '../store/txs.js';
import type { EngineContext } from './context.js';

/**
 * Signs the refund of every outpoint to a wallet address and commits it. The rule that allows it was checked by
 * {@link isRefundAllowed}; here only what is stored is checked again.
 *
 * @throws SwapError `feerate_too_high` if the fee would exceed the subsidy.
 */
export async function signRefund(ctx: EngineContext, swap: FundedSwap): Promise<void> {
  await ctx.walletSection.run(async () => {
    const feeRate = await ctx.chain.feeRate();
    const { tx, feeSat } = buildRefund({
      zkp: ctx.zkp,
      randomBytes: ctx.randomBytes,
      outpoints: swap.outpoints,
      witnessScript: swap.witnessScript,
      privateKey: ctx.keys.refundKey(swap.keyIndex).privateKey,
      payoutScript: ctx.wallet.changeKey().scriptPubKey,
      policyAsset: ctx.policyAsset,
      feeRate: feeRate < ctx.feerateCeiling ? feeRate : ctx.feerateCeiling,
      maxFeeSat: swap.feeSubsidySat,
    });
    ctx.store.tx(() => {
      const current = findSwap(ctx.store, swap.id);
      if (current?.state !== 'FUNDED' || current.payment !== 'CANCELED') return;
      insertTx(
        ctx.store,
        { swapId: swap.id, kind: 'refund', version: 1, txid: txidOf(tx), raw: rawOf(tx), feeSat, walletInputs: [] },
        ctx.now(),
      );
    });
  });
}
