/** Turns free coins of an asset into equal ones, so that swaps can start side by side without waiting for change. */
import { estimateVsize } from '../core/spendPlan.js';
import { feeFor } from '../core/tx.js';
import { assetAmount, type AssetId, type BlockHeight } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { EngineContext } from './context.js';
import { inventory, spendableCoins } from './inventory.js';
import { sendOnce, type OwnerPlan, type SentSpend } from './sendOnce.js';
import { currentFeeRate } from './walletSpend.js';

/** One transaction takes so many coins of the asset; there is room for the coins of its fee. */
const MAX_COINS = 40;
/** An L-BTC coin below this is not worth its own input. */
const MIN_LBTC_PART_SAT = 1_000n;

export type Split = {
  /** UUID. */
  readonly requestId: string;
  readonly assetId: AssetId;
  /** How many coins to make, 2..20. */
  readonly parts: number;
};

/**
 * Splits all that is free of the asset, of its 40 largest coins at most, into equal parts. What does not divide, is
 * promised to swaps, or kept for refunds comes back as change.
 *
 * @throws SwapError as {@link sendOnce}; `insufficient_inventory` also if the parts would be too small.
 */
export async function split(ctx: EngineContext, request: Split): Promise<SentSpend> {
  const { requestId, assetId, parts } = request;
  return sendOnce(ctx, {
    kind: 'split',
    requestId,
    body: `split\n${assetId}\n${parts}\n`,
    plan: (tip) => plan(ctx, request, tip),
  });
}

async function plan(ctx: EngineContext, { assetId, parts }: Split, tip: BlockHeight): Promise<OwnerPlan> {
  const isLbtc = assetId === ctx.policyAsset;
  const fee = isLbtc ? await feeBound(ctx, parts) : 0n;
  const part = (splittable(ctx, assetId, tip) - fee) / BigInt(parts);
  const least = isLbtc ? MIN_LBTC_PART_SAT : 1n;
  if (part < least) {
    throw new SwapError(
      'insufficient_inventory',
      `asset ${assetId}: expected parts of at least ${least.toString()}, found ${part.toString()} for each of ${parts}`,
    );
  }
  const value = assetAmount(part);
  const payments = Array.from({ length: parts }, () => {
    const { scriptPubKey, blindingPubkey } = ctx.wallet.changeKey();
    return { scriptPubKey, blindingPubkey, assetId, value };
  });
  return { payments, takes: { assetId, amount: part * BigInt(parts) } };
}

/** What is free, as far as one transaction can take it. */
function splittable(ctx: EngineContext, asset: AssetId, tip: BlockHeight): bigint {
  const values = spendableCoins(ctx, tip)
    .filter((coin) => coin.assetId === asset)
    .map((coin): bigint => coin.value)
    .sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  const inReach = values.slice(0, MAX_COINS).reduce((sum, value) => sum + value, 0n);
  const free = inventory(ctx, tip).get(asset)?.available ?? 0n;
  return free < inReach ? free : inReach;
}

/** More than the fee of the largest such transaction. */
async function feeBound(ctx: EngineContext, parts: number): Promise<bigint> {
  const vsize = estimateVsize({ inputs: MAX_COINS, explicitOutputs: 1, blindedOutputs: parts + 1 });
  return feeFor(vsize, await currentFeeRate(ctx));
}
