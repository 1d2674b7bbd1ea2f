import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { backupTo, startRegularBackups } from '../../../src/engine/backup.js';
import { Store } from '../../../src/store/db.js';
import { findPause, savePause } from '../../../src/store/meta.js';
import { findSwap } from '../../../src/store/swaps.js';
import { eventually } from '../../support/eventually.js';
import { startScript, kill } from '../../support/storeProcess.js';
import { intent } from '../../support/swapFixtures.js';
import { insertNew, MIGRATIONS, rawSql, tempDir, tempStore, type TempStore } from '../../support/tempStore.js';
import { refusal } from '../core/zkp.js';

let temp: TempStore;
let dir: string;
beforeEach(() => {
  temp = tempStore();
  dir = tempDir();
});
afterEach(() => {
  temp[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const file = (): string => join(dir, 'copy.sqlite');
const open = (path: string): Store => Store.open({ path, migrationsDir: MIGRATIONS });

/** Overwrites pages of the open database, so that reading them fails. */
function damage(path: string): void {
  temp.store.all(rawSql('PRAGMA wal_checkpoint(TRUNCATE)'));
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096 * 3, 4096 * 8);
  writeFileSync(path, bytes);
  temp.store.run(rawSql('PRAGMA shrink_memory')); // it reads the file again
}

describe('a backup', () => {
  it('is the database as it is, one file for its owner only, while the database is in use', () => {
    insertNew(temp.store);
    backupTo(temp.store, file());
    savePause(temp.store, 'later');
    expect(readdirSync(dir)).toEqual(['copy.sqlite']);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    using copy = open(file());
    expect(findSwap(copy, intent.id)).toEqual(intent);
    expect(findPause(copy)).toBeUndefined();
    expect(copy.all(rawSql('PRAGMA integrity_check'))).toEqual([{ integrity_check: 'ok' }]);
  });
  it('never overwrites a file: not an older backup, not the database itself', () => {
    backupTo(temp.store, file());
    const before = readFileSync(file());
    savePause(temp.store, 'later');
    for (const path of [file(), temp.path, `${temp.path}-wal`, `${temp.path}.lock`, dir]) {
      expect(() => {
        backupTo(temp.store, path);
      }, path).toThrow(refusal('expected a path where nothing is', 'invalid_argument'));
    }
    expect(readFileSync(file()).equals(before)).toBe(true);
  });
  it('never writes to a draft that is not its own', () => {
    writeFileSync(`${file()}.new`, 'something else');
    expect(() => {
      backupTo(temp.store, file());
    }).toThrow(refusal('EEXIST', 'invalid_argument'));
    expect(readFileSync(`${file()}.new`, 'utf8')).toBe('something else');
  });
  it.each(['copy.sqlite', './copy.sqlite', ''])('is not written to %j, relative to a daemon somewhere', (path) => {
    expect(() => {
      backupTo(temp.store, path);
    }).toThrow(refusal('expected an absolute path', 'invalid_argument'));
  });
  it('that cannot be written leaves nothing behind', () => {
    expect(() => {
      backupTo(temp.store, join(dir, 'missing', 'copy.sqlite'));
    }).toThrow(refusal('ENOENT', 'invalid_argument'));
    expect(readdirSync(dir)).toEqual([]);
  });
  it('of a damaged database is not kept', () => {
    insertNew(temp.store);
    damage(temp.path);
    expect(() => {
      backupTo(temp.store, file());
    }).toThrow(refusal('expected to copy to', 'invalid_argument'));
    expect(readdirSync(dir)).toEqual([]);
  });
  it('is written in READ_ONLY mode, too', () => {
    insertNew(temp.store);
    temp.store.run(rawSql('PRAGMA max_page_count = 1'));
    expect(() => {
      savePause(temp.store, 'x'.repeat(100_000));
    }).toThrow(refusal('refused a commit', 'read_only'));
    backupTo(temp.store, file());
    using copy = open(file());
    expect(findSwap(copy, intent.id)).toEqual(intent);
  });
});

describe('the regular backup', () => {
  const regular = (): string => join(dir, 'swapd.backup.sqlite');
  /** Lines of the log that say something about the backup. */
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const start = (over: { isFenced?: () => boolean; intervalMinutes?: number } = {}) => {
    const stop = new AbortController();
    lines.length = 0;
    const ended = startRegularBackups({
      store: temp.store,
      dir,
      log,
      signal: stop.signal,
      intervalMinutes: 1 / 1_200,
      isFenced: () => false,
      ...over,
    });
    return {
      end: async () => {
        stop.abort();
        await ended;
      },
    };
  };
  const pauseInCopy = (): string | undefined => {
    using copy = open(regular());
    return findPause(copy);
  };

  it('is written at start and renewed at every interval, over the draft of a crash', async () => {
    writeFileSync(`${regular()}.new`, 'half a copy');
    savePause(temp.store, 'first');
    const backups = start();
    expect(pauseInCopy()).toBe('first');
    savePause(temp.store, 'second');
    await eventually('the copy is renewed', () => pauseInCopy() === 'second');
    await backups.end();
    expect(existsSync(`${regular()}.new`)).toBe(false);
  });
  it('that fails is logged as an error, keeps the copy from before, and is tried again', async () => {
    savePause(temp.store, 'first');
    await start().end();
    mkdirSync(`${regular()}.new`);
    writeFileSync(join(`${regular()}.new`, 'in the way'), '');
    savePause(temp.store, 'second');
    const backups = start();
    expect(lines.join('')).toContain('backup not written');
    expect(lines.join('')).toContain(`"level":${pino.levels.values['error'] ?? ''}`);
    expect(pauseInCopy()).toBe('first');
    rmSync(`${regular()}.new`, { recursive: true });
    await eventually('the copy is renewed', () => pauseInCopy() === 'second');
    await backups.end();
  });
  it('of a damaged database never replaces the good copy', async () => {
    insertNew(temp.store);
    await start().end();
    damage(temp.path);
    await start().end();
    expect(lines.join('')).toContain('backup not written');
    using copy = open(regular());
    expect(findSwap(copy, intent.id)).toEqual(intent);
  });
  it('while FENCED never replaces the copy, which may be newer than a database that was put back', async () => {
    savePause(temp.store, 'newer');
    await start().end();
    savePause(temp.store, 'put back');
    let isFenced = true;
    let looks = 0;
    const backups = start({
      isFenced: () => {
        looks += 1;
        return isFenced;
      },
    });
    await eventually('some more looks', () => looks > 3);
    expect(lines.filter((line) => line.includes('no backup while FENCED')).length).toBe(1);
    expect(pauseInCopy()).toBe('newer');
    isFenced = false;
    await eventually('the copy is renewed', () => pauseInCopy() === 'put back');
    await backups.end();
  });
  it('is not written with an interval of 0', async () => {
    await start({ intervalMinutes: 0 }).end();
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('swapd backup', () => {
  const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
  const backup = (database: string, target: string) => {
    const config = join(dir, 'swapd.toml');
    writeFileSync(
      config,
      `[admin]
token_file = "${join(dir, 'token')}"
[network]
name = "regtest"
[electrum]
servers = ["tcp://127.0.0.1:1"]
[lightning]
address = "127.0.0.1:1"
[wallet]
mnemonic_file = "${join(dir, 'mnemonic')}"
[database]
path = "${database}"
bundle_dir = "${join(dir, 'bundles')}"
`,
    );
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'backup', target, '--config', config], {
      cwd: dir,
      encoding: 'utf8',
    });
    return { status, stderr };
  };

  it('copies the database of a stopped daemon, and refuses to do it twice to one file', () => {
    const database = join(dir, 'swapd.sqlite');
    {
      using store = open(database);
      insertNew(store);
    }
    expect(backup(database, 'copy.sqlite')).toEqual({ status: 0, stderr: '' });
    const again = backup(database, 'copy.sqlite');
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('expected a path where nothing is')]);
    using copy = open(file());
    expect(findSwap(copy, intent.id)).toEqual(intent);
  });
  it('is refused while a daemon has the database', async () => {
    const database = join(dir, 'swapd.sqlite');
    const daemon = await startScript(`const store = open(); say('open');`, database);
    try {
      symlinkSync(database, join(dir, 'link.sqlite'));
      for (const path of [database, join(dir, 'link.sqlite')]) {
        const { status, stderr } = backup(path, 'copy.sqlite');
        expect([status, stderr]).toEqual([2, expect.stringContaining('expected to be its only user')]);
      }
    } finally {
      await kill(daemon);
    }
    expect(existsSync(file())).toBe(false);
  });
});
