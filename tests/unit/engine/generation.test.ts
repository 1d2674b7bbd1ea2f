import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openGeneration } from '../../../src/engine/generation.js';
import { Store } from '../../../src/store/db.js';
import { findGeneration, findPause, saveGeneration, savePause } from '../../../src/store/meta.js';
import { runScript } from '../../support/storeProcess.js';
import { MIGRATIONS, rawSql, tempDir, tempStore, type TempStore } from '../../support/tempStore.js';
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

const file = (): string => join(dir, 'generation');
const onDisk = (): string => readFileSync(file(), 'utf8');
const nothing = (): void => undefined;
/** The numbers of database and side file. */
const numbers = (): readonly [bigint, string] => [findGeneration(temp.store), onDisk()];

/** A folder that cannot be written, whoever tries: a file has its name. */
function breakFolder(): void {
  renameSync(dir, `${dir}.away`);
  writeFileSync(dir, '');
}
function repairFolder(): void {
  rmSync(dir);
  renameSync(`${dir}.away`, dir);
}

/** A database that is at `database`, and a side file with this text. */
function given(database: bigint, text?: string): void {
  if (database > 0n) {
    temp.store.tx(() => {
      saveGeneration(temp.store, database);
    });
  }
  if (text !== undefined) writeFileSync(file(), text);
}

describe('a generation counter that is opened', () => {
  it('starts at 0 in both places, readable by the owner only, so that a crash in the very first commit is normal', () => {
    expect(openGeneration(temp.store, dir).problem).toBeUndefined();
    expect(numbers()).toEqual([0n, '0\n']);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });
  it('finds nothing wrong with equal numbers', () => {
    given(7n, '7\n');
    expect(openGeneration(temp.store, dir).problem).toBeUndefined();
    expect(numbers()).toEqual([7n, '7\n']);
  });
  it('writes the file when a crash came between commit and file', () => {
    given(8n, '7\n');
    expect(openGeneration(temp.store, dir).problem).toBeUndefined();
    expect(numbers()).toEqual([8n, '8\n']);
  });
  it.each([
    ['an older database was put back', 7n, '12\n', 'generation: database 7, side file 12: an older database'],
    ['a database one commit old was put back', 7n, '8\n', 'generation: database 7, side file 8: an older database'],
    [
      'a new database was made beside old bundles',
      0n,
      '12\n',
      'generation: database 0, side file 12: an older database',
    ],
    ['an older side file was put back', 9n, '7\n', 'generation: database 9, side file 7: an older side file'],
    ['the side file is missing', 7n, undefined, 'generation: database 7, no side file'],
    ['the side file is empty', 7n, '', 'generation: database 7, an unreadable side file'],
    ['the side file of a new database is no number', 0n, 'seven\n', 'generation: database 0, an unreadable side file'],
    ['the side file is cut off', 12n, '1', 'generation: database 12, an unreadable side file'],
  ])('tells both numbers when %s, and changes neither', (_name, database, text, problem) => {
    given(database, text);
    expect(openGeneration(temp.store, dir).problem).toContain(problem);
    expect(findGeneration(temp.store)).toBe(database);
    expect(existsSync(file()) ? onDisk() : undefined).toBe(text);
  });
  it('tells that the side file cannot be read', () => {
    given(7n);
    mkdirSync(file());
    expect(openGeneration(temp.store, dir).problem).toContain('database 7, an unreadable side file');
  });
});

describe('a commit that counts', () => {
  it('raises both numbers by one, with what its body stores and returns', () => {
    const generation = openGeneration(temp.store, dir);
    const result = generation.commit(() => {
      savePause(temp.store, 'stored');
      return 5;
    });
    expect([result, findPause(temp.store), ...numbers()]).toEqual([5, 'stored', 1n, '1\n']);
    expect(existsSync(`${file()}.new`)).toBe(false);
  });
  it('raises nothing when its body throws', () => {
    const generation = openGeneration(temp.store, dir);
    const failing = (): void => {
      savePause(temp.store, 'half');
      throw new Error('crash');
    };
    expect(() => {
      generation.commit(failing);
    }).toThrow('crash');
    expect([findPause(temp.store), ...numbers()]).toEqual([undefined, 0n, '0\n']);
  });
  it('never lets the numbers differ by more than one, however many swaps are under way', async () => {
    const generation = openGeneration(temp.store, dir);
    const swap = async (): Promise<void> => {
      for (let i = 0; i < 5; i += 1) {
        generation.commit(() => {
          expect(onDisk()).toBe(`${findGeneration(temp.store).toString()}\n`);
        });
        await Promise.resolve();
      }
    };
    await Promise.all(Array.from({ length: 8 }, swap));
    expect(numbers()).toEqual([40n, '40\n']);
  });
  it('is refused inside another transaction, which could still fail after the file was written', () => {
    const generation = openGeneration(temp.store, dir);
    expect(() => {
      temp.store.tx(() => {
        generation.commit(nothing);
      });
    }).toThrow('a commit of its own');
    expect(numbers()).toEqual([0n, '0\n']);
  });
  it('leaves the file alone when the database refuses it: the file is never ahead', () => {
    const generation = openGeneration(temp.store, dir);
    expect(() => {
      generation.commit(() => {
        temp.store.run(rawSql('PRAGMA defer_foreign_keys = ON')); // the constraint is checked by COMMIT
        temp.store.run(rawSql(`INSERT INTO utxo_reservations VALUES ('${'aa'.repeat(32)}', 0, 99)`));
      });
    }).toThrow(refusal('the database refused a commit', 'read_only'));
    expect(numbers()).toEqual([0n, '0\n']);
    generation.flush();
  });
});

