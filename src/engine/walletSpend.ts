/** Spends of the wallet: planned, blinded, signed and checked in memory; the caller commits, then broadcasts. */
import { planSpend } from '../core/spendPlan.js';
import { fullVsize, feeFor, parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf, type TxOutput } from '../core/tx.js';
import type { BlockHeight, Outpoint, Sat, SatPerKvb, Txid } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { EngineContext } from './context.js';
import { requireProven, spendableCoins } from './inventory.js';

/** A signed transaction of the wallet that nobody has seen yet. */
export type SignedSpend = {
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly feeSat: Sat;
  readonly walletInputs: readonly Outpoint[];
};

/** The server's fee rate, refused above the operator's ceiling. @throws SwapError `feerate_too_high`. */
export async function currentFeeRate(ctx: EngineContext): Promise<SatPerKvb> {
  const rate = await ctx.chain.feeRate();
  if (rate <= ctx.feerateCeiling) return rate;
  throw new SwapError(
    'feerate_too_high',
    `fee rate: expected at most ${ctx.feerateCeiling.toString()} sat/kvB, found ${rate.toString()}`,
  );
}

/**
 * Builds and signs a transaction with these payments. Call inside the wallet section, and commit what it returns inside
 * the same section.
 *
 * @throws SwapError `insufficient_inventory`, `feerate_too_high`, `chain_unavailable`.
 */
export async function signSpend(
  ctx: EngineContext,
  options: { readonly payments: readonly TxOutput[]; readonly tip: BlockHeight },
): Promise<SignedSpend> {
  const feeRate = await currentFeeRate(ctx);
  const plan = planSpend({
    coins: spendableCoins(ctx, options.tip),
    payments: options.payments,
    policyAsset: ctx.policyAsset,
    feeRate,
    nextChange: () => ctx.wallet.changeKey(),
  });
  await Promise.all(plan.coins.map((coin) => requireProven(ctx, coin)));
  const inputs = plan.coins.map((coin) => ({ ...coin, sequence: SEQUENCE_REPLACEABLE }));
  const tx = parseTransaction(await ctx.blind({ inputs, outputs: plan.outputs, locktime: 0 }));
  ctx.wallet.sign(tx, plan.coins);
  const needed = feeFor(fullVsize(tx), feeRate);
  if (plan.feeSat < needed)
    throw new Error(`fee ${plan.feeSat.toString()} is below ${needed.toString()}: the size estimate is wrong`);
  return {
    txid: txidOf(tx),
    raw: rawOf(tx),
    feeSat: plan.feeSat,
    walletInputs: plan.coins.map((coin) => coin.outpoint),
  };
}
