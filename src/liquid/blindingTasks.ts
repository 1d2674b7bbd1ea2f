/** The slow work on confidential outputs. Pure but for the entropy that the caller passes in; runs in the worker. */
import { createHash } from 'node:crypto';

import type { RandomBytes, Zkp } from '../core/blind.js';
import { buildTransaction, parseTransaction, rawOf, type TxInput, type TxOutput } from '../core/tx.js';
import { assetAmount, assetId, displayHex, type AssetAmount, type AssetId } from '../core/units.js';

/** A transaction to build; see core/tx. */
export type BuildTask = {
  readonly inputs: readonly TxInput[];
  readonly outputs: readonly TxOutput[];
  /** Height, 0 for none. */
  readonly locktime: number;
};

/** An output to open. */
export type UnblindTask = {
  readonly rawTx: Uint8Array;
  readonly vout: number;
  readonly blindingPrivateKey: Uint8Array;
};

/** What a confidential output holds; the blinders are 32 bytes each. */
export type UnblindedOutput = {
  readonly assetId: AssetId;
  readonly value: AssetAmount;
  readonly assetBlinder: Buffer;
  readonly valueBlinder: Buffer;
};

/** Buffers arrive in a worker as plain Uint8Arrays. */
const withBuffers = (input: TxInput): TxInput => ({
  ...input,
  assetBlinder: Buffer.from(input.assetBlinder),
  valueBlinder: Buffer.from(input.valueBlinder),
});

/** Whether the WebAssembly instance gave up and must be replaced (WebAssembly.RuntimeError has no type here). */
export const isTrap = (error: unknown): boolean => error instanceof Error && error.name === 'RuntimeError';

/** @returns the raw unsigned transaction. @throws what core/tx throws. */
export function runBuild(zkp: Zkp, task: BuildTask, randomBytes: RandomBytes): Buffer {
  return rawOf(buildTransaction(zkp, { ...task, inputs: task.inputs.map(withBuffers), randomBytes }));
}

/**
 * Opens a confidential output.
 *
 * The sender chooses the message inside the range proof, which names the asset. So the asset counts only if it leads,
 * with its blinder, to the commitment that the chain checked; else junk would be taken for L-BTC. An explicit asset with
 * a hidden amount is not opened: nobody sends that.
 *
 * @returns undefined if the output does not open with this key or does not keep what it says.
 */
export function runUnblind(zkp: Zkp, task: UnblindTask): UnblindedOutput | undefined {
  const output = parseTransaction(task.rawTx).outs[task.vout];
  if (output?.rangeProof === undefined) return undefined;
  try {
    const shared = zkp.ecdh(output.nonce, task.blindingPrivateKey);
    const nonce = createHash('sha256').update(shared).digest();
    const opened = zkp.rangeproof.rewind(output.rangeProof, output.value, output.asset, nonce, output.script);
    const asset = Buffer.from(opened.message.subarray(0, 32));
    const assetBlinder = Buffer.from(opened.message.subarray(32, 64));
    const valueBlinder = Buffer.from(opened.blinder);
    const assetCommitment = Buffer.from(zkp.generator.generateBlinded(asset, assetBlinder));
    const valueCommitment = Buffer.from(zkp.pedersen.commitment(opened.value, assetCommitment, valueBlinder));
    if (!assetCommitment.equals(output.asset) || !valueCommitment.equals(output.value)) return undefined;
    return {
      assetId: assetId(displayHex(asset)),
      value: assetAmount(BigInt(opened.value)),
      assetBlinder,
      valueBlinder,
    };
  } catch (error) {
    // A trap leaves the instance in an unknown state, so it must not be swallowed with "does not open".
    if (isTrap(error)) throw error;
    return undefined;
  }
}
