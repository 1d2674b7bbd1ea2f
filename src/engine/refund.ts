/** Step S7: signs and commits refunds; broadcasting them is another duty. */
import { buildRefund, type HtlcSpend } from '../core/htlcSpend.js';
import { BUMP_DENOMINATOR, BUMP_NUMERATOR, RELAY_INCREMENT } from '../core/replacement.js';
import type { FundedSwap } from '../core/swap.js';
import {
  feeFor,
  fullVsize,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  txidOf,
  type HtlcOutpoint,
} from '../core/tx.js';
import { MAX_MONEY, sat, satPerKvb, type BlockHeight, type Outpoint, type Sat, type SatPerKvb } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Coin } from '../liquid/wallet.js';
import { findSwap } from '../store/swaps.js';
import { findSwapTx, insertTx, swapTxs, type NewTx, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCall, failpointsAroundCommit } from '../failpoint.js';
import { feeCoins } from './feeCoin.js';
import { judgedTip } from './tip.js';

/** A transaction with a confidential output is larger than this, vB. */
const CONFIDENTIAL_VSIZE = 1_000;

/** What is left to refund: everything, or the subsidy that the buyer of a claimed swap left. */
const outpointsOf = (swap: FundedSwap): readonly HtlcOutpoint[] =>
  swap.state === 'CLAIMED' ? swap.outpoints.slice(1) : swap.outpoints;

/**
 * Signs the refund to a wallet address and commits it; one that was signed before is replaced by one with a higher fee
 * over the same outpoints. The rule that allows it was checked by `isRefundAllowed`; here only what is stored is checked
 * again. If nothing can be stored any more the refund goes out without a commit: it spends fixed outpoints to our own key.
 *
 * @throws SwapError `feerate_too_high` if nothing can pay the fee, or the operator's ceiling forbids it.
 */
export async function signRefund(ctx: EngineContext, swap: FundedSwap): Promise<void> {
  await ctx.walletSection.run(async () => {
    const { depthHeight: height } = await judgedTip(ctx);
    const before = findSwapTx(ctx.store, swap.id, 'refund');
    const feeRate = refundRate(ctx, await ctx.chain.feeRate(), before);
    const { tx, feeSat, walletInputs } = await build(ctx, swap, { feeRate, tip: height });
    const own = { txid: txidOf(tx), raw: rawOf(tx), feeSat, walletInputs };
    if (ctx.store.isReadOnly) {
      await sendUnstored(ctx, swap, own.raw);
      return;
    }
    requireMore(before, feeSat);
    const [newest] = swapTxs(ctx.store, swap.id, 'refund');
    const version = (newest?.version ?? 0) + 1;
    commitRefund(ctx, swap, { ...own, swapId: swap.id, kind: 'refund', version, signedHeight: height });
  });
}

type SignedRefund = HtlcSpend & { readonly walletInputs: readonly Outpoint[] };

/**
 * The subsidy pays the fee. Where it does not suffice the asset is worth more than a higher fee, which comes out of L-BTC
 * that is refunded or out of one coin of the wallet; a subsidy alone is not.
 */
async function build(
  ctx: EngineContext,
  swap: FundedSwap,
  { feeRate, tip }: { readonly feeRate: SatPerKvb; readonly tip: BlockHeight },
): Promise<SignedRefund> {
  const payout = ctx.wallet.changeKey();
  const outpoints = outpointsOf(swap);
  const attempt = (maxFeeSat: Sat, coin?: Coin): HtlcSpend | undefined => {
    const { scriptPubKey: payoutScript, blindingPubkey } = payout;
    const spend = ifAffordable(() =>
      buildRefund({
        zkp: ctx.zkp,
        randomBytes: ctx.randomBytes,
        outpoints,
        witnessScript: swap.witnessScript,
        privateKey: ctx.keys.refundKey(swap.keyIndex).privateKey,
        payoutScript,
        policyAsset: ctx.policyAsset,
        feeRate,
        maxFeeSat,
        ...(coin?.isConfidential === true ? { blindingPubkey } : {}),
        feeInputs: coin === undefined ? [] : [{ ...coin, sequence: SEQUENCE_REPLACEABLE }],
      }),
    );
    if (spend !== undefined && coin !== undefined) ctx.wallet.sign(spend.tx, [coin], outpoints.length);
    return spend;
  };
  const isWorthMore = swap.state !== 'CLAIMED';
  const cheap = attempt(swap.feeSubsidySat) ?? (isWorthMore ? attempt(sat(MAX_MONEY)) : undefined);
  if (cheap !== undefined) return { ...cheap, walletInputs: [] };
  // A coin of the wallet is spent only by what is stored.
  const earlier = swapTxs(ctx.store, swap.id, 'refund');
  const coins = isWorthMore && !ctx.store.isReadOnly ? await feeCoins(ctx, { tip, earlier, except: new Set() }) : [];
  for (const { coin, isFree } of coins) {
    // Blinding takes long, so what cannot suffice is not tried: a confidential coin makes a confidential output at least.
    if (coin.value + swap.feeSubsidySat < feeFor(coin.isConfidential ? CONFIDENTIAL_VSIZE : 1, feeRate)) continue;
    const spend = attempt(sat(MAX_MONEY), coin);
    if (spend !== undefined) return { ...spend, walletInputs: isFree ? [coin.outpoint] : [] };
  }
  throw new SwapError(
    'feerate_too_high',
    `refund: expected L-BTC for a fee at ${feeRate.toString()} sat/kvB, found a subsidy of ${swap.feeSubsidySat.toString()} sat and no coin that suffices`,
  );
}

function ifAffordable<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof SwapError && error.code === 'feerate_too_high') return undefined;
    throw error;
  }
}

/** The server's rate, and more than a refund before it paid; never above the operator's ceiling. */
function refundRate(ctx: EngineContext, current: SatPerKvb, before: OwnTx | undefined): SatPerKvb {
  const vsize = before === undefined ? 1 : fullVsize(parseTransaction(before.raw));
  const paid = before === undefined ? 0n : (before.feeSat * 1_000n) / BigInt(vsize);
  const half = (paid * BUMP_NUMERATOR) / BUMP_DENOMINATOR;
  const bumped = half > paid + 2n * RELAY_INCREMENT ? half : paid + 2n * RELAY_INCREMENT;
  const wanted = before !== undefined && bumped > current ? bumped : current;
  return wanted < ctx.feerateCeiling ? satPerKvb(wanted) : ctx.feerateCeiling;
}

function requireMore(before: OwnTx | undefined, feeSat: Sat): void {
  if (before === undefined) return;
  const least = before.feeSat + feeFor(fullVsize(parseTransaction(before.raw)), RELAY_INCREMENT);
  if (feeSat >= least) return;
  throw new SwapError(
    'feerate_too_high',
    `refund: expected a fee of ${least.toString()} sat or more, found ${feeSat.toString()} at the ceiling`,
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
