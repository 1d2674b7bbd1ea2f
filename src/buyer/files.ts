/** Private files of the buyer: mode 0600, written so that a crash leaves either the old content or the new one. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { SwapError } from '../errors.js';

/** The system's error code ("ENOENT", ...), or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What was made, renamed or removed in a folder is on disk when this returns. */
export function fsyncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Runs file calls; what the system refuses is the user's to mend. */
function writing<T>(path: string, calls: () => T): T {
  try {
    return calls();
  } catch (cause) {
    const found = systemCode(cause);
    if (found === undefined) throw cause;
    throw new SwapError('bad_config', `expected a place to write at ${path}, found ${found}`, { cause });
  }
}

/**
 * Makes a folder that only its owner can enter, and its parents. (`recursive` of mkdir never returns under /proc.)
 *
 * @throws SwapError `bad_config`.
 */
export function makePrivateFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makePrivateFolder(dirname(path));
  writing(path, () => {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    fsyncFolder(dirname(path));
  });
}

/**
 * Writes the whole text (0600): new file, fsync, rename, fsync of the folder. May run again after a crash.
 *
 * @throws SwapError `bad_config`.
 */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writing(path, () => {
    try {
      writeWhole(temporary, text);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    fsyncFolder(dirname(path));
  });
}

/** Not one writeSync: a disk that is almost full takes a part of the text and calls that a success. */
function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Names in a folder; none if there is no such folder. @throws SwapError `bad_config` if it cannot be read. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return [];
    throw new SwapError(
      'bad_config',
      `expected a readable folder at ${path}, found ${systemCode(cause) ?? 'an error'}`,
      {
        cause,
      },
    );
  }
}

/**
 * Reads a private file, or undefined if there is none.
 *
 * @throws SwapError `bad_config` if it cannot be read or is readable by group or others.
 */
export function readPrivateFile(path: string): string | undefined {
  let mode: number;
  let text: string;
  try {
    mode = statSync(path).mode & 0o777;
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new SwapError('bad_config', `expected a readable file at ${path}, found ${systemCode(cause) ?? 'an error'}`, {
      cause,
    });
  }
  if ((mode & 0o077) !== 0) {
    throw new SwapError('bad_config', `expected mode 0600 on ${path}, found 0${mode.toString(8)}; run chmod 600 on it`);
  }
  return text;
}

/** Locks that this process holds. */
const held = new Set<string>();

/**
 * Takes a lock file that holds this process's id; a lock whose process is gone is taken over.
 *
 * @returns the function that frees it.
 * @throws SwapError `version_conflict` if a living process (this one included) holds it.
 */
export function takeLock(path: string): () => void {
  const mine = `${path}.${process.pid}`;
  writePrivateFile(mine, String(process.pid));
  try {
    if (!isLinked(mine, path)) takeOver(mine, path);
  } finally {
    unlinkSync(mine);
  }
  held.add(path);
  return () => {
    held.delete(path);
    rmSync(path, { force: true });
  };
}

/**
 * Takes the place of a process that died. Only one at a time may remove its lock: a second one would remove what the first
 * has just taken.
 */
function takeOver(mine: string, path: string): void {
  refuseLiving(path);
  const free = takeLock(`${path}.dead`);
  try {
    refuseLiving(path);
    rmSync(path, { force: true });
    if (!isLinked(mine, path)) throw new SwapError('version_conflict', `${path} was taken meanwhile; try again`);
  } finally {
    free();
  }
}

function refuseLiving(path: string): void {
  const holder = lockHolder(path);
  // After a restart in a container our own id may be in a lock that we never took.
  const isOurs = holder === process.pid && !held.has(path);
  if (holder === undefined || isOurs || !isAlive(holder)) return;
  throw new SwapError(
    'version_conflict',
    `expected to be alone on ${dirname(path)}, found process ${holder}; wait for it (or delete ${path} if that is no swap program)`,
  );
}

/** A hard link appears with its content, so nobody ever sees a lock without an owner. */
function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function lockHolder(path: string): number | undefined {
  const text = readPrivateFile(path)?.trim() ?? '';
  return /^[0-9]{1,10}$/.test(text) ? parseInt(text, 10) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
