/** Gives a funding up: its own coins are spent back to the wallet at a fee that replaces it. */
import { estimateVsize } from '../core/spendPlan.js';
import type { FundedSwap } from '../core/swap.js';
import { feeFor, parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf, type TxOutput } from '../core/tx.js';
import {
  assetAmount,
  displayHex,
  outpoint,
  sat,
  satPerKvb,
  type Sat,
  type SatPerKvb,
  type Txid,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import type { Coin } from '../liquid/wallet.js';
import { findSwap } from '../store/swaps.js';
import { findSwapTx, insertTx, pendingTxs, swapTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCommit } from './failpoint.js';

/** A replacement pays for its own relay besides what it replaces: Elements' incremental rate, ten times over. */
const INCREMENT = satPerKvb(1_000n);
/** No L-BTC output below this is relayed everywhere. */
const MIN_OUTPUT_SAT = 500n;

/**
 * Signs and commits a self-spend of L-BTC inputs of the funding. Its fee is above the sum of all that it replaces: the
 * funding, every unconfirmed transaction of ours that builds on it, and an earlier self-spend. The inputs stay reserved
 * under the funding.
 *
 * @throws SwapError `insufficient_inventory` if the inputs cannot pay that fee, `chain_unavailable`.
 */
export async function signAbort(ctx: EngineContext, swap: FundedSwap): Promise<void> {
  await ctx.walletSection.run(async () => {
    const { height } = await ctx.chain.tip();
    const funding = findSwapTx(ctx.store, swap.id, 'funding');
    if (funding === undefined) return;
    const before = swapTxs(ctx.store, swap.id, 'abort');
    const replaced = replacedFee(ctx, [funding, ...before]);
    const spend = await selfSpend(ctx, funding, { replaced, feeRate: await ctx.chain.feeRate() });
    const version = (before[0]?.version ?? 0) + 1;
    failpointsAroundCommit('abort_signed', () => {
      ctx.store.tx(() => {
        if (findSwap(ctx.store, swap.id)?.state !== 'ABORTING') return;
        const own = { swapId: swap.id, kind: 'abort', version, walletInputs: [], signedHeight: height } as const;
        insertTx(ctx.store, { ...own, ...spend }, ctx.now());
      });
    });
  });
}

/** Sum of the fees of these transactions and of everything of ours that builds on them. */
function replacedFee(ctx: EngineContext, roots: readonly OwnTx[]): bigint {
  const gone = new Map<Txid, Sat>(roots.map((own) => [own.txid, own.feeSat]));
  for (const own of pendingTxs(ctx.store)) {
    const isChild = parseTransaction(own.raw).ins.some((input) => gone.has(displayHex(input.hash) as Txid));
    if (isChild) gone.set(own.txid, own.feeSat); // rows come parents first
  }
  return [...gone.values()].reduce((sum, fee) => sum + fee, 0n);
}

async function selfSpend(
  ctx: EngineContext,
  funding: OwnTx,
  { replaced, feeRate }: { readonly replaced: bigint; readonly feeRate: SatPerKvb },
): Promise<{ readonly txid: Txid; readonly raw: Buffer; readonly feeSat: Sat }> {
  const coins: Coin[] = [];
  for (const coin of await lbtcInputs(ctx, funding)) {
    coins.push(coin);
    const vsize = estimateVsize({ inputs: coins.length, explicitOutputs: 1, blindedOutputs: 1 });
    const least = replaced + feeFor(vsize, INCREMENT);
    const byRate = feeFor(vsize, feeRate);
    const feeSat = sat(least > byRate ? least : byRate);
    const change = coins.reduce((sum, each) => sum + each.value, 0n) - feeSat;
    if (change < MIN_OUTPUT_SAT) continue;
    const { scriptPubKey, blindingPubkey } = ctx.wallet.changeKey();
    const assetId = ctx.policyAsset;
    const outputs: TxOutput[] = [
      { scriptPubKey, blindingPubkey, assetId, value: assetAmount(change) },
      { scriptPubKey: Buffer.alloc(0), assetId, value: assetAmount(feeSat) },
    ];
    const inputs = coins.map((each) => ({ ...each, sequence: SEQUENCE_REPLACEABLE }));
    const tx = parseTransaction(await ctx.blind({ inputs, outputs, locktime: 0 }));
    ctx.wallet.sign(tx, coins);
    return { txid: txidOf(tx), raw: rawOf(tx), feeSat };
  }
  throw new SwapError(
    'insufficient_inventory',
    `abort of ${funding.txid}: its L-BTC inputs do not pay a fee above ${replaced.toString()} sat`,
  );
}

/** The funding's L-BTC inputs as coins, the largest first. */
async function lbtcInputs(ctx: EngineContext, funding: OwnTx): Promise<Coin[]> {
  const coins: Coin[] = [];
  for (const input of parseTransaction(funding.raw).ins) {
    const coin = await ctx.wallet.coinAt(outpoint(displayHex(input.hash), input.index));
    if (coin?.assetId === ctx.policyAsset) coins.push(coin);
  }
  return coins.sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : 0));
}
