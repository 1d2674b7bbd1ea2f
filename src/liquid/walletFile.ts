/** The file that holds the wallet's mnemonic: one line of BIP39 words, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { generateMnemonic, validateMnemonic, wordlists } from 'bip39';

import { SwapError } from '../errors.js';

const OWNER_ONLY = 0o600;
const FOR_OTHERS = 0o077;
/** 24 words. */
const ENTROPY_BITS = 256;
const ENGLISH: ReadonlySet<string> = new Set(wordlists['english']);

function refuse(path: string, expected: string, found: string): never {
  throw new SwapError('bad_config', `mnemonic file ${path}: expected ${expected}, found ${found}`);
}

function open(path: string, flags: 'r' | 'wx'): number {
  try {
    return openSync(path, flags, OWNER_ONLY);
  } catch (cause) {
    const found = cause instanceof Error && 'code' in cause ? String(cause.code) : 'another error';
    const expected = flags === 'r' ? 'a file that can be read' : 'a new file in a folder that can be written';
    throw new SwapError('bad_config', `mnemonic file ${path}: expected ${expected}, found ${found}`, { cause });
  }
}

/**
 * Reads a mnemonic of English BIP39 words.
 *
 * @throws SwapError `bad_config` if the file cannot be read, is open to others than its owner, or does not hold a valid
 *   mnemonic. No message shows the words.
 */
export function readMnemonicFile(path: string): string {
  const file = open(path, 'r');
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) refuse(path, 'a regular file', 'something else');
    if ((stat.mode & FOR_OTHERS) !== 0) refuse(path, 'mode 0600', `mode 0${(stat.mode & 0o777).toString(8)}`);
    const words = readFileSync(file, 'utf8').trim().split(/\s+/);
    const mnemonic = words.join(' ');
    if (!validateMnemonic(mnemonic)) refuse(path, 'BIP39 words with their checksum', `${words.length} words without`);
    return mnemonic;
  } finally {
    closeSync(file);
  }
}

/**
 * Words that somebody typed, as one mnemonic: white space and capital letters do not matter.
 *
 * @throws SwapError `invalid_argument` naming the places of unknown words, a wrong count or the checksum; never a word.
 */
export function parseMnemonic(text: string): string {
  const words = text.trim().toLowerCase().split(/\s+/);
  const expected = (what: string, found: string): never => {
    throw new SwapError('invalid_argument', `mnemonic: expected ${what}, found ${found}`);
  };
  if (![12, 15, 18, 21, 24].includes(words.length)) {
    return expected('12, 15, 18, 21 or 24 words', text.trim() === '' ? 'none' : String(words.length));
  }
  const unknown = words.flatMap((word, i) => (ENGLISH.has(word) ? [] : [i + 1]));
  if (unknown.length > 0) return expected('words of the English BIP39 list', `others at place ${unknown.join(', ')}`);
  const mnemonic = words.join(' ');
  return validateMnemonic(mnemonic) ? mnemonic : expected('words whose checksum fits', 'a wrong word or order');
}

/**
 * Writes a mnemonic to a new file of mode 0600: the given one, or 24 new words.
 *
 * @returns the words; new ones are to be shown once.
 * @throws SwapError `bad_config` if the file exists or cannot be made; half a file is not left behind.
 */
export function createMnemonicFile(path: string, given?: string): string {
  const mnemonic = given ?? generateMnemonic(ENTROPY_BITS, randomBytes);
  const file = open(path, 'wx');
  try {
    writeFileSync(file, `${mnemonic}\n`);
    fsyncSync(file);
  } catch (cause) {
    rmSync(path, { force: true });
    const found = cause instanceof Error && 'code' in cause ? String(cause.code) : 'another error';
    throw new SwapError('bad_config', `mnemonic file ${path}: expected a place to write, found ${found}`, { cause });
  } finally {
    closeSync(file);
  }
  return mnemonic;
}
