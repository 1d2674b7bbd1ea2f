/** Gives a funding up: its own coins are spent back to the wallet at a fee that replaces it. */
import { BUMP_DENOMINATOR, BUMP_NUMERATOR, RELAY_INCREMENT } from '../core/replacement.js';
import { estimateVsize } from '../core/spendPlan.js';
import type { FundedSwap } from '../core/swap.js';
import { feeFor, fullVsize, parseTransaction, rawOf, SEQUENCE_REPLACEABLE, txidOf, type TxOutput } from '../core/tx.js';
import {
  assetAmount,
  displayHex,
  outpoint,
  outpointKey,
  sat,
  satPerKvb,
  type BlockHeight,
  type Outpoint,
  type Sat,
  type SatPerKvb,
  type Txid,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import type { Coin } from '../liquid/wallet.js';
import { findSwap } from '../store/swaps.js';
import { findSwapTx, insertTx, pendingTxs, swapTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { failpointsAroundCommit } from '../failpoint.js';
import { feeCoins } from './feeCoin.js';
import { judgedTip } from './tip.js';

/** The relay increment ten times over, for servers that ask for more. */
const INCREMENT = satPerKvb(1_000n);
/** No L-BTC output below this is relayed everywhere. */
const MIN_OUTPUT_SAT = 500n;

/**
 * Signs and commits a self-spend of L-BTC inputs of the funding. Its fee is above the sum of all that it replaces: the
 * funding and every unconfirmed transaction of ours that builds on it, or an earlier self-spend. The inputs stay reserved
 * under the funding; if they cannot pay, one more coin of the wallet is reserved under the self-spend.
 *
 * @throws SwapError `insufficient_inventory` if nothing can pay that fee, `feerate_too_high` if the operator's ceiling
 *   forbids a higher one, `chain_unavailable`.
 */
export async function signAbort(ctx: EngineContext, swap: FundedSwap): Promise<void> {
  await ctx.walletSection.run(async () => {
    const { depthHeight: height } = await judgedTip(ctx);
    const funding = findSwapTx(ctx.store, swap.id, 'funding');
    if (funding === undefined) return;
    const earlier = swapTxs(ctx.store, swap.id, 'abort');
    const price = feeRule(ctx, { funding, earlier: earlier[0], current: await ctx.chain.feeRate() });
    const spend = await selfSpend(ctx, { funding, earlier, tip: height, feeOf: price });
    const version = (earlier[0]?.version ?? 0) + 1;
    failpointsAroundCommit('abort_signed', () => {
      ctx.store.tx(() => {
        if (findSwap(ctx.store, swap.id)?.state !== 'ABORTING') return;
        insertTx(ctx.store, { ...spend, swapId: swap.id, kind: 'abort', version, signedHeight: height }, ctx.now());
      });
    });
  });
}

/**
 * Fee by size, in vB. The server's rate counts up to the operator's ceiling; what a replacement must pay counts above it,
 * for the sum of what it replaces was ours to choose. Bumps end at the ceiling, or no fee would ever be enough.
 */
function feeRule(
  ctx: EngineContext,
  options: { readonly funding: OwnTx; readonly earlier: OwnTx | undefined; readonly current: SatPerKvb },
): (vsize: number) => Sat {
  const { funding, earlier } = options;
  const replaced = replacedFee(ctx, funding);
  // A mempool compares rates as well, so a small funding must not have the higher one.
  const fundingRate = (funding.feeSat * 1_000n) / BigInt(fullVsize(parseTransaction(funding.raw)));
  const current = options.current < ctx.feerateCeiling ? options.current : ctx.feerateCeiling;
  return (vsize) => {
    const least = highest([
      replaced + feeFor(vsize, INCREMENT),
      feeFor(vsize, satPerKvb(fundingRate + INCREMENT)),
      feeFor(vsize, current),
    ]);
    if (earlier === undefined) return least;
    const bumped = (earlier.feeSat * BUMP_NUMERATOR) / BUMP_DENOMINATOR;
    const limit = highest([least, feeFor(vsize, ctx.feerateCeiling)]);
    const feeSat = bumped < limit ? highest([least, bumped]) : limit;
    if (feeSat >= earlier.feeSat + feeFor(vsize, RELAY_INCREMENT)) return feeSat;
    throw new SwapError(
      'feerate_too_high',
      `abort: expected a fee well above ${earlier.feeSat.toString()} sat, found at most ${limit.toString()}`,
    );
  };
}

const highest = (fees: readonly bigint[]): Sat => sat(fees.reduce((most, fee) => (fee > most ? fee : most), 0n));

/** Sum of the fees of the funding and of everything of ours that builds on it. */
function replacedFee(ctx: EngineContext, funding: OwnTx): bigint {
  const gone = new Map<string, Sat>([[funding.txid, funding.feeSat]]);
  for (const own of pendingTxs(ctx.store)) {
    const isChild = parseTransaction(own.raw).ins.some((input) => gone.has(displayHex(input.hash)));
    if (isChild && own.kind !== 'abort') gone.set(own.txid, own.feeSat); // rows come parents first
  }
  return [...gone.values()].reduce((sum, fee) => sum + fee, 0n);
}

type SelfSpend = {
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly feeSat: Sat;
  readonly walletInputs: readonly Outpoint[];
};

async function selfSpend(
  ctx: EngineContext,
  options: {
    readonly funding: OwnTx;
    readonly earlier: readonly OwnTx[];
    readonly tip: BlockHeight;
    readonly feeOf: (vsize: number) => Sat;
  },
): Promise<SelfSpend> {
  const own = await lbtcInputs(ctx, options.funding);
  for (let count = 1; count <= own.length; count += 1) {
    const spend = await spendToSelf(ctx, own.slice(0, count), options.feeOf);
    if (spend !== undefined) return { ...spend, walletInputs: [] };
  }
  const except = new Set(own.map((coin) => outpointKey(coin.outpoint)));
  const helpers = own.length === 0 ? [] : await feeCoins(ctx, { ...options, except });
  for (const { coin, isFree } of helpers) {
    const spend = await spendToSelf(ctx, [...own, coin], options.feeOf);
    if (spend !== undefined) return { ...spend, walletInputs: isFree ? [coin.outpoint] : [] };
  }
  throw new SwapError(
    'insufficient_inventory',
    `abort of ${options.funding.txid}: expected L-BTC inputs that pay for it, found ${own.length} that do not`,
  );
}

/** One confidential output to ourselves, or undefined if the coins do not pay the fee and leave an output. */
async function spendToSelf(
  ctx: EngineContext,
  coins: readonly Coin[],
  feeOf: (vsize: number) => Sat,
): Promise<Omit<SelfSpend, 'walletInputs'> | undefined> {
  const feeSat = feeOf(estimateVsize({ inputs: coins.length, explicitOutputs: 1, blindedOutputs: 1 }));
  const change = coins.reduce((sum, each) => sum + each.value, 0n) - feeSat;
  if (change < MIN_OUTPUT_SAT) return undefined;
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

/** The funding's L-BTC inputs as coins, the largest first. */
async function lbtcInputs(ctx: EngineContext, funding: OwnTx): Promise<Coin[]> {
  const coins: Coin[] = [];
  for (const input of parseTransaction(funding.raw).ins) {
    const coin = await ctx.wallet.coinAt(outpoint(displayHex(input.hash), input.index));
    if (coin?.assetId === ctx.policyAsset) coins.push(coin);
  }
  return coins.sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : 0));
}
