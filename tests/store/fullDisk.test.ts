import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { openGeneration } from '../../src/engine/generation.js';
import { Store } from '../../src/store/db.js';
import { findGeneration, findPrincipal, savePause } from '../../src/store/meta.js';
import { isAllowed, runScript } from '../support/storeProcess.js';
import { MIGRATIONS, tempDir } from '../support/tempStore.js';

let dir: string;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Commits rows of 20 kB until the disk is full, tries what must not follow, and copies the files while they are open. */
const FILL = `
  import { copyFileSync, existsSync } from 'node:fs';
  const store = open();
  const generation = openGeneration(store, folder);
  const hash = (n) => n + 'h'.repeat(20_000);
  const row = (n) => meta.savePrincipal(store, 'p' + n, hash(n), 1);
  const codeOf = (attempt) => { try { attempt(); return 'done'; } catch (error) { return error.code; } };
  let stored = 0;
  let failure;
  while (failure === undefined) {
    try { generation.commit(() => row(stored)); stored += 1; } catch (error) { failure = error; }
  }
  say(JSON.stringify({
    stored,
    code: failure.code,
    cause: failure.cause?.code,
    isReadOnly: store.isReadOnly,
    smallCommit: codeOf(() => store.tx(() => meta.savePause(store, 'x'))),
    loneStatement: codeOf(() => meta.savePause(store, 'x')),
    commitThatCounts: codeOf(() => generation.commit(() => undefined)),
    flush: codeOf(() => generation.flush()),
    generation: Number(meta.findGeneration(store)),
    isLastRead: meta.findPrincipal(store, hash(stored - 1)) === 'p' + (stored - 1),
    isFailedRead: meta.findPrincipal(store, hash(stored)) !== undefined,
  }));
  for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, folder + '/rescued.db' + end);
`;

const told = z.object({
  stored: z.int(),
  code: z.string(),
  cause: z.string(),
  isReadOnly: z.boolean(),
  smallCommit: z.string(),
  loneStatement: z.string(),
  commitThatCounts: z.string(),
  flush: z.string(),
  generation: z.int(),
  isLastRead: z.boolean(),
  isFailedRead: z.boolean(),
});

/** A file system of 1 MB in a mount namespace of its own, where the system allows that. */
const SMALL_DISK = (at: string): string =>
  `unshare -rm sh -c 'mount -t tmpfs -o size=1m tmpfs "${at}" && "$@"' sh "$@"`;
const canMount = isAllowed(SMALL_DISK('/mnt').replaceAll('"$@"', 'true'));

function fillAndCheck(shell: string, causes: readonly string[]): void {
  const disk = join(dir, 'disk');
  mkdirSync(disk);
  const output = runScript(FILL, [join(disk, 'swapd.db'), dir], shell.replaceAll('DISK', disk));
  const { stored, cause, ...rest } = told.parse(JSON.parse(output));
  expect(stored).toBeGreaterThan(5);
  expect(causes).toContain(cause);
  expect(rest).toEqual({
    code: 'read_only',
    isReadOnly: true,
    smallCommit: 'read_only',
    loneStatement: 'read_only',
    commitThatCounts: 'read_only',
    flush: 'done',
    generation: stored,
    isLastRead: true,
    isFailedRead: false,
  });
  goOn(stored);
}

/** A restart with room. */
function goOn(stored: number): void {
  using store = Store.open({ path: join(dir, 'rescued.db'), migrationsDir: MIGRATIONS });
  const hash = (n: number): string => `${n}${'h'.repeat(20_000)}`;
  expect(readFileSync(join(dir, 'generation'), 'utf8')).toBe(`${stored}\n`);
  const generation = openGeneration(store, dir);
  expect(generation.problem).toBeUndefined();
  for (let n = 0; n < stored; n += 1) expect(findPrincipal(store, hash(n))).toBe(`p${n}`);
  expect(findPrincipal(store, hash(stored))).toBeUndefined();
  generation.commit(() => {
    savePause(store, 'room again');
  });
  expect(findGeneration(store)).toBe(BigInt(stored + 1));
}

describe('a full disk', () => {
  it('stores nothing of the commit that fails, stops every later one, is read from still, and a restart goes on', () => {
    fillAndCheck('ulimit -f 2000; "$@"', ['SQLITE_IOERR_WRITE', 'SQLITE_FULL']);
  });
  it.skipIf(!canMount)('does so on a real file system without room, too', () => {
    fillAndCheck(SMALL_DISK('DISK'), ['SQLITE_FULL']);
  });
});
