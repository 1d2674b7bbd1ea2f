import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { initDataDir, readRecords, readSeed, reserveNumber, restoreDataDir } from '../../../src/buyer/dataDir.js';
import { refusal } from '../core/zkp.js';

const WORDS = `${'abandon '.repeat(23)}art`;

describe('a data directory of words from another one', () => {
  let dir: string;
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'swap-restore-')), 'buyer');
  });
  afterEach(() => {
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  it('has the same seed, is private and begins at a number that was not used', () => {
    restoreDataDir(dir, `  ${WORDS.toUpperCase().replaceAll(' ', '\n')}\n`, 26_112_100);
    const mnemonic = join(dir, 'mnemonic');
    expect(readFileSync(mnemonic, 'utf8')).toBe(`${WORDS}\n`);
    expect(statSync(mnemonic).mode & 0o777).toBe(0o600);
    expect(readSeed(dir).length).toBe(64);
    expect(readRecords(dir)).toEqual([]);
    expect([reserveNumber(dir), reserveNumber(dir)]).toEqual([26_112_100, 26_112_101]);
  });

  it('is not made over one that has words', () => {
    initDataDir(dir);
    expect(() => {
      restoreDataDir(dir, WORDS, 1);
    }).toThrow(`expected no mnemonic in ${dir}, found one`);
  });

  it.each([
    ['', 'expected 12, 15, 18, 21 or 24 words, found none'],
    ['abandon art', 'expected 12, 15, 18, 21 or 24 words, found 2'],
    [WORDS.replace('abandon', 'secretword'), 'expected words of the English BIP39 list, found others at place 1'],
    [WORDS.replace('art', 'about'), 'expected words whose checksum fits, found a wrong word or order'],
  ])('is refused for "%s", and no word is shown', (words, expected) => {
    expect(() => {
      restoreDataDir(dir, words, 1);
    }).toThrow(refusal(expected));
    expect(() => readSeed(dir)).toThrow('expected a mnemonic in');
  });
});
