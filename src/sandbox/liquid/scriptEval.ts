/**
 * Evaluates witness scripts (segwit version 0) with the node's policy flags; of those a miner may leave out that of minimal
 * conditions. Knows the opcodes of hash locks, time locks and single signatures; anything else fails closed.
 */
import { hash160, hash256, ripemd160, sha256 } from './digests.js';
import { failScript, failUnsupported } from './scriptError.js';
import { checkSignature } from './scriptSignature.js';

/** What a script can see of the transaction that runs it. */
export type SpendContext = {
  readonly version: number;
  readonly locktime: number;
  readonly sequence: number;
  readonly isDynafed: boolean;
  /** A condition is empty or 01, as mempools want it; consensus takes anything for true or false. */
  readonly isMinimalIf: boolean;
  readonly signatureHash: (hashType: number, scriptCode: Buffer) => Buffer;
};

export const LOCKTIME_THRESHOLD = 500_000_000;
export const FINAL_SEQUENCE = 0xffff_ffff;
export const SEQUENCE_DISABLED = 0x8000_0000;
export const SEQUENCE_IS_TIME = 0x40_0000;
export const SEQUENCE_MASK = 0xffff;

const OP = {
  PUSHDATA1: 0x4c,
  PUSHDATA2: 0x4d,
  PUSHDATA4: 0x4e,
  NEGATE_1: 0x4f,
  NUMBER_1: 0x51,
  NUMBER_16: 0x60,
  NOP: 0x61,
  IF: 0x63,
  NOTIF: 0x64,
  ELSE: 0x67,
  ENDIF: 0x68,
  VERIFY: 0x69,
  RETURN: 0x6a,
  TOALTSTACK: 0x6b,
  FROMALTSTACK: 0x6c,
  DROP2: 0x6d,
  DROP: 0x75,
  DUP: 0x76,
  NIP: 0x77,
  OVER: 0x78,
  SWAP: 0x7c,
  SIZE: 0x82,
  EQUAL: 0x87,
  EQUALVERIFY: 0x88,
  NOT: 0x91,
  RIPEMD160: 0xa6,
  SHA256: 0xa8,
  HASH160: 0xa9,
  HASH256: 0xaa,
  CODESEPARATOR: 0xab,
  CHECKSIG: 0xac,
  CHECKSIGVERIFY: 0xad,
  CHECKLOCKTIMEVERIFY: 0xb1,
  CHECKSEQUENCEVERIFY: 0xb2,
} as const;

const MAX_SCRIPT_BYTES = 10_000;
const MAX_PUSH_BYTES = 520;
const MAX_OPERATIONS = 201;
const MAX_STACK = 1000;
const LOCK_NUMBER_BYTES = 5;

const TRUE = Buffer.of(1);
const FALSE = Buffer.alloc(0);
const flag = (value: boolean): Buffer => (value ? TRUE : FALSE);

/** Anything but zero and negative zero. */
export function isTruthy(item: Buffer): boolean {
  return item.some((byte, index) => byte !== 0 && !(byte === 0x80 && index === item.length - 1));
}

function isMinimalNumber(item: Buffer): boolean {
  const last = item.at(-1);
  if (last === undefined || (last & 0x7f) !== 0) return true;
  return ((item.at(-2) ?? 0) & 0x80) !== 0;
}

function numberOf(item: Buffer, maxBytes: number): bigint {
  if (item.length > maxBytes || !isMinimalNumber(item)) failScript('unknown');
  if (item.length === 0) return 0n;
  let value = 0n;
  for (const [index, byte] of item.entries()) value |= BigInt(byte) << BigInt(8 * index);
  const sign = 1n << BigInt(8 * item.length - 1);
  return (value & sign) === 0n ? value : -(value ^ sign);
}

/** A length as a script number. */
function lengthItem(length: number): Buffer {
  const digits: number[] = [];
  for (let left = length; left > 0; left >>= 8) digits.push(left & 0xff);
  if (((digits.at(-1) ?? 0) & 0x80) !== 0) digits.push(0);
  return Buffer.from(digits);
}

type Instruction = { readonly opcode: number; readonly pushed: Buffer | undefined; readonly end: number };

