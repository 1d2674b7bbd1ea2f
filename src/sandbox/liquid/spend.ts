/** Whether an input's witness opens the coin it spends: P2WPKH, P2WSH and the anyone-can-spend OP_TRUE of the faucet. */
import { sha256 } from './digests.js';
import { isTruthy, runScript, type SpendContext } from './scriptEval.js';
import { failScript, failUnsupported } from './scriptError.js';
import { signatureHash } from './signatureHash.js';
import type { Output, Transaction } from './transaction.js';

const MAX_WITNESS_ITEM_BYTES = 520;

export const OP_TRUE_SCRIPT = Buffer.of(0x51);

export const isOpTrue = (script: Buffer): boolean => script.equals(OP_TRUE_SCRIPT);
const isP2wpkh = (script: Buffer): boolean => script.length === 22 && script[0] === 0 && script[1] === 20;
export const isP2wsh = (script: Buffer): boolean => script.length === 34 && script[0] === 0 && script[1] === 32;

/** The witness script and the stack it starts with. */
function witnessProgram(scriptPubKey: Buffer, witness: readonly Buffer[]): { script: Buffer; stack: Buffer[] } {
  const program = scriptPubKey.subarray(2);
  if (isP2wpkh(scriptPubKey)) {
    if (witness.length !== 2) failScript('programMismatch');
    // The key hash is checked by the script itself, which gives the failure the node's name.
    const script = Buffer.concat([Buffer.from('76a914', 'hex'), program, Buffer.from('88ac', 'hex')]);
    return { script, stack: [...witness] };
  }
  const script = witness.at(-1) ?? failScript('emptyWitness');
  if (!sha256(script).equals(program)) failScript('programMismatch');
  return { script, stack: witness.slice(0, -1) };
}

/**
 * Checks one input against its coin.
 *
 * @throws ScriptError with the node's words, also for what the sandbox does not know.
 */
export function verifySpend(
  tx: Transaction,
  index: number,
  coin: Pick<Output, 'script' | 'value'>,
  rules: Pick<SpendContext, 'isDynafed' | 'isMinimalIf'>,
): void {
  const { isDynafed } = rules;
  const input = tx.ins[index];
  if (input === undefined) throw new Error(`input ${index} of ${tx.ins.length}`);
  if (isOpTrue(coin.script)) {
    if (input.script.length > 0) failScript('cleanStack');
    return;
  }
  if (!isP2wpkh(coin.script) && !isP2wsh(coin.script)) failUnsupported('an output of this type');
  if (input.script.length > 0) failScript('malleated');
  const { script, stack } = witnessProgram(coin.script, input.witness);
  if (stack.some((item) => item.length > MAX_WITNESS_ITEM_BYTES)) failScript('pushSize');
  const context: SpendContext = {
    version: tx.version,
    locktime: tx.locktime,
    sequence: input.sequence,
    ...rules,
    signatureHash: (hashType, scriptCode) =>
      signatureHash(tx, index, hashType, { scriptCode, value: coin.value, isDynafed }),
  };
  runScript(script, stack, context);
  const [result] = stack;
  if (stack.length !== 1 || result === undefined) failScript('cleanStack');
  if (!isTruthy(result)) failScript('evalFalse');
}
