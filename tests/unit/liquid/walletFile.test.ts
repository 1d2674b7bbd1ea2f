import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createMnemonicFile, readMnemonicFile } from '../../../src/liquid/walletFile.js';

const WORDS = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about';

let dir: string;
let file: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wallet-file-'));
  file = join(dir, 'mnemonic');
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function refusalOf(path: string): string {
  try {
    readMnemonicFile(path);
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
  throw new Error('expected a refusal');
}

describe('a mnemonic file', () => {
  it('is made with 24 new words for its owner only, and reads back', () => {
    const words = createMnemonicFile(file);
    expect(words.split(' ')).toHaveLength(24);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(`${words}\n`);
    expect(readMnemonicFile(file)).toBe(words);
    expect(createMnemonicFile(join(dir, 'other'))).not.toBe(words);
  });

  it('is never overwritten, not even through a link', () => {
    const words = createMnemonicFile(file);
    symlinkSync(join(dir, 'nowhere'), join(dir, 'link'));
    expect(() => createMnemonicFile(file)).toThrow('EEXIST');
    expect(() => createMnemonicFile(join(dir, 'link'))).toThrow('EEXIST');
    expect(readMnemonicFile(file)).toBe(words);
  });

  it('may be laid out over lines', () => {
    writeFileSync(file, `\n ${WORDS.replaceAll(' ', '\n  ')} \n`, { mode: 0o600 });
    expect(readMnemonicFile(file)).toBe(WORDS);
  });

  it.each([0o640, 0o604, 0o660, 0o666])('of mode %o is refused', (mode) => {
    writeFileSync(file, WORDS);
    chmodSync(file, mode);
    expect(refusalOf(file)).toContain('expected mode 0600');
  });

  it.each([
    ['a wrong checksum', WORDS.replace('about', 'abandon')],
    ['a word that is none', WORDS.replace('about', 'lightning1')],
    ['nothing', ''],
  ])('with %s is refused without showing a word', (_what, text) => {
    writeFileSync(file, text, { mode: 0o600 });
    const message = refusalOf(file);
    expect(message).toContain('expected BIP39 words with their checksum');
    expect(message).not.toMatch(/abandon|about|lightning1/);
  });

  it('that does not exist, or is a folder, is refused', () => {
    expect(refusalOf(join(dir, 'none'))).toContain('ENOENT');
    expect(refusalOf(dir)).toContain('expected a regular file');
  });
});
