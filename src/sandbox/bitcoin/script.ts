/**
 * Evaluates what locks the outputs of a Lightning node: P2WPKH and P2WSH (segwit version 0) with the opcodes that
 * LDK's and LND's scripts use. Fails closed: an opcode or output type that is not listed here cannot be spent.
 *
 * Sources: BIP141, BIP143, BIP146 (NULLFAIL, LOW_S), BIP65, BIP112 and Bitcoin Core's interpreter.cpp. Policy rules
 * (clean stack, minimal IF, strict encodings) are applied as a relaying node does.
 */
import { createHash } from 'node:crypto';

import { crypto, script as bscript, type Transaction } from 'bitcoinjs-lib';
import { verify } from 'tiny-secp256k1';

/** The input under test and what it spends. */
export type SpentInput = {
  readonly tx: Transaction;
  readonly index: number;
  readonly scriptPubKey: Uint8Array;
  /** Satoshi. */
  readonly value: bigint;
};

/** Why a script refuses; the text is Bitcoin Core's where it has one. */
export class ScriptRefusal extends Error {}

const TRUE = Buffer.from([1]);
const FALSE = Buffer.alloc(0);
const MAX_SCRIPT_BYTES = 10_000;
const MAX_OPS = 201;
const MAX_STACK = 1000;
const MAX_MULTISIG_KEYS = 20;
const LOCKTIME_THRESHOLD = 500_000_000;
const SEQUENCE_FINAL = 0xffff_ffff;
const SEQUENCE_DISABLE = 0x8000_0000;
const SEQUENCE_TYPE_FLAG = 0x0040_0000;
const SEQUENCE_MASK = 0x0040_ffff;
/** script.h of Bitcoin Core. */
const OP = {
  ZERO: 0x00,
  ONE_NEGATE: 0x4f,
  SIXTEEN: 0x60,
  IF: 0x63,
  NOTIF: 0x64,
  ELSE: 0x67,
  ENDIF: 0x68,
  VERIFY: 0x69,
  TWO_DROP: 0x6d,
  IFDUP: 0x73,
  DROP: 0x75,
  DUP: 0x76,
  SWAP: 0x7c,
  SIZE: 0x82,
  EQUAL: 0x87,
  EQUALVERIFY: 0x88,
  SHA256: 0xa8,
  HASH160: 0xa9,
  HASH256: 0xaa,
  CHECKSIG: 0xac,
  CHECKSIGVERIFY: 0xad,
  CHECKMULTISIG: 0xae,
  CHECKLOCKTIMEVERIFY: 0xb1,
  CHECKSEQUENCEVERIFY: 0xb2,
} as const;
/** An opcode of a small number is its number above this. */
const OP_NUMBER_BASE = 0x50;

function refuse(reason: string): never {
  throw new ScriptRefusal(reason);
}

/** @throws ScriptRefusal if the input may not spend the output. */
export function verifyInput(input: SpentInput): void {
  const { tx, index, scriptPubKey } = input;
  const txIn = tx.ins[index];
  if (txIn === undefined) throw new Error(`input ${index} does not exist`);
  if (txIn.script.length > 0) refuse('scriptSig of a segwit input must be empty (or the output type is not supported)');
  const witness = txIn.witness.map((item) => Buffer.from(item));
  const program = Buffer.from(scriptPubKey).subarray(2);
  if (scriptPubKey[0] !== OP.ZERO || scriptPubKey[1] !== program.length) {
    refuse('output type is not supported: only P2WPKH and P2WSH can be spent');
  }
  if (program.length === 20) {
    if (witness.length !== 2) refuse('Witness program mismatch');
    const code = Buffer.concat([Buffer.from('76a914', 'hex'), program, Buffer.from('88ac', 'hex')]);
    evaluate(code, witness, input);
  } else if (program.length === 32) {
    const witnessScript = witness.pop();
    if (witnessScript === undefined) refuse('Witness program was passed an empty witness');
    if (!program.equals(sha256(witnessScript))) refuse('Witness program hash mismatch');
    evaluate(witnessScript, witness, input);
  } else {
    refuse('Witness program has incorrect length');
  }
}

type Machine = {
  readonly input: SpentInput;
  readonly script: Buffer;
  readonly stack: Buffer[];
  /** One entry per open IF: whether its current branch runs. */
  readonly branches: boolean[];
};

