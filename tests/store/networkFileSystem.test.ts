import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { Store } from '../../src/store/db.js';
import { MIGRATIONS, tempDir } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

/** Only the answer of the operating system is changed: no test machine mounts NFS. */
const { type } = vi.hoisted(() => ({ type: { value: 0 } }));
vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>();
  return { ...real, statfsSync: () => ({ type: type.value }) };
});

const dir = tempDir();
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe('a database on a network file system', () => {
  it('is refused before anything is made there', () => {
    const open = (): Store => Store.open({ path: join(dir, 'swapd.db'), migrationsDir: MIGRATIONS });
    for (const [number, name] of [
      [0x6969, 'NFS'],
      [0xff534d42, 'CIFS'],
      [0x01021997, '9p'],
      [0x65735546, 'FUSE'],
    ] as const) {
      type.value = number;
      expect(open).toThrow(refusal(name, 'bad_config'));
    }
    expect(readdirSync(dir)).toEqual([]);
    type.value = 0xef53; // ext4
    open()[Symbol.dispose]();
    expect(readdirSync(dir)).toContain('swapd.db');
  });
});
