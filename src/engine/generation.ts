/**
 * The generation counter: tells at boot that an older database was put back (protocol.md section 3).
 *
 * It rises in every commit that decides about money, in the database and in a side file beside the recovery bundles. The
 * file is on disk before the call that follows, so a copy of the database from before that call has a lower number.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { errorChain, SwapError } from '../errors.js';
import type { Store } from '../store/db.js';
import { findGeneration, saveGeneration } from '../store/meta.js';
import { failpoint } from '../failpoint.js';
import { writeSyncedFile } from './syncedFile.js';

type Body<T> = () => T extends PromiseLike<unknown> ? never : T;

export type Generation = {
  /**
   * One transaction that runs the body and raises the counter, then the side file. Never inside another transaction.
   *
   * @throws SwapError `read_only` if the file still lags behind an earlier commit or the commit fails: nothing is stored.
   */
  readonly commit: <T>(body: Body<T>) => T;
  /**
   * To be called before every call to the outside: writes the file if the last commit could not.
   *
   * @throws SwapError `read_only` while it cannot: no call may follow.
   */
  readonly flush: () => void;
  /**
   * The operator accepts this database: one transaction that runs the body and lifts both numbers above what either was.
   * May run again after a crash.
   *
   * @throws SwapError `read_only` if the commit fails, or the file cannot be written.
   */
  readonly reset: <T>(body: Body<T>) => T;
  /** What contradicts at boot (the daemon is FENCED), until `reset`. While there is one both numbers stand still. */
  readonly problem: string | undefined;
};

/** Number of the side file; a text when there is none. */
type SideFile = bigint | 'no side file' | 'an unreadable side file';

/**
 * Compares database and side file: equal is normal, database = file + 1 is a crash between the two (the file is written),
 * both missing is a first start. Everything else is a problem.
 *
 * @param dir The folder of the recovery bundles, which exists.
 */
export function openGeneration(store: Store, dir: string): Generation {
  const path = join(dir, 'generation');
  const stored = findGeneration(store);
  const file = readSideFile(path);
  let written = typeof file === 'bigint' ? file : -1n; // -1: a first start, not even 0 is there yet
  let problem = contradiction(stored, file);

  const flush = (): void => {
    if (problem !== undefined) return;
    const current = findGeneration(store);
    if (written === current) return;
    try {
      writeSyncedFile(path, `${current.toString()}\n`);
      written = current;
    } catch (cause) {
      throw new SwapError('read_only', `expected a place to write at ${path}, found: ${errorChain(cause)}`, { cause });
    }
  };
  const raise = <T>(body: Body<T>, next: () => bigint): T => {
    if (store.isInTransaction) throw new Error('the generation rises in a commit of its own');
    return store.tx<T>(() => {
      const result = body();
      saveGeneration(store, next());
      return result;
    });
  };

  tryFlush(flush);
  return {
    flush,
    commit: (body) => {
      flush();
      const result = raise(body, () => findGeneration(store) + (problem === undefined ? 1n : 0n));
      failpoint('before generation file');
      tryFlush(flush); // what was committed stands; flush tells whoever wants to act on it
      return result;
    },
    reset: (body) => {
      const result = raise(body, () => {
        const current = findGeneration(store);
        return (current > written ? current : written) + 1n;
      });
      problem = undefined;
      flush();
      return result;
    },
    get problem() {
      return problem;
    },
  };
}

function tryFlush(flush: () => void): void {
  try {
    flush();
  } catch (error) {
    if (!(error instanceof SwapError && error.code === 'read_only')) throw error;
  }
}

function readSideFile(path: string): SideFile {
  try {
    const text = readFileSync(path, 'utf8');
    return /^\d{1,18}\n$/.test(text) ? BigInt(text.trim()) : 'an unreadable side file';
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return isMissing ? 'no side file' : 'an unreadable side file';
  }
}

function contradiction(stored: bigint, file: SideFile): string | undefined {
  if (file === stored || (file === 'no side file' && stored === 0n)) return undefined;
  if (typeof file !== 'bigint') return `generation: database ${stored.toString()}, ${file}: expected the same number`;
  if (stored === file + 1n) return undefined;
  const guess = stored < file ? 'an older database was put back' : 'an older side file was put back';
  return `generation: database ${stored.toString()}, side file ${file.toString()}: ${guess}`;
}
