/** Why a script fails, in the words of Elements (script/script_error.cpp). */
export const SCRIPT_FAILURES = {
  evalFalse: 'Script evaluated without error but finished with a false/empty top stack element',
  verify: 'Script failed an OP_VERIFY operation',
  equalVerify: 'Script failed an OP_EQUALVERIFY operation',
  checkSigVerify: 'Script failed an OP_CHECKSIGVERIFY operation',
  cleanStack: 'Stack size must be exactly one after execution',
  minimalIf: 'OP_IF/NOTIF argument must be minimal',
  minimalData: 'Data push larger than necessary',
  nullFail: 'Signature must be zero for failed CHECK(MULTI)SIG operation',
  derEncoding: 'Non-canonical DER signature',
  highS: 'Non-canonical signature: S value is unnecessarily high',
  hashType: 'Signature hash type missing or not understood',
  pubkeyType: 'Public key is neither compressed or uncompressed',
  witnessPubkeyType: 'Using non-compressed keys in segwit',
  negativeLocktime: 'Negative locktime',
  unsatisfiedLocktime: 'Locktime requirement not satisfied',
  programMismatch: 'Witness program hash mismatch',
  emptyWitness: 'Witness program was passed an empty witness',
  malleated: 'Witness requires empty scriptSig',
  stack: 'Operation not valid with the current stack size',
  altStack: 'Operation not valid with the current altstack size',
  unbalanced: 'Invalid OP_IF construction',
  badOpcode: 'Opcode missing or not understood',
  pushSize: 'Push value size limit exceeded',
  opCount: 'Operation limit exceeded',
  stackSize: 'Stack size limit exceeded',
  scriptSize: 'Script is too big',
  opReturn: 'OP_RETURN was encountered',
  unknown: 'unknown error',
} as const;

/** A script that does not let its coin be spent. */
export class ScriptError extends Error {}

export function failScript(failure: keyof typeof SCRIPT_FAILURES): never {
  throw new ScriptError(SCRIPT_FAILURES[failure]);
}

/** For what the node may well know but this evaluator does not: refused, never guessed. */
export function failUnsupported(what: string): never {
  throw new ScriptError(`${what} is not supported by the sandbox`);
}