describe('a process that is killed between commit and side file', () => {
  it('is one commit ahead of the file, loses nothing and starts as usual', () => {
    const path = join(dir, 'swapd.db');
    const script = `const store = open();
      const generation = openGeneration(store, folder);
      for (const n of [1, 2, 3, 4]) generation.commit(() => meta.savePause(store, 'commit ' + n));
      say('not killed');`;
    expect(runScript(script, [path, dir], 'FAILPOINT="before generation file:3" exec "$@"')).toBe('');
    using store = Store.open({ path, migrationsDir: MIGRATIONS });
    expect([findPause(store), findGeneration(store), onDisk()]).toEqual(['commit 3', 3n, '2\n']);
    expect(openGeneration(store, dir).problem).toBeUndefined();
    expect([findGeneration(store), onDisk()]).toEqual([3n, '3\n']);
  });
});

describe('a side file that cannot be written', () => {
  it('lets the commit stand, and no call and no further commit follow until it can be written', () => {
    const generation = openGeneration(temp.store, dir);
    breakFolder();
    generation.commit(() => {
      savePause(temp.store, 'first');
    });
    expect(findGeneration(temp.store)).toBe(1n);
    expect(() => {
      generation.flush();
    }).toThrow(refusal('expected a place to write', 'read_only'));
    expect(() => {
      generation.commit(() => {
        savePause(temp.store, 'second');
      });
    }).toThrow(refusal('expected a place to write', 'read_only'));
    expect([findGeneration(temp.store), findPause(temp.store)]).toEqual([1n, 'first']);
    repairFolder();
    generation.flush();
    expect(numbers()).toEqual([1n, '1\n']);
    generation.commit(nothing);
    expect(numbers()).toEqual([2n, '2\n']);
  });
  it('is found at the next start, as one commit behind', () => {
    const generation = openGeneration(temp.store, dir);
    breakFolder();
    generation.commit(nothing);
    repairFolder();
    expect(numbers()).toEqual([1n, '0\n']);
    expect(openGeneration(temp.store, dir).problem).toBeUndefined();
    expect(numbers()).toEqual([1n, '1\n']);
  });
  it('stops everything that counts at a first start', () => {
    breakFolder();
    const generation = openGeneration(temp.store, dir);
    expect(generation.problem).toContain('unreadable side file');
    repairFolder();
    mkdirSync(`${file()}.new`); // the draft cannot be made
    const again = openGeneration(temp.store, dir);
    expect(again.problem).toBeUndefined();
    expect(() => {
      again.commit(nothing);
    }).toThrow(refusal('expected a place to write', 'read_only'));
    expect(findGeneration(temp.store)).toBe(0n);
  });
});

describe('a database that was put back', () => {
  it('stays a problem over commits and restarts: counting on would hide it', () => {
    given(7n, '9\n');
    const startAndGoOn = (): void => {
      const generation = openGeneration(temp.store, dir);
      for (const reason of ['a cancel', 'a refund', 'another']) {
        generation.commit(() => {
          savePause(temp.store, reason);
        });
      }
      generation.flush();
      expect(generation.problem).toContain('database 7, side file 9');
      expect([findPause(temp.store), ...numbers()]).toEqual(['another', 7n, '9\n']);
    };
    startAndGoOn();
    startAndGoOn();
  });
  it.each([
    [7n, '12\n', 13n],
    [12n, '7\n', 13n],
    [7n, undefined, 8n],
    [7n, 'x', 8n],
    [0n, '3\n', 4n],
    [7n, '7\n', 8n],
  ])('is accepted from database %s and file %j on by numbers above both', (database, text, expected) => {
    given(database, text);
    const generation = openGeneration(temp.store, dir);
    generation.reset(() => {
      savePause(temp.store, 'accepted');
    });
    expect(generation.problem).toBeUndefined();
    expect([findPause(temp.store), ...numbers()]).toEqual(['accepted', expected, `${expected.toString()}\n`]);
    generation.commit(nothing);
    expect(openGeneration(temp.store, dir).problem).toBeUndefined();
  });
  it('is not accepted when the commit that accepts it fails', () => {
    given(7n, '12\n');
    const generation = openGeneration(temp.store, dir);
    const failing = (): void => {
      throw new Error('crash');
    };
    expect(() => {
      generation.reset(failing);
    }).toThrow('crash');
    expect(generation.problem).toContain('database 7, side file 12');
    expect(numbers()).toEqual([7n, '12\n']);
  });
  it('may be accepted again after a crash between commit and file', () => {
    given(12n, '7\n');
    const before = join(temp.dir, 'generation.before');
    copyFileSync(file(), before);
    openGeneration(temp.store, dir).reset(nothing);
    copyFileSync(before, file());
    const generation = openGeneration(temp.store, dir);
    expect(generation.problem).toContain('database 13, side file 7');
    generation.reset(nothing);
    expect(numbers()).toEqual([14n, '14\n']);
  });
});