function evaluate(script: Buffer, initial: Buffer[], input: SpentInput): void {
  if (script.length > MAX_SCRIPT_BYTES) refuse('Script is too big');
  if (initial.some((item) => item.length > 520)) refuse('Push value size limit exceeded');
  const chunks = bscript.decompile(script);
  if (chunks === null) refuse('Opcode missing or not understood');
  const machine: Machine = { input, script, stack: [...initial], branches: [] };
  let ops = 0;
  for (const chunk of chunks) {
    const isRunning = machine.branches.every((branch) => branch);
    if (typeof chunk !== 'number') {
      if (chunk.length > 520) refuse('Push value size limit exceeded');
      if (isRunning) machine.stack.push(Buffer.from(chunk));
    } else {
      if (chunk > OP.SIXTEEN) ops += 1;
      if (ops > MAX_OPS) refuse('Operation limit exceeded');
      if (isRunning || isBranchOp(chunk)) step(machine, chunk, isRunning);
    }
    if (machine.stack.length > MAX_STACK) refuse('Stack size limit exceeded');
  }
  if (machine.branches.length > 0) refuse('Invalid OP_IF construction');
  const [result, ...rest] = machine.stack;
  if (result === undefined || !isTrue(result)) {
    refuse('Script evaluated without error but finished with a false/empty top stack element');
  }
  if (rest.length > 0) refuse('Stack size must be exactly one after execution');
}

const isBranchOp = (op: number): boolean => op === OP.IF || op === OP.NOTIF || op === OP.ELSE || op === OP.ENDIF;

/** Executes one opcode. The list is what Lightning scripts need; everything else is refused. */
function step(machine: Machine, op: number, isRunning: boolean): void {
  const { stack, branches } = machine;
  const pop = (): Buffer => stack.pop() ?? refuse('Operation not valid with the current stack size');
  const top = (): Buffer => stack.at(-1) ?? refuse('Operation not valid with the current stack size');
  const require = (isGood: boolean, reason: string): void => {
    if (!isGood) refuse(reason);
  };
  switch (op) {
    case OP.ZERO:
      stack.push(FALSE);
      return;
    case OP.ONE_NEGATE:
      stack.push(Buffer.from([0x81]));
      return;
    case OP.IF:
    case OP.NOTIF: {
      if (!isRunning) {
        branches.push(false);
        return;
      }
      const condition = pop();
      require(condition.length === 0 || condition.equals(TRUE), 'OP_IF/NOTIF argument must be minimal');
      branches.push(isTrue(condition) === (op === OP.IF));
      return;
    }
    case OP.ELSE: {
      const branch = branches.pop() ?? refuse('Invalid OP_ELSE construction');
      branches.push(!branch);
      return;
    }
    case OP.ENDIF:
      if (branches.pop() === undefined) refuse('Invalid OP_ENDIF construction');
      return;
    case OP.VERIFY:
      require(isTrue(pop()), 'Script failed an OP_VERIFY operation');
      return;
    case OP.DROP:
      pop();
      return;
    case OP.TWO_DROP:
      pop();
      pop();
      return;
    case OP.DUP:
      stack.push(top());
      return;
    case OP.IFDUP:
      if (isTrue(top())) stack.push(top());
      return;
    case OP.SWAP: {
      const [upper, lower] = [pop(), pop()];
      stack.push(upper, lower);
      return;
    }
    case OP.SIZE:
      stack.push(scriptNumber(top().length));
      return;
    case OP.EQUAL:
      stack.push(pop().equals(pop()) ? TRUE : FALSE);
      return;
    case OP.EQUALVERIFY:
      require(pop().equals(pop()), 'Script failed an OP_EQUALVERIFY operation');
      return;
    case OP.HASH160:
      stack.push(Buffer.from(crypto.hash160(pop())));
      return;
    case OP.SHA256:
      stack.push(sha256(pop()));
      return;
    case OP.HASH256:
      stack.push(Buffer.from(crypto.hash256(pop())));
      return;
    case OP.CHECKSIG: {
      const [key, signature] = [pop(), pop()];
      stack.push(checkSignature(machine, signature, key) ? TRUE : FALSE);
      return;
    }
    case OP.CHECKSIGVERIFY: {
      const [key, signature] = [pop(), pop()];
      require(checkSignature(machine, signature, key), 'Script failed an OP_CHECKSIGVERIFY operation');
      return;
    }
    case OP.CHECKMULTISIG:
      stack.push(checkMultisig(machine, pop) ? TRUE : FALSE);
      return;
    case OP.CHECKLOCKTIMEVERIFY:
      checkLocktime(machine.input, readNumber(top(), 5));
      return;
    case OP.CHECKSEQUENCEVERIFY:
      checkSequence(machine.input, readNumber(top(), 5));
      return;
    default:
      if (op > OP_NUMBER_BASE && op <= OP.SIXTEEN) stack.push(Buffer.from([op - OP_NUMBER_BASE]));
      else refuse(`Opcode 0x${op.toString(16)} is not supported here`);
  }
}

