import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { makePrivateFolder, readPrivateFile, takeLock, writePrivateFile } from '../../../src/buyer/files.js';
import { refusal } from '../core/zkp.js';

const MODE = 0o777;
/** No process has this id: it is above Linux's greatest pid. */
const DEAD_PID = 4_194_305;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-files-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('a private file', () => {
  it('is readable by its owner only and leaves nothing else behind', () => {
    const path = join(dir, 'secret');
    writePrivateFile(path, 'old');
    writePrivateFile(path, 'new');
    expect(readPrivateFile(path)).toBe('new');
    expect(statSync(path).mode & MODE).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['secret']);
  });
  it('that others can read is refused, and the message says what to do', () => {
    const path = join(dir, 'open');
    writePrivateFile(path, 'x');
    chmodSync(path, 0o644);
    expect(() => readPrivateFile(path)).toThrow(refusal('found 0644; run chmod 600', 'bad_config'));
  });
  it('that does not exist is undefined; a folder in its place is an error', () => {
    expect(readPrivateFile(join(dir, 'none'))).toBeUndefined();
    expect(() => readPrivateFile(dir)).toThrow(refusal('EISDIR', 'bad_config'));
  });
  it('cannot be written below a file, and the message names the place', () => {
    writePrivateFile(join(dir, 'file'), 'x');
    expect(() => {
      makePrivateFolder(join(dir, 'file', 'below'));
    }).toThrow(refusal(`place to write at ${join(dir, 'file', 'below')}, found ENOTDIR`, 'bad_config'));
  });
});

describe('a lock', () => {
  const lock = (): string => join(dir, 'lock');
  it('is held by one owner at a time, this process included', () => {
    const free = takeLock(lock());
    expect(() => takeLock(lock())).toThrow(refusal(`found process ${process.pid}`, 'version_conflict'));
    free();
    takeLock(lock())();
    expect(readdirSync(dir)).toEqual([]);
  });
  it('of a process that died is taken over', () => {
    writeFileSync(lock(), String(DEAD_PID), { mode: 0o600 });
    takeLock(lock())();
    expect(readdirSync(dir)).toEqual([]);
  });
});
