/** What a claim or a refund pays: the asset, the L-BTC that is left, the fee. Pure. */
import { isConfidential } from './blind.js';
import type { HtlcSpendOptions } from './htlcSpend.js';
import type { TxInput, TxOutput } from './tx.js';
import { assetAmount } from './units.js';

/** OP_RETURN. Elements: a confidential input needs a blinded output; an unspendable one of 0 will do. */
const UNSPENDABLE_SCRIPT = Buffer.of(0x6a);

/** Where change goes and what hides it. */
function changeOf(options: HtlcSpendOptions): Pick<TxOutput, 'scriptPubKey' | 'blindingPubkey'> {
  const { payoutScript, blindingPubkey, changeScript, changeBlindingPubkey, feeInputs = [] } = options;
  const key = changeScript === undefined || !feeInputs.some(isConfidential) ? undefined : changeBlindingPubkey;
  const blinding = changeScript === undefined ? blindingPubkey : key;
  return {
    scriptPubKey: changeScript ?? payoutScript,
    ...(blinding === undefined ? {} : { blindingPubkey: blinding }),
  };
}

/** Outputs for a given fee; without change all L-BTC is fee. */
export function outputsFor(
  options: HtlcSpendOptions,
  parts: { asset: readonly TxInput[]; changeSat: bigint; feeSat: bigint },
): TxOutput[] {
  const { payoutScript, blindingPubkey, changeBlindingPubkey, policyAsset, feeInputs = [] } = options;
  const { asset, changeSat, feeSat } = parts;
  const payout = { scriptPubKey: payoutScript, ...(blindingPubkey === undefined ? {} : { blindingPubkey }) };
  const first = asset[0];
  const total = asset.reduce((sum, input) => sum + input.value, 0n);
  const outputs: TxOutput[] = [
    ...(first === undefined ? [] : [{ ...payout, assetId: first.assetId, value: assetAmount(total) }]),
    ...(changeSat === 0n
      ? []
      : [
          {
            ...(first === undefined ? payout : changeOf(options)),
            assetId: policyAsset,
            value: assetAmount(changeSat),
          },
        ]),
  ];
  const isBlinded = outputs.some((output) => output.blindingPubkey !== undefined);
  if (!isBlinded && changeBlindingPubkey !== undefined && feeInputs.some(isConfidential)) {
    const nothing = { assetId: policyAsset, value: assetAmount(0n), blindingPubkey: changeBlindingPubkey };
    outputs.push({ ...nothing, scriptPubKey: UNSPENDABLE_SCRIPT });
  }
  return [...outputs, { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(feeSat) }];
}
