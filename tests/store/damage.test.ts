import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { networkFileSystem, Store } from '../../src/store/db.js';
import { findPause, savePause, savePrincipal } from '../../src/store/meta.js';
import { findSwap } from '../../src/store/swaps.js';
import { unixSecs } from '../../src/core/units.js';
import { intent, START } from '../support/swapFixtures.js';
import { isAllowed, runScript } from '../support/storeProcess.js';
import { insertNew, MIGRATIONS, rawSql, tempDir, tempStore } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

let dir: string;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const open = (path: string): Store => Store.open({ path, migrationsDir: MIGRATIONS });

/** What a disk holds when the power goes now: the files as they are, without the shared memory. */
function powerCut(path: string, name: string): string {
  const copy = join(dir, name);
  for (const end of ['', '-wal']) {
    if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  }
  return copy;
}

describe('a power cut', () => {
  it('in the middle of a transaction leaves every commit before it, and nothing of it', () => {
    using temp = tempStore();
    const { store, path } = temp;
    insertNew(store);
    store.run(rawSql('PRAGMA cache_size = 10')); // uncommitted pages are written to the log early
    const sizeBefore = readFileSync(`${path}-wal`).length;
    const copy = store.tx(() => {
      savePause(store, 'not committed');
      for (let n = 0; n < 200; n += 1) savePrincipal(store, `p${n}`, `${n}${'h'.repeat(5_000)}`, unixSecs(START));
      return powerCut(path, 'copy.db');
    });
    expect(readFileSync(`${copy}-wal`).length).toBeGreaterThan(sizeBefore + 200 * 4096);
    using found = open(copy);
    expect(findSwap(found, intent.id)).toEqual(intent);
    expect(findPause(found)).toBeUndefined();
    expect(found.all(rawSql('SELECT name FROM principals'))).toEqual([]);
    expect(found.all(rawSql('PRAGMA integrity_check'))).toEqual([{ integrity_check: 'ok' }]);
  });
  it('that tears the end of the log loses the last commits only, whole and in order', () => {
    using temp = tempStore();
    for (let n = 1; n <= 9; n += 1) savePause(temp.store, `commit ${n}`);
    const { length } = readFileSync(`${temp.path}-wal`);
    const seen: number[] = [];
    for (let cut = 0; cut <= length; cut += Math.floor(length / 30)) {
      const copy = powerCut(temp.path, `cut${cut}.db`);
      truncateSync(`${copy}-wal`, cut);
      using found = open(copy);
      seen.push(Number(/^commit (\d)$/.exec(findPause(found) ?? 'commit 0')?.[1]));
    }
    expect(seen).toEqual([...seen].sort());
    expect(new Set(seen).size).toBeGreaterThan(5);
    using whole = open(powerCut(temp.path, 'whole.db'));
    expect(findPause(whole)).toBe('commit 9');
  });
  it('that writes garbage at the end of the log loses the last commit only', () => {
    using temp = tempStore();
    savePause(temp.store, 'before');
    const start = readFileSync(`${temp.path}-wal`).length;
    savePause(temp.store, 'last');
    const copy = powerCut(temp.path, 'copy.db');
    const log = readFileSync(`${copy}-wal`);
    log.fill(0xa5, start + 100, start + 600);
    writeFileSync(`${copy}-wal`, log);
    using found = open(copy);
    expect(findPause(found)).toBe('before');
  });
});

/** A closed database with some rows, as bytes. */
function closedDatabase(): { readonly path: string; readonly bytes: Buffer } {
  const path = join(dir, 'swapd.db');
  {
    using store = open(path);
    insertNew(store);
    store.tx(() => {
      for (let n = 0; n < 200; n += 1) savePrincipal(store, `p${n}`, `${n}${'h'.repeat(60)}`, unixSecs(START));
    });
  }
  return { path, bytes: readFileSync(path) };
}

/** Where the root page of a table or index begins. */
function rootOf(path: string, name: string): number {
  using store = open(path);
  const row = store.first(rawSql<{ rootpage: bigint }>('SELECT rootpage FROM sqlite_schema WHERE name = ?', [name]));
  return (Number(row?.rootpage) - 1) * 4096;
}

describe('a damaged file', () => {
  it.each<readonly [string, at: (path: string) => number, length: number]>([
    ['the magic of the file', () => 0, 8],
    ['the kind of the first page', () => 100, 1],
    ['the cells of the first page', () => 103, 5],
    ['the kind of a page of swaps', (path) => rootOf(path, 'swaps'), 1],
    ['the cell pointers of a page of swaps', (path) => rootOf(path, 'swaps') + 8, 2],
    ['the right child of a page of principals', (path) => rootOf(path, 'principals') + 8, 4],
    ['a page of an index', (path) => rootOf(path, 'swaps_by_state'), 16],
    ['two pages in the middle', () => 4096 * 4, 8192],
  ])('is refused at start when %s is wrong', (_name, at, length) => {
    const { path, bytes } = closedDatabase();
    const start = at(path);
    for (let i = start; i < start + length; i += 1) bytes.writeUInt8(bytes.readUInt8(i) ^ 0xff, i);
    writeFileSync(path, bytes);
    expect(() => open(path)).toThrow(refusal('expected', 'bad_config'));
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
  it('is refused at start when its end is missing', () => {
    const { path, bytes } = closedDatabase();
    truncateSync(path, bytes.length - 4096 * 3);
    expect(() => open(path)).toThrow(refusal('expected', 'bad_config'));
  });
  it('is refused when it is no database, and leaves no lock behind', () => {
    const path = join(dir, 'swapd.db');
    writeFileSync(path, 'not a database, but long enough to be looked at as one '.repeat(20));
    expect(() => open(path)).toThrow(refusal('expected a SQLite database of swapd, found', 'bad_config'));
    rmSync(path);
    open(path)[Symbol.dispose]();
  });
});

/** A FUSE file system without a program behind it, in a mount namespace of its own: only root may do that. */
const ON_FUSE = (at: string): string =>
  `unshare -m sh -c 'exec 3<>/dev/fuse && mount -t fuse -o fd=3,rootmode=40000,user_id=12345,group_id=12345 none "${at}" && "$@"' sh "$@"`;
const canMount = isAllowed(ON_FUSE('/mnt').replaceAll('"$@"', 'true'));

describe('a file system on which locks are not safe', () => {
  it('is known by its number, of either sign', () => {
    const names = [0x6969, 0xff534d42, 0xff534d42 | 0, 0x65735546, 0x01021997].map(networkFileSystem);
    expect(names).toEqual(['NFS', 'CIFS', 'CIFS', 'FUSE', '9p']);
  });
  it('is not ext, xfs, btrfs, zfs, tmpfs, overlay or apfs', () => {
    const local = [0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0x01021994, 0x794c7630, 0x1a];
    expect(local.map(networkFileSystem)).toEqual(local.map(() => undefined));
  });
  it.skipIf(!canMount)('is refused, and nothing is written there', () => {
    const mounted = join(dir, 'mounted');
    mkdirSync(mounted);
    const output = runScript(`open(); say('opened');`, [join(mounted, 'swapd.db')], ON_FUSE(mounted));
    expect(output).toContain(`database.path: expected a local file system, found FUSE at ${mounted}`);
  });
});
