import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { makePrivateFolder, readPrivateFile, takeLock, writePrivateFile } from '../../../src/buyer/files.js';
import { refusal } from '../core/zkp.js';

const MODE = 0o777;
/** No process has this id: it is above Linux's greatest pid. */
const DEAD_PID = 4_194_305;

const MODULE = new URL('../../../dist/buyer/files.js', import.meta.url).href;
const WALLET_FILE = new URL('../../../dist/liquid/walletFile.js', import.meta.url).href;

/** Runs a program that may write so many bytes to a file: a disk that takes a part of a text and then no more. */
function runOnFullDisk(program: string, blocks: number): string {
  const limited = `trap '' XFSZ; ulimit -f ${blocks}; exec "$0" --input-type=module -e "$1"`;
  const { stdout, stderr } = spawnSync('sh', ['-c', limited, process.execPath, program], { encoding: 'utf8' });
  return stdout + stderr;
}

/** What a program of its own prints. */
const output = async (program: string): Promise<string> =>
  (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])).stdout;

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
  it('that a full disk takes in part is not written at all: the old text stays', () => {
    const path = join(dir, 'record');
    writePrivateFile(path, 'old');
    const program = `
      import { writePrivateFile } from '${MODULE}';
      try { writePrivateFile('${path}', 'x'.repeat(5_000)); } catch (error) { console.log(error.message); }
    `;
    expect(runOnFullDisk(program, 1)).toContain('EFBIG');
    expect(readPrivateFile(path)).toBe('old');
    expect(readdirSync(dir)).toEqual(['record']);
  });
  it('cannot be written below a file, and the message names the place', () => {
    writePrivateFile(join(dir, 'file'), 'x');
    expect(() => {
      makePrivateFolder(join(dir, 'file', 'below'));
    }).toThrow(refusal(`place to write at ${join(dir, 'file', 'below')}, found ENOTDIR`, 'bad_config'));
  });
});

describe('a mnemonic', () => {
  it('that does not fit on the disk leaves no file that looks like one', () => {
    const path = join(dir, 'mnemonic');
    const program = `
      import { createMnemonicFile } from '${WALLET_FILE}';
      try { console.log('shown', createMnemonicFile('${path}')); } catch (error) { console.log(error.message); }
    `;
    expect(runOnFullDisk(program, 0)).toContain('EFBIG');
    expect(readdirSync(dir)).toEqual([]);
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
  it('of a process that died is taken over by one of many, however close they come', async () => {
    const [rounds, processes] = [80, 4];
    for (let i = 0; i < rounds; i += 1) writeFileSync(`${lock()}.${i}`, String(DEAD_PID), { mode: 0o600 });
    const program = `
      import { takeLock } from '${MODULE}';
      const taken = [];
      for (let i = 0; i < ${rounds}; i += 1) {
        while (Date.now() < ${Date.now() + 1_500} + i * 30);
        try { takeLock('${lock()}.' + i); taken.push(i); }
        catch (error) { if (error.code !== 'version_conflict') throw error; }
      }
      console.log(taken.join(' '));
      setTimeout(() => undefined, 4_000); // whoever took one lives on
    `;
    const outputs = Array.from({ length: processes }, async () => await output(program));
    const taken = (await Promise.all(outputs)).flatMap((text) => text.trim().split(' ').filter(Boolean).map(Number));
    expect(taken.sort((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, i) => i));
  });
});
