/** Step S7: signs and commits refunds; broadcasting them is another duty. */
import { buildRefund } from '../core/htlcSpend.js';
import type { FundedSwap } from '../core/swap.js';
import { fullVsize, parseTransaction, rawOf, txidOf, type HtlcOutpoint } from '../core/tx.js';
import { satPerKvb, type Sat, type SatPerKvb } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { findSwap } from '../store/swaps.js';
import { findSwapTx, insertTx, swapTxs, type NewTx, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCall, failpointsAroundCommit } from './failpoint.js';

/** A replacement pays at least half as much again: more than the relay's own increment for any size. */
const BUMP_NUMERATOR = 3n;
const BUMP_DENOMINATOR = 2n;

/** What is left to refund: everything, or the subsidy that the buyer of a claimed swap left. */
const outpointsOf = (swap: FundedSwap): readonly HtlcOutpoint[] =>
  swap.state === 'CLAIMED' ? swap.outpoints.slice(1) : swap.outpoints;

/**
 * Signs the refund to a wallet address and commits it; one that was signed before is replaced by one with a higher fee
 * over the same outpoints. The rule that allows it was checked by `isRefundAllowed`; here only what is stored is checked
 * again. If nothing can be stored any more the refund goes out without a commit: it spends fixed outpoints to our own key.
 *
 * @throws SwapError `feerate_too_high` if the fee would exceed the subsidy or the operator's ceiling.
 */
export async function signRefund(ctx: EngineContext, swap: FundedSwap): Promise<void> {
  await ctx.walletSection.run(async () => {
    const { height } = await ctx.chain.tip();
    const before = findSwapTx(ctx.store, swap.id, 'refund');
    const spend = buildRefund({
      zkp: ctx.zkp,
      randomBytes: ctx.randomBytes,
      outpoints: outpointsOf(swap),
      witnessScript: swap.witnessScript,
      privateKey: ctx.keys.refundKey(swap.keyIndex).privateKey,
      payoutScript: ctx.wallet.changeKey().scriptPubKey,
      policyAsset: ctx.policyAsset,
      feeRate: refundRate(ctx, await ctx.chain.feeRate(), before),
      maxFeeSat: swap.feeSubsidySat,
    });
    const own = { txid: txidOf(spend.tx), raw: rawOf(spend.tx), feeSat: spend.feeSat, walletInputs: [] };
    if (ctx.store.isReadOnly) {
      await sendUnstored(ctx, swap, own.raw);
      return;
    }
    requireMore(before, own.feeSat);
    const [newest] = swapTxs(ctx.store, swap.id, 'refund');
    const version = (newest?.version ?? 0) + 1;
    commitRefund(ctx, swap, { ...own, swapId: swap.id, kind: 'refund', version, signedHeight: height });
  });
}

/** The server's rate, and more than a refund before it paid; never above the operator's ceiling. */
function refundRate(ctx: EngineContext, current: SatPerKvb, before: OwnTx | undefined): SatPerKvb {
  const vsize = before === undefined ? 1 : fullVsize(parseTransaction(before.raw));
  const paid = before === undefined ? 0n : (before.feeSat * 1_000n) / BigInt(vsize);
  const bumped = (paid * BUMP_NUMERATOR) / BUMP_DENOMINATOR;
  const wanted = satPerKvb(bumped > current ? bumped : current);
  return wanted < ctx.feerateCeiling ? wanted : ctx.feerateCeiling;
}

function requireMore(before: OwnTx | undefined, feeSat: Sat): void {
  if (before === undefined || feeSat > before.feeSat) return;
  throw new SwapError(
    'feerate_too_high',
    `refund: expected a fee above ${before.feeSat.toString()} sat, found ${feeSat.toString()} at the ceiling`,
  );
}

function commitRefund(ctx: EngineContext, swap: FundedSwap, tx: NewTx): void {
  const commit = (): void => {
    const current = findSwap(ctx.store, swap.id);
    const isSubsidy = swap.state === 'CLAIMED';
    const isAllowed = isSubsidy ? current?.isSubsidyOpen === true : current?.payment === 'CANCELED';
    if (isAllowed && current?.state === swap.state) insertTx(ctx.store, tx, ctx.now());
  };
  failpointsAroundCommit('refund_signed', () => {
    ctx.generation.commit(commit);
  });
}

async function sendUnstored(ctx: EngineContext, swap: FundedSwap, raw: Buffer): Promise<void> {
  const outcome = await failpointsAroundCall('broadcast refund', () => ctx.chain.broadcast(raw));
  const cause = outcome.kind === 'unknown' ? errorChain(outcome.cause) : undefined;
  ctx.log.warn({ swapId: swap.id, outcome: outcome.kind, cause }, 'refund broadcast without a commit');
}
