/**
 * Planning of a wallet transaction: which coins, which change, which fee. Pure.
 *
 * The fee is chosen before the transaction is blinded, from an upper bound of its full vsize (docs: a node without the
 * discount for confidential outputs must relay it, too).
 */
import { SwapError } from '../errors.js';
import { selectCoins, type SelectableCoin } from './coinSelect.js';
import { feeFor, type TxOutput } from './tx.js';
import { assetAmount, sat, type AssetId, type Pubkey, type Sat, type SatPerKvb } from './units.js';

/** Upper bounds, vB. Measured: 69 to 76 an input, 34 + 33 + 9 + 1 an explicit output, 1184 to 1201 a blinded one. */
const OVERHEAD_VSIZE = 60;
const INPUT_VSIZE = 85;
const EXPLICIT_OUTPUT_VSIZE = 80;
const BLINDED_OUTPUT_VSIZE = 1_205;
/** L-BTC change below this is not worth an output. */
const MIN_LBTC_CHANGE_SAT = 500n;
/** Surjection proofs over 70 and more inputs trap the library. */
const MAX_INPUTS = 50;

/** Where change goes; asked for once per change output. */
export type ChangeAddress = { readonly scriptPubKey: Uint8Array; readonly blindingPubkey: Pubkey };

/** A transaction ready to be blinded; the fee output comes last. */
export type SpendPlan<C> = {
  readonly coins: readonly C[];
  readonly outputs: readonly TxOutput[];
  readonly feeSat: Sat;
};

/** Upper bound of the full vsize, vB. */
export function estimateVsize(counts: {
  readonly inputs: number;
  readonly explicitOutputs: number;
  readonly blindedOutputs: number;
}): number {
  return (
    OVERHEAD_VSIZE +
    counts.inputs * INPUT_VSIZE +
    counts.explicitOutputs * EXPLICIT_OUTPUT_VSIZE +
    counts.blindedOutputs * BLINDED_OUTPUT_VSIZE
  );
}

/**
 * Selects coins for the payments and the fee, and adds blinded change and the fee output.
 *
 * @param options.payments outputs in their final order; none of them a fee.
 * @throws SwapError `insufficient_inventory` if the coins do not suffice.
 */
export function planSpend<C extends SelectableCoin>(options: {
  readonly coins: readonly C[];
  readonly payments: readonly TxOutput[];
  readonly policyAsset: AssetId;
  readonly feeRate: SatPerKvb;
  readonly nextChange: () => ChangeAddress;
}): SpendPlan<C> {
  const { payments, policyAsset, feeRate } = options;
  const explicitOutputs = payments.filter((output) => output.blindingPubkey === undefined).length + 1;
  const blindedPayments = payments.length + 1 - explicitOutputs;
  const assets = new Set([policyAsset, ...payments.map((output) => output.assetId)]);
  let inputs = assets.size;
  for (;;) {
    const vsize = estimateVsize({ inputs, explicitOutputs, blindedOutputs: blindedPayments + assets.size });
    const feeSat = feeFor(vsize, feeRate);
    const wants = [
      { assetId: policyAsset, amount: feeSat },
      ...payments.map((output) => ({ assetId: output.assetId, amount: output.value })),
    ];
    const coins = selectCoins(options.coins, wants);
    if (coins.length > MAX_INPUTS) {
      throw new SwapError(
        'insufficient_inventory',
        `expected at most ${MAX_INPUTS} coins, found ${coins.length}: merge coins first`,
      );
    }
    if (coins.length <= inputs) return withChange({ ...options, coins, assets, feeSat });
    inputs = coins.length;
  }
}

function withChange<C extends SelectableCoin>(options: {
  readonly coins: readonly C[];
  readonly payments: readonly TxOutput[];
  readonly policyAsset: AssetId;
  readonly assets: ReadonlySet<AssetId>;
  readonly feeSat: Sat;
  readonly nextChange: () => ChangeAddress;
}): SpendPlan<C> {
  const { coins, payments, policyAsset } = options;
  const sum = (amounts: readonly { readonly assetId: AssetId; readonly value: bigint }[], asset: AssetId): bigint =>
    amounts.reduce((total, each) => (each.assetId === asset ? total + each.value : total), 0n);
  let feeSat = options.feeSat;
  const outputs: TxOutput[] = [...payments];
  for (const asset of options.assets) {
    const spent = sum(payments, asset) + (asset === policyAsset ? feeSat : 0n);
    const change = sum(coins, asset) - spent;
    if (change === 0n) continue;
    if (asset === policyAsset && change < MIN_LBTC_CHANGE_SAT) {
      feeSat = sat(feeSat + change);
      continue;
    }
    outputs.push({ ...options.nextChange(), assetId: asset, value: assetAmount(change) });
  }
  const isBlinded = outputs.some((output) => output.blindingPubkey !== undefined);
  if (!isBlinded && coins.some((coin) => coin.isConfidential)) {
    // Elements: a confidential input needs a blinded output; an unspendable one of 0 will do.
    const { blindingPubkey } = options.nextChange();
    outputs.push({ scriptPubKey: Buffer.of(0x6a), assetId: policyAsset, value: assetAmount(0n), blindingPubkey });
  }
  outputs.push({ scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(feeSat) });
  return { coins, outputs, feeSat };
}
