import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Store } from '../../src/store/db.js';
import { findPause } from '../../src/store/meta.js';
import { kill, runScript, startScript } from '../support/storeProcess.js';
import { MIGRATIONS, tempDir, tempStore } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

let dir: string;
let path: string;
beforeEach(() => {
  dir = tempDir();
  path = join(dir, 'swapd.db');
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const open = (file = path): Store => Store.open({ path: file, migrationsDir: MIGRATIONS });
const OPEN = `
  const store = open();
  store.tx(() => meta.savePause(store, 'written by another process'));
  say('open');`;
const OPEN_AND_TELL = `const store = open(); say('read ' + meta.findPause(store));`;

describe('two processes on one database', () => {
  it('the second is refused, before it reads or writes anything, until the first one ends', async () => {
    const first = await startScript(OPEN, path);
    try {
      expect(runScript(OPEN_AND_TELL, [path])).toContain('expected to be its only user');
      expect(() => open()).toThrow(refusal('locked by another process', 'bad_config'));
    } finally {
      await kill(first);
    }
    expect(runScript(OPEN_AND_TELL, [path])).toBe('read written by another process\n');
  });
  it('SIGKILL frees the lock, in the middle of a transaction too, and nothing of that is stored', async () => {
    const first = await startScript(
      `const store = open();
       store.tx(() => meta.savePause(store, 'committed'));
       store.tx(() => {
         meta.savePause(store, 'half');
         say('in the middle');
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
       });`,
      path,
    );
    expect(() => open()).toThrow(refusal('expected to be its only user', 'bad_config'));
    await kill(first);
    using store = open();
    expect(findPause(store)).toBe('committed');
  });
  it('the second is refused when it comes by another name of the same file', async () => {
    const first = await startScript(OPEN, path);
    try {
      symlinkSync(path, join(dir, 'link.db'));
      mkdirSync(join(dir, 'elsewhere'));
      symlinkSync(path, join(dir, 'elsewhere', 'swapd.db'));
      symlinkSync(dir, join(dir, 'elsewhere', 'folder'));
      for (const name of ['link.db', 'elsewhere/swapd.db', 'elsewhere/folder/swapd.db']) {
        expect(() => open(join(dir, name)), name).toThrow(refusal('expected to be its only user', 'bad_config'));
      }
    } finally {
      await kill(first);
    }
    using store = open(join(dir, 'link.db'));
    expect(findPause(store)).toBe('written by another process');
  });
});

describe('one process', () => {
  it('is refused a second time on its own database, too', () => {
    using temp = tempStore();
    expect(() => open(temp.path)).toThrow(refusal('locked', 'bad_config'));
    expect(() => open(temp.path)).toThrow(refusal('locked', 'bad_config'));
  });
  it('is told what is wrong with a lock that cannot be made', () => {
    mkdirSync(`${path}.lock`);
    expect(() => open()).toThrow(refusal('swapd.db.lock: ', 'bad_config'));
  });
});
