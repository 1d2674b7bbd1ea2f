/** What a claim or a refund pays: the asset, the L-BTC that is left, the fee. Pure. */
import { isConfidential } from './blind.js';
import type { TxInput, TxOutput } from './tx.js';
import { assetAmount, type AssetId, type Pubkey } from './units.js';

/** Where a spend of an HTLC pays to. */
export type PayoutOptions = {
  /** Where the asset goes, and the L-BTC change unless that has a script of its own. */
  readonly payoutScript: Uint8Array;
  /** Blinds what goes to the payout script. */
  readonly blindingPubkey?: Pubkey;
  /** Where L-BTC change goes, if not to the payout script. What an HTLC of L-BTC alone holds is payout, not change. */
  readonly changeScript?: Uint8Array;
  /** Blinds the change if a fee input is confidential; else it stays explicit. */
  readonly changeBlindingPubkey?: Pubkey;
  readonly policyAsset: AssetId;
  /**
   * L-BTC coins of a wallet that help to pay the fee. They follow the HTLC's inputs; the caller signs them afterwards,
   * as P2WPKH. A confidential one needs `blindingPubkey` or `changeBlindingPubkey`.
   */
  readonly feeInputs?: readonly TxInput[];
};

/** OP_RETURN. Elements: a confidential input needs a blinded output; an unspendable one of 0 will do. */
const UNSPENDABLE_SCRIPT = Buffer.of(0x6a);

/** Where change goes and what hides it. */
function changeOf(options: PayoutOptions): Pick<TxOutput, 'scriptPubKey' | 'blindingPubkey'> {
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
  options: PayoutOptions,
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
