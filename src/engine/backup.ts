/** Copies of the database, made while it is in use: by hand, and again and again beside the recovery bundles. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

import { errorChain, SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Store } from '../store/db.js';
import { loop } from './loop.js';
import { renameSynced } from './syncedFile.js';

/** Name of the copy that is renewed, in the folder of the recovery bundles. */
const REGULAR_COPY = 'swapd.backup.sqlite';
const MS_PER_MINUTE = 60_000;
/** How soon a backup is made that was held back. */
const LOOK_MS = 10_000;

/**
 * Copies the database to a new file (mode 0600), checked and on disk when this returns.
 *
 * @throws SwapError `invalid_argument` if the path is not absolute, the file exists, or no copy can be written there.
 */
export function backupTo(store: Store, path: string): void {
  if (!isAbsolute(path)) throw new SwapError('invalid_argument', `backup: expected an absolute path, found ${path}`);
  if (existsSync(path)) {
    throw new SwapError('invalid_argument', `backup: expected a path where nothing is, found a file at ${path}`);
  }
  try {
    writeCopy(store, path);
  } catch (cause) {
    throw new SwapError('invalid_argument', `backup: expected to copy to ${path}, found: ${errorChain(cause)}`, {
      cause,
    });
  }
}

/**
 * Renews the copy beside the bundles: at once and then at every interval, until the signal aborts. A failure is logged.
 * While FENCED nothing is written, because the copy may be newer than a database that was put back.
 *
 * @param options.intervalMinutes 0: never.
 * @returns a promise that ends with the signal and never rejects.
 */
export function startRegularBackups(options: {
  readonly store: Store;
  readonly dir: string;
  readonly intervalMinutes: number;
  readonly isFenced: () => boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { store, dir, isFenced, log, signal } = options;
  const path = join(dir, REGULAR_COPY);
  const intervalMs = options.intervalMinutes * MS_PER_MINUTE;
  if (intervalMs === 0) return Promise.resolve();
  let dueAt = performance.now();
  let isHeldBack = false;
  const look = (): void => {
    if (performance.now() < dueAt) return;
    if (isFenced()) {
      if (!isHeldBack) log.warn({ path }, 'no backup while FENCED: the copy from before is kept');
      isHeldBack = true;
      return;
    }
    isHeldBack = false;
    dueAt = performance.now() + intervalMs;
    renew(store, path, log);
  };
  const round = (): Promise<void> => {
    look();
    return Promise.resolve();
  };
  return loop({ name: 'backup', log, signal, pauseMs: Math.min(intervalMs, LOOK_MS), round });
}

function renew(store: Store, path: string, log: Logger): void {
  try {
    rmSync(`${path}.new`, { force: true }); // of a crash
    writeCopy(store, path);
    log.debug({ path }, 'backup written');
  } catch (error) {
    log.error({ path, cause: errorChain(error) }, 'backup not written');
  }
}

/** A crash leaves the old file or the new one, and at most a draft beside it. */
function writeCopy(store: Store, path: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    store.copyTo(draft);
    fsyncSync(file);
    renameSynced(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}
