/**
 * The generation counter: tells at the start that an older database was put back.
 *
 * A Lightning node that runs on an older state loses the channel's money: what it broadcasts is revoked. So the counter
 * rises in every turn that writes, in the turn's own transaction, and in a file outside the database, which is on disk
 * before any byte leaves the process. A copy of the database from before that moment has a lower number than the file.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { codeOf } from '../config.js';
import { SwapError } from '../errors.js';
import type { Database } from './store/db.js';
import { generationRows } from './store/generation.js';

/** The number stands in two places, written in turn, so that a write which the power cut short spoils one at most. */
const PLACES = 2;
const PLACE_BYTES = 4096;
const DIGITS = 20;

export type Generation = {
  /** Inside a turn: raises the counter if anything was written since the last call. */
  readonly raise: () => void;
  /** After the commit: returns when the file is on disk. */
  readonly write: () => void;
};

type FileState = bigint | 'is missing' | 'is unreadable';

const text = (number: bigint): string => `${number.toString().padStart(DIGITS, '0')}\n`;

function readFileState(path: string): FileState {
  try {
    const content = readFileSync(path, 'latin1');
    const numbers = Array.from({ length: PLACES }, (_, place) =>
      content.slice(place * PLACE_BYTES, place * PLACE_BYTES + DIGITS + 1),
    )
      .filter((part) => /^\d{20}\n$/.test(part))
      .map((part) => BigInt(part.trim()));
    return numbers.length === 0 ? 'is unreadable' : numbers.reduce((a, b) => (a > b ? a : b));
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'is missing' : 'is unreadable';
  }
}

/** Opens the file for good; a new one is in its folder for good when this returns. */
function openFile(path: string): (number: bigint) => void {
  try {
    closeSync(openSync(path, 'a', 0o600)); // makes it, and leaves what is there
  } catch (cause) {
    const found = `expected a writable place at ${path}, found ${codeOf(cause)}`;
    throw new SwapError('bad_config', `node.generation_file: ${found}`, { cause });
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
  const fd = openSync(path, 'r+');
  return (number) => {
    const bytes = Buffer.from(text(number), 'latin1');
    const written = writeSync(fd, bytes, 0, bytes.length, Number(number % BigInt(PLACES)) * PLACE_BYTES);
    if (written !== bytes.length) throw new Error(`${path}: expected ${bytes.length} bytes written, found ${written}`);
    fdatasyncSync(fd);
  };
}

/**
 * What contradicts between database and file; undefined if nothing does. Equal is normal, database = file + 1 is a crash
 * between the two, 0 without a file is a first start.
 */
export function generationProblem(db: Database, path: string): string | undefined {
  const stored = generationRows(db).number();
  const file = readFileState(path);
  if (typeof file !== 'bigint') {
    if (file === 'is missing' && stored === 0n) return undefined;
    const isMissing = file === 'is missing' ? ' (was node.generation_file changed? then move the file there)' : '';
    return `the database has number ${stored}, the file ${path} with the same number ${file}${isMissing}`;
  }
  if (stored === file || stored === file + 1n) return undefined;
  const guess = stored < file ? 'an older database was put back' : 'an older file was put back';
  return `the database has number ${stored}, the file ${path} has ${file}: ${guess}`;
}

/** Goes on counting; `generationProblem` found nothing. */
export function openGeneration(db: Database, path: string): Generation {
  const rows = generationRows(db);
  const writeFile = openFile(path);
  let number = rows.number();
  let changes = rows.changes();
  let written = number;
  writeFile(number);
  return {
    raise: () => {
      if (rows.changes() === changes) return;
      number += 1n;
      rows.save(number);
      changes = rows.changes();
    },
    write: () => {
      if (written === number) return;
      writeFile(number);
      written = number;
    },
  };
}

/** The operator says that this database counts: lifts both numbers above what either was. May run again after a crash. */
export function acceptRestore(db: Database, path: string): void {
  const rows = generationRows(db);
  const file = readFileState(path);
  const stored = rows.number();
  const next = (typeof file === 'bigint' && file > stored ? file : stored) + 1n;
  db.transaction(() => {
    rows.save(next);
    rows.setRestoreAccepted(true);
  }).immediate();
  openFile(path)(next);
}
