/**
 * The signature hash of Elements for segwit version 0 (BIP143 with assets, issuances and an optional commitment to
 * range proofs). Own code, so that it checks the seller's library and the other way round.
 */
import { hash256 } from './digests.js';
import { uint32, varBytes } from './serialize.js';
import { rangeProofOf, surjectionProofOf, type Input, type Output, type Transaction } from './transaction.js';

const SIGHASH_NONE = 2;
export const SIGHASH_SINGLE = 3;
export const SIGHASH_RANGEPROOF = 0x40;
export const SIGHASH_ANYONECANPAY = 0x80;

const ZERO = Buffer.alloc(32);
const hashAll = <T>(items: readonly T[], encode: (item: T) => Buffer): Buffer =>
  hash256(Buffer.concat(items.map(encode)));

const outpointBytes = (input: Input): Buffer => Buffer.concat([input.hash, uint32(input.index)]);
const outputBytes = (output: Output): Buffer =>
  Buffer.concat([output.asset, output.value, output.nonce, varBytes(output.script)]);
const outputProofBytes = (output: Output): Buffer =>
  Buffer.concat([varBytes(rangeProofOf(output)), varBytes(surjectionProofOf(output))]);

function issuanceBytes({ issuance }: Input): Buffer {
  if (issuance === undefined) return Buffer.alloc(0);
  return Buffer.concat([
    issuance.assetBlindingNonce,
    issuance.assetEntropy,
    issuance.assetAmount,
    issuance.tokenAmount,
  ]);
}

/** Outputs that a hash type commits to, or undefined for none. */
function committedOutputs(tx: Transaction, index: number, outputType: number): readonly Output[] | undefined {
  if (outputType === SIGHASH_NONE) return undefined;
  if (outputType !== SIGHASH_SINGLE) return tx.outs;
  const output = tx.outs[index];
  return output === undefined ? undefined : [output];
}

/**
 * The 32 bytes that a signature of input `index` signs.
 *
 * @param spent.scriptCode the script as executed: the witness script, or P2PKH of the key hash for P2WPKH
 * @param spent.value the coin's serialized value, explicit or commitment
 * @param isDynafed whether hash type 0x40 has a meaning (it has once dynamic federations are active)
 */
export function signatureHash(
  tx: Transaction,
  index: number,
  hashType: number,
  spent: { readonly scriptCode: Uint8Array; readonly value: Buffer; readonly isDynafed: boolean },
): Buffer {
  const input = tx.ins[index];
  if (input === undefined) throw new Error(`input ${index} of ${tx.ins.length}`);
  const signsAllInputs = (hashType & SIGHASH_ANYONECANPAY) === 0;
  const outputType = hashType & 0x1f;
  const signsSequences = signsAllInputs && outputType !== SIGHASH_SINGLE && outputType !== SIGHASH_NONE;
  const signsProofs = spent.isDynafed && (hashType & SIGHASH_RANGEPROOF) !== 0;
  const outputs = committedOutputs(tx, index, outputType);
  return hash256(
    Buffer.concat([
      uint32(tx.version),
      signsAllInputs ? hashAll(tx.ins, outpointBytes) : ZERO,
      signsSequences ? hashAll(tx.ins, (each) => uint32(each.sequence)) : ZERO,
      signsAllInputs
        ? hashAll(tx.ins, (each) => (each.issuance === undefined ? Buffer.of(0) : issuanceBytes(each)))
        : ZERO,
      outpointBytes(input),
      varBytes(spent.scriptCode),
      spent.value,
      uint32(input.sequence),
      issuanceBytes(input),
      outputs === undefined ? ZERO : hashAll(outputs, outputBytes),
      ...(signsProofs ? [outputs === undefined ? ZERO : hashAll(outputs, outputProofBytes)] : []),
      uint32(tx.locktime),
      uint32(hashType),
    ]),
  );
}