/** Length and start of what an opcode pushes, or undefined if it pushes nothing from the script. */
function pushLength(script: Buffer, opcode: number, at: number): { length: number; start: number } | undefined {
  if (opcode > OP.PUSHDATA4) return undefined;
  if (opcode < OP.PUSHDATA1) return { length: opcode, start: at };
  const width = opcode === OP.PUSHDATA1 ? 1 : opcode === OP.PUSHDATA2 ? 2 : 4;
  if (at + width > script.length) failScript('badOpcode');
  return { length: script.readUIntLE(at, width), start: at + width };
}

/** The instructions of a script; stops with an error where a push runs past the end. */
export function* instructions(script: Buffer): Generator<Instruction> {
  let at = 0;
  while (at < script.length) {
    const opcode = script.readUInt8(at);
    at += 1;
    const push = pushLength(script, opcode, at);
    let pushed: Buffer | undefined;
    if (push !== undefined) {
      at = push.start + push.length;
      if (at > script.length) failScript('badOpcode');
      pushed = script.subarray(push.start, at);
    }
    yield { opcode, pushed, end: at };
  }
}

function isMinimalPush(opcode: number, pushed: Buffer): boolean {
  const [first] = pushed;
  if (first === undefined) return opcode === 0;
  if (pushed.length === 1 && ((first >= 1 && first <= 16) || first === 0x81)) return false;
  if (pushed.length < OP.PUSHDATA1) return opcode === pushed.length;
  return opcode === (pushed.length <= 0xff ? OP.PUSHDATA1 : OP.PUSHDATA2);
}

type Execution = {
  readonly script: Buffer;
  readonly context: SpendContext;
  readonly stack: Buffer[];
  readonly altStack: Buffer[];
  /** One entry per open OP_IF: whether its present branch runs. */
  readonly branches: boolean[];
  /** Where the part of the script begins that signatures commit to. */
  codeStart: number;
};

function pop(run: Execution): Buffer {
  return run.stack.pop() ?? failScript('stack');
}

function peek(run: Execution, depth = 1): Buffer {
  return run.stack.at(-depth) ?? failScript('stack');
}

function need(run: Execution, items: number): void {
  if (run.stack.length < items) failScript('stack');
}

function openBranch(run: Execution, isExecuting: boolean, isNegated: boolean): void {
  if (!isExecuting) {
    run.branches.push(false);
    return;
  }
  const condition = run.stack.pop() ?? failScript('unbalanced');
  const isMinimal = condition.length === 0 || (condition.length === 1 && condition[0] === 1);
  if (run.context.isMinimalIf && !isMinimal) failScript('minimalIf');
  run.branches.push(isTruthy(condition) !== isNegated);
}

function checkSig(run: Execution): boolean {
  need(run, 2);
  const pubkey = pop(run);
  const signature = pop(run);
  const scriptCode = run.script.subarray(run.codeStart);
  return checkSignature(signature, pubkey, {
    isDynafed: run.context.isDynafed,
    hashFor: (hashType) => run.context.signatureHash(hashType, scriptCode),
  });
}

/** BIP65. */
function checkLocktime(run: Execution): void {
  const required = numberOf(peek(run), LOCK_NUMBER_BYTES);
  if (required < 0n) failScript('negativeLocktime');
  const { locktime, sequence } = run.context;
  const isSameKind = required < LOCKTIME_THRESHOLD === locktime < LOCKTIME_THRESHOLD;
  if (!isSameKind || required > locktime || sequence === FINAL_SEQUENCE) failScript('unsatisfiedLocktime');
}

/** BIP112. */
function checkSequence(run: Execution): void {
  const required = numberOf(peek(run), LOCK_NUMBER_BYTES);
  if (required < 0n) failScript('negativeLocktime');
  if ((required & BigInt(SEQUENCE_DISABLED)) !== 0n) return;
  const { version, sequence } = run.context;
  if (version < 2 || (sequence & SEQUENCE_DISABLED) !== 0) failScript('unsatisfiedLocktime');
  const compared = SEQUENCE_IS_TIME | SEQUENCE_MASK;
  const found = sequence & compared;
  const wanted = Number(required & BigInt(compared));
  if (found < SEQUENCE_IS_TIME !== wanted < SEQUENCE_IS_TIME || wanted > found) failScript('unsatisfiedLocktime');
}

