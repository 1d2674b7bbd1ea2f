import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { acceptRestore, generationProblem, openGeneration, type Generation } from '../../../src/lnnode/generation.js';
import { openDatabase, type Database } from '../../../src/lnnode/store/db.js';
import { generationRows } from '../../../src/lnnode/store/generation.js';

let dir: string;
let file: string;
let db: Database;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'generation-'));
  file = join(dir, 'generation');
  db = openDatabase(join(dir, 'lnnoded.sqlite'));
});
afterEach(() => {
  db.close();
  rmSync(dir, { recursive: true, force: true });
});

/** One turn that writes a row. */
function turn(generation: Generation, key: string): void {
  db.transaction(() => {
    db.prepare('INSERT OR REPLACE INTO peers VALUES (?, ?)').run(key.padStart(66, '0'), 'host:1');
    generation.raise();
  }).immediate();
  generation.write();
}

const problem = (): string | undefined => generationProblem(db, file);

describe('the generation', () => {
  it('agrees on a first start, and after every turn', () => {
    expect(problem()).toBeUndefined();
    const generation = openGeneration(db, file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    for (const key of ['1', '2', '3']) {
      turn(generation, key);
      expect(problem()).toBeUndefined();
    }
    expect(generationRows(db).number()).toBe(3n);
  });
  it('stands still in a turn that writes nothing', () => {
    const generation = openGeneration(db, file);
    turn(generation, '1');
    db.transaction(generation.raise).immediate();
    expect(generationRows(db).number()).toBe(1n);
  });
  it('knows every copy from before the last turn, and a copy from after it', () => {
    const generation = openGeneration(db, file);
    const copies = ['1', '2', '3'].map((key) => {
      turn(generation, key);
      const path = join(dir, `copy-${key}`);
      db.prepare('VACUUM INTO ?').run(path);
      return path;
    });
    const problems = copies.map((path) => {
      const copy = openDatabase(path);
      const found = generationProblem(copy, file);
      copy.close();
      return found;
    });
    expect(problems).toEqual([
      expect.stringContaining('an older database was put back'),
      expect.stringContaining('an older database was put back'),
      undefined,
    ]);
  });
  it('goes on after a crash between the commit and the file, but not after two lost writes', () => {
    const generation = openGeneration(db, file);
    turn(generation, '1');
    generationRows(db).save(2n);
    expect(problem()).toBeUndefined();
    expect(openGeneration(db, file)).toBeDefined();
    generationRows(db).save(4n);
    expect(problem()).toContain('an older file was put back');
  });
  it('survives a write of the file that the power cut short', () => {
    const generation = openGeneration(db, file);
    for (const key of ['1', '2', '3', '4']) turn(generation, key);
    const whole = readFileSync(file);
    for (const place of [0, 4096]) {
      const torn = Buffer.from(whole).fill(0, place, place + 21);
      writeFileSync(file, torn);
      const isNewest = whole.subarray(place, place + 21).toString() === `${'4'.padStart(20, '0')}\n`;
      expect(problem()).toBeUndefined(); // the other place has 4, or 3 with the database one ahead
      expect(isNewest).toBe(place === 0);
    }
    truncateSync(file, 0);
    expect(problem()).toContain('is unreadable');
    rmSync(file);
    expect(problem()).toContain('is missing');
  });
  it('is above both numbers once an older database was accepted', () => {
    const generation = openGeneration(db, file);
    turn(generation, '1');
    const path = join(dir, 'copy');
    db.prepare('VACUUM INTO ?').run(path);
    for (const key of ['2', '3']) turn(generation, key);
    const newest = join(dir, 'newest');
    db.prepare('VACUUM INTO ?').run(newest);
    copyFileSync(file, join(dir, 'file-of-newest'));

    const copy = openDatabase(path);
    acceptRestore(copy, file);
    expect(generationProblem(copy, file)).toBeUndefined();
    expect(generationRows(copy).isRestoreAccepted()).toBe(true);
    expect(generationRows(copy).number()).toBe(4n);
    copy.close();
    expect(problem()).toContain('an older database was put back'); // the other one is the old one now
  });
});
