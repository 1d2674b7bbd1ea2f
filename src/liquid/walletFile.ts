/** The file that holds the wallet's mnemonic: one line of BIP39 words, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

import { generateMnemonic, validateMnemonic } from 'bip39';

import { SwapError } from '../errors.js';

const OWNER_ONLY = 0o600;
const FOR_OTHERS = 0o077;
/** 24 words. */
const ENTROPY_BITS = 256;

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
 * Makes a new mnemonic of 24 words and writes it to a new file of mode 0600.
 *
 * @returns the words, to be shown once.
 * @throws SwapError `bad_config` if the file exists or cannot be made.
 */
export function createMnemonicFile(path: string): string {
  const mnemonic = generateMnemonic(ENTROPY_BITS, randomBytes);
  const file = open(path, 'wx');
  try {
    writeSync(file, `${mnemonic}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return mnemonic;
}