function execute(run: Execution, opcode: number, end: number, isExecuting: boolean): void {
  const { stack } = run;
  switch (opcode) {
    case OP.NEGATE_1:
      stack.push(Buffer.of(0x81));
      return;
    case OP.NOP:
      return;
    case OP.IF:
    case OP.NOTIF:
      openBranch(run, isExecuting, opcode === OP.NOTIF);
      return;
    case OP.ELSE:
      run.branches.push(!(run.branches.pop() ?? failScript('unbalanced')));
      return;
    case OP.ENDIF:
      if (run.branches.pop() === undefined) failScript('unbalanced');
      return;
    case OP.VERIFY:
      if (!isTruthy(pop(run))) failScript('verify');
      return;
    case OP.RETURN:
      return failScript('opReturn');
    case OP.TOALTSTACK:
      run.altStack.push(pop(run));
      return;
    case OP.FROMALTSTACK:
      stack.push(run.altStack.pop() ?? failScript('altStack'));
      return;
    case OP.DROP:
      pop(run);
      return;
    case OP.DROP2:
      need(run, 2);
      stack.splice(-2);
      return;
    case OP.DUP:
      stack.push(peek(run));
      return;
    case OP.NIP:
      need(run, 2);
      stack.splice(-2, 1);
      return;
    case OP.OVER:
      stack.push(peek(run, 2));
      return;
    case OP.SWAP:
      need(run, 2);
      stack.push(...stack.splice(-2, 1));
      return;
    case OP.SIZE:
      stack.push(lengthItem(peek(run).length));
      return;
    case OP.EQUAL:
      need(run, 2);
      stack.push(flag(pop(run).equals(pop(run))));
      return;
    case OP.EQUALVERIFY:
      need(run, 2);
      if (!pop(run).equals(pop(run))) failScript('equalVerify');
      return;
    case OP.NOT:
      stack.push(flag(numberOf(pop(run), 4) === 0n));
      return;
    case OP.RIPEMD160:
      stack.push(ripemd160(pop(run)));
      return;
    case OP.SHA256:
      stack.push(sha256(pop(run)));
      return;
    case OP.HASH160:
      stack.push(hash160(pop(run)));
      return;
    case OP.HASH256:
      stack.push(hash256(pop(run)));
      return;
    case OP.CODESEPARATOR:
      run.codeStart = end;
      return;
    case OP.CHECKSIG:
      stack.push(flag(checkSig(run)));
      return;
    case OP.CHECKSIGVERIFY:
      if (!checkSig(run)) failScript('checkSigVerify');
      return;
    case OP.CHECKLOCKTIMEVERIFY:
      checkLocktime(run);
      return;
    case OP.CHECKSEQUENCEVERIFY:
      checkSequence(run);
      return;
    default:
      if (opcode < OP.NUMBER_1 || opcode > OP.NUMBER_16) failUnsupported(`opcode ${opcode}`);
      stack.push(Buffer.of(opcode - OP.NUMBER_1 + 1));
  }
}

function step(run: Execution, { opcode, pushed, end }: Instruction): void {
  const isExecuting = run.branches.every(Boolean);
  if (pushed !== undefined) {
    if (pushed.length > MAX_PUSH_BYTES) failScript('pushSize');
    if (!isExecuting) return;
    if (!isMinimalPush(opcode, pushed)) failScript('minimalData');
    run.stack.push(pushed);
  } else if (isExecuting || (opcode >= OP.IF && opcode <= OP.ENDIF)) {
    execute(run, opcode, end, isExecuting);
  }
  if (run.stack.length + run.altStack.length > MAX_STACK) failScript('stackSize');
}

/**
 * Runs a script on a stack (bottom first), which it changes.
 *
 * @throws ScriptError with the node's words.
 */
export function runScript(script: Buffer, stack: Buffer[], context: SpendContext): void {
  if (script.length > MAX_SCRIPT_BYTES) failScript('scriptSize');
  const run: Execution = { script, context, stack, altStack: [], branches: [], codeStart: 0 };
  let operations = 0;
  for (const instruction of instructions(script)) {
    if (instruction.opcode > OP.NUMBER_16) operations += 1;
    if (operations > MAX_OPERATIONS) failScript('opCount');
    step(run, instruction);
  }
  if (run.branches.length > 0) failScript('unbalanced');
}
