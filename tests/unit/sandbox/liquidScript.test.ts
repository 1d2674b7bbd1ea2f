import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { runScript, type SpendContext } from '../../../src/sandbox/liquid/scriptEval.js';
import { ScriptError } from '../../../src/sandbox/liquid/scriptError.js';

const CONTEXT: SpendContext = {
  version: 2,
  locktime: 100,
  sequence: 10,
  isDynafed: true,
  isMinimalIf: true,
  signatureHash: () => Buffer.alloc(32, 1),
};

/** The stack that a script (hex) leaves, in hex, or why it fails. */
function run(script: string, stack: readonly string[] = [], context: Partial<SpendContext> = {}): string[] | string {
  const items = stack.map((item) => Buffer.from(item, 'hex'));
  try {
    runScript(Buffer.from(script, 'hex'), items, { ...CONTEXT, ...context });
  } catch (error) {
    if (error instanceof ScriptError) return error.message;
    throw error;
  }
  return items.map((item) => item.toString('hex'));
}

const digest = (name: string, text: string): string => createHash(name).update(Buffer.from(text, 'hex')).digest('hex');
const sha = digest('sha256', 'aabb');

describe('the script evaluator', () => {
  it.each([
    ['pushes numbers and data', '00514f6002aabb', [], ['', '01', '81', '10', 'aabb']],
    ['drops, duplicates and swaps', '75767c6d', ['0a', '0b', '0c'], ['0a']],
    ['takes the second and copies it', '7877', ['0a', '0b'], ['0a', '0a']],
    ['uses the other stack', '6b51 6c'.replace(' ', ''), ['0a'], ['01', '0a']],
    ['does nothing where nothing is to be done', '61', ['0a'], ['0a']],
    ['measures', '82', ['00'.repeat(200)], ['00'.repeat(200), 'c800']],
    ['compares', '87', ['0a', '0a'], ['01']],
    ['compares what differs', '87', ['0a', '0b'], ['']],
    ['negates', '91', [''], ['01']],
    ['negates what is negative', '91', ['81'], ['']],
    ['verifies', '69', ['01'], []],
    ['hashes with SHA256', 'a8', ['aabb'], [sha]],
    ['hashes with SHA256 twice', 'aa', ['aabb'], [digest('sha256', sha)]],
    ['hashes with RIPEMD160', 'a6', ['aabb'], [digest('ripemd160', 'aabb')]],
    ['hashes with both', 'a9', ['aabb'], [digest('ripemd160', sha)]],
    ['takes the branch that is meant', '6351675268', ['01'], ['01']],
    ['takes the other branch', '6351675268', [''], ['02']],
    ['takes the negated branch', '6451675268', [''], ['01']],
    ['skips nested branches', '0063635152686753 68'.replace(' ', ''), [], ['03']],
    ['reads a push of 76 bytes', `4c4c${'07'.repeat(76)}`, [], ['07'.repeat(76)]],
    ['reads a push of 256 bytes', `4d0001${'07'.repeat(256)}`, [], ['07'.repeat(256)]],
    ['lets an absolute lock pass that the transaction has', '0164b1', [], ['64']],
    ['lets a relative lock pass that the input has', '5ab2', [], ['0a']],
    ['ignores a relative lock that is switched off', '050000008000b2', [], ['0000008000']],
    ['finds an empty signature false', `2102${'11'.repeat(32)}ac`, [''], ['']],
  ] as const)('%s', (_, script, stack, expected) => {
    expect(run(script, stack)).toEqual(expected);
  });

  it.each([
    ['an empty stack', '75', 'Operation not valid with the current stack size'],
    ['one item where two are needed', '5187', 'Operation not valid with the current stack size'],
    ['an empty other stack', '6c', 'Operation not valid with the current altstack size'],
    ['something false', '0069', 'Script failed an OP_VERIFY operation'],
    ['an OP_RETURN', '6a', 'OP_RETURN was encountered'],
    ['a branch that stays open', '5163', 'Invalid OP_IF construction'],
    ['a branch without condition', '63', 'Invalid OP_IF construction'],
    ['an else without if', '67', 'Invalid OP_IF construction'],
    ['an end without if', '68', 'Invalid OP_IF construction'],
    ['a push past the end', '05aa', 'Opcode missing or not understood'],
    ['a length past the end', '4d00', 'Opcode missing or not understood'],
    ['a push that could be an opcode', '0105', 'Data push larger than necessary'],
    ['a push that could be shorter', '4c0107', 'Data push larger than necessary'],
    ['a push above 520 bytes', `4d0902${'07'.repeat(521)}`, 'Push value size limit exceeded'],
    ['202 operations', '61'.repeat(202), 'Operation limit exceeded'],
    ['1001 items', '51'.repeat(1001), 'Stack size limit exceeded'],
    ['10001 bytes', '00'.repeat(10_001), 'Script is too big'],
    ['a number that is not minimal', '02000091', 'unknown error'],
    ['a number of 5 bytes where 4 are the limit', '05010101010191', 'unknown error'],
    ['a negative lock', '4fb1', 'Negative locktime'],
    ['a lock that is not reached', '0165b1', 'Locktime requirement not satisfied'],
    ['a time lock on a height', '040065cd1db1', 'Locktime requirement not satisfied'],
    ['a negative relative lock', '4fb2', 'Negative locktime'],
    ['a relative lock that is not reached', '5bb2', 'Locktime requirement not satisfied'],
    ['a signature check without a signature', '51ac', 'Operation not valid with the current stack size'],
    ['a key of no known kind', '000105ac', 'Data push larger than necessary'],
    ['a key of 2 bytes', '00021111ac', 'Public key is neither compressed or uncompressed'],
    ['an uncompressed key', `004104${'11'.repeat(64)}ac`, 'Using non-compressed keys in segwit'],
    ['a signature that is no DER', `02300121 02${'11'.repeat(32)}ac`.replace(' ', ''), 'Non-canonical DER signature'],
    [
      'an empty signature that must be good',
      `002102${'11'.repeat(32)}ad`,
      'Script failed an OP_CHECKSIGVERIFY operation',
    ],
    ['an opcode it does not know', '515193', 'opcode 147 is not supported by the sandbox'],
    ['a disabled opcode', '62', 'opcode 98 is not supported by the sandbox'],
  ])('fails on %s', (_, script, expected) => {
    expect(run(script)).toBe(expected);
  });

  it('does not look at what a branch that is not taken would do', () => {
    expect(run('00635193ac6852')).toEqual(['02']);
  });
  it.each([
    ['02', '01'],
    ['0100', '01'],
    ['80', '02'],
    ['0000', '02'],
  ])('takes %s as a condition by consensus only', (condition, branch) => {
    expect(run('6351675268', [condition])).toBe('OP_IF/NOTIF argument must be minimal');
    expect(run('6351675268', [condition], { isMinimalIf: false })).toEqual([branch]);
  });
  it('ends every lock with the final sequence', () => {
    expect(run('0164b1', [], { sequence: 0xffff_ffff })).toBe('Locktime requirement not satisfied');
    expect(run('51b2', [], { sequence: 0xffff_ffff })).toBe('Locktime requirement not satisfied');
  });
  it('knows no relative locks in version 1', () => {
    expect(run('51b2', [], { version: 1 })).toBe('Locktime requirement not satisfied');
  });
});
