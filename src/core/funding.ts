/**
 * The funding of an HTLC: which outputs it has, and the strict way to find them again. Pure.
 *
 * The seller parses its own transaction back with the function that the buyer verifies with.
 */
import type { Transaction } from 'liquidjs-lib';

import { txidOf, type HtlcOutpoint, type TxOutput } from './tx.js';
import {
  assetAmount,
  assetId,
  displayHex,
  MAX_MONEY,
  outpoint,
  type AssetAmount,
  type AssetId,
  type Sat,
} from './units.js';

/** An output as it stands in a parsed transaction. */
export type ParsedOutput = Transaction['outs'][number];

/** Why a transaction does not fund the HTLC as agreed. The code is stable; the message tells expected and found. */
export type FundingProblem = {
  readonly code:
    | 'funding_missing_output'
    | 'funding_extra_output'
    | 'funding_blinded'
    | 'funding_nonce'
    | 'funding_asset'
    | 'funding_amount';
  readonly message: string;
};

/** The HTLC's outpoints in the order of the expected outputs (the asset first), or what is wrong. */
export type FundingCheck =
  | { readonly ok: true; readonly outpoints: readonly HtlcOutpoint[] }
  | { readonly ok: false; readonly problem: FundingProblem };

type ExplicitAmount = { readonly assetId: AssetId; readonly value: AssetAmount };

const EXPLICIT = 1;

/** Asset and amount if both are explicit; the nonce is not looked at. */
function explicitAmount(output: ParsedOutput): ExplicitAmount | undefined {
  const { asset, value } = output;
  if (asset.length !== 33 || asset[0] !== EXPLICIT || value.length !== 9 || value[0] !== EXPLICIT) return undefined;
  const amount = value.readBigUInt64BE(1);
  if (amount > MAX_MONEY) return undefined; // consensus refuses it too
  return { assetId: assetId(displayHex(asset.subarray(1))), value: assetAmount(amount) };
}

const hasNullNonce = (output: ParsedOutput): boolean => output.nonce.length === 1 && output.nonce[0] === 0;
const hasProof = (output: ParsedOutput): boolean =>
  (output.rangeProof?.length ?? 0) > 0 || (output.surjectionProof?.length ?? 0) > 0;

/** Asset and amount of an output that hides nothing: both explicit, null nonce, no proofs. Anything else: undefined. */
export function explicitOutput(output: ParsedOutput): ExplicitAmount | undefined {
  return hasNullNonce(output) && !hasProof(output) ? explicitAmount(output) : undefined;
}

/**
 * The outputs that fund an HTLC: the asset and the fee subsidy, or one output of both together when L-BTC is sold.
 *
 * @throws SwapError `invalid_argument` if the sum is above the money range.
 */
export function fundingOutputs(options: {
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly feeSubsidySat: Sat;
  readonly policyAsset: AssetId;
  readonly scriptPubKey: Uint8Array;
}): TxOutput[] {
  const { policyAsset, scriptPubKey } = options;
  const subsidy = assetAmount(options.feeSubsidySat);
  if (options.assetId === policyAsset) {
    return [{ scriptPubKey, assetId: policyAsset, value: assetAmount(options.assetAmount + subsidy) }];
  }
  return [
    { scriptPubKey, assetId: options.assetId, value: options.assetAmount },
    { scriptPubKey, assetId: policyAsset, value: subsidy },
  ];
}

const refused = (code: FundingProblem['code'], message: string): FundingCheck => ({
  ok: false,
  problem: { code, message },
});

const describe = ({ value, assetId: id }: ExplicitAmount): string => `${value.toString()} of asset ${id}`;

/** Which of the paying outputs hides something or is ambiguous. */
function findConfidential(paying: readonly { vout: number; output: ParsedOutput }[]): FundingCheck | undefined {
  for (const { vout, output } of paying) {
    if (explicitAmount(output) === undefined || hasProof(output)) {
      return refused('funding_blinded', `output ${vout}: expected explicit asset and amount, found a confidential one`);
    }
    if (!hasNullNonce(output)) {
      return refused('funding_nonce', `output ${vout}: expected a null nonce, found ${output.nonce.length} bytes`);
    }
  }
  return undefined;
}

/** Pairs each expected output with one of the found ones; both lists have the same length. */
function pairUp(expected: readonly ExplicitAmount[], found: readonly HtlcOutpoint[]): FundingCheck {
  const free = [...found];
  const outpoints: HtlcOutpoint[] = [];
  for (const want of expected) {
    const ofAsset = free.filter((output) => output.assetId === want.assetId);
    const match = ofAsset.find((output) => output.value === want.value);
    if (match === undefined) {
      const instead = (ofAsset.length > 0 ? ofAsset : free).map(describe).join(', ');
      const code = ofAsset.length > 0 ? 'funding_amount' : 'funding_asset';
      return refused(code, `HTLC output: expected ${describe(want)}, found ${instead}`);
    }
    outpoints.push(match);
    free.splice(free.indexOf(match), 1);
  }
  return { ok: true, outpoints };
}

/**
 * Finds the HTLC's outputs: those with its script must be exactly the expected ones, one per (asset, amount) and no
 * other, with explicit asset and amount and a null nonce.
 *
 * @param options.expected what {@link fundingOutputs} gives for the agreed terms.
 */
export function findFundingOutputs(
  tx: Transaction,
  options: {
    readonly scriptPubKey: Uint8Array;
    readonly expected: readonly { readonly assetId: AssetId; readonly value: AssetAmount }[];
  },
): FundingCheck {
  const { scriptPubKey, expected } = options;
  const paying = tx.outs.flatMap((output, vout) => (output.script.equals(scriptPubKey) ? [{ vout, output }] : []));
  const confidential = findConfidential(paying);
  if (confidential !== undefined) return confidential;
  const count = `expected ${expected.length} outputs with the HTLC's script, found ${paying.length}`;
  if (paying.length < expected.length) return refused('funding_missing_output', count);
  if (paying.length > expected.length) return refused('funding_extra_output', count);
  const id = txidOf(tx);
  const found = paying.flatMap(({ vout, output }) => {
    const amount = explicitAmount(output);
    return amount === undefined ? [] : [{ outpoint: outpoint(id, vout), ...amount }];
  });
  return pairUp(expected, found);
}