/** False for an empty signature; a wrong one that is not empty fails the script (NULLFAIL). */
function checkSignature(machine: Machine, signature: Buffer, key: Buffer): boolean {
  if (key.length !== 33 || (key[0] !== 2 && key[0] !== 3)) refuse('Using non-compressed keys in segwit');
  if (signature.length === 0) return false;
  if (!isValidSignature(machine, signature, key)) refuse('Signature must be zero for failed CHECK(MULTI)SIG operation');
  return true;
}

function isValidSignature({ input, script }: Machine, signature: Buffer, key: Buffer): boolean {
  let decoded: { signature: Uint8Array; hashType: number };
  try {
    decoded = bscript.signature.decode(signature);
  } catch {
    return refuse('Non-canonical DER signature');
  }
  const hash = input.tx.hashForWitnessV0(input.index, script, input.value, decoded.hashType);
  try {
    return verify(hash, key, decoded.signature, true);
  } catch {
    return false; // the key is no point of the curve, or r or s is out of range
  }
}

function checkMultisig(machine: Machine, pop: () => Buffer): boolean {
  const count = (limit: number): number => {
    const value = readNumber(pop(), 4);
    return value < 0 || value > limit ? refuse('Signature or public key count is out of range') : value;
  };
  const keys = Array.from({ length: count(MAX_MULTISIG_KEYS) }, pop);
  const signatures = Array.from({ length: count(keys.length) }, pop);
  if (pop().length !== 0) refuse('Dummy CHECKMULTISIG argument must be zero');
  let next = 0; // both lists run from the last to the first, in the same order
  for (const key of keys) {
    const signature = signatures[next];
    if (signature !== undefined && signature.length > 0 && isValidSignature(machine, signature, key)) next += 1;
  }
  const isGood = next === signatures.length;
  if (!isGood && signatures.some((signature) => signature.length > 0)) {
    refuse('Signature must be zero for failed CHECK(MULTI)SIG operation');
  }
  return isGood;
}

/** BIP65. */
function checkLocktime({ tx, index }: SpentInput, wanted: number): void {
  if (wanted < 0) refuse('Negative locktime');
  const isSameKind = wanted < LOCKTIME_THRESHOLD === tx.locktime < LOCKTIME_THRESHOLD;
  if (!isSameKind || wanted > tx.locktime || tx.ins[index]?.sequence === SEQUENCE_FINAL) {
    refuse('Locktime requirement not satisfied');
  }
}

/** BIP112. */
function checkSequence({ tx, index }: SpentInput, wanted: number): void {
  if (wanted < 0) refuse('Negative locktime');
  if (wanted >= SEQUENCE_DISABLE && Math.floor(wanted / SEQUENCE_DISABLE) % 2 === 1) return;
  const sequence = tx.ins[index]?.sequence ?? SEQUENCE_FINAL;
  const [need, have] = [wanted & SEQUENCE_MASK, sequence & SEQUENCE_MASK];
  const isSameKind = need < SEQUENCE_TYPE_FLAG === have < SEQUENCE_TYPE_FLAG;
  if (tx.version < 2 || sequence >= SEQUENCE_DISABLE || !isSameKind || need > have) {
    refuse('Locktime requirement not satisfied');
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

const isTrue = (item: Buffer): boolean =>
  item.some((byte, index) => byte !== 0 && !(byte === 0x80 && index === item.length - 1));

const scriptNumber = (value: number): Buffer => (value === 0 ? FALSE : Buffer.from(bscript.number.encode(value)));

function readNumber(item: Buffer, maxBytes: number): number {
  try {
    return bscript.number.decode(item, maxBytes, true);
  } catch {
    return refuse('script number is not minimal or too long');
  }
}
