/** What `lnnoded` does besides running: copies of the database, restored databases, the seed's words. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';

import { entropyToMnemonic, mnemonicToEntropy, validateMnemonic } from 'bip39';

import { readOrCreateSecretFile } from '../config.js';
import { errorChain, SwapError } from '../errors.js';
import { openSqlite, readPragma } from '../sqlite.js';
import type { LnnodedConfig } from './config.js';
import {
  databasePath,
  generationPath,
  prepareFolder,
  readSeed,
  seedPath,
  shownPath,
  syncFolder,
  writeDurable,
} from './files.js';
import { acceptRestore, generationProblem } from './generation.js';
import { lockDataDir, openDatabase } from './store/db.js';

const refuse = (message: string, cause?: unknown): never => {
  throw new SwapError('invalid_argument', message, { cause });
};

/** Copies the database to a new file (0600), also while the node runs; checked and on disk when this returns. */
function backup(config: LnnodedConfig, path: string): string {
  if (!isAbsolute(path)) refuse(`backup: expected an absolute path, found "${path}"`);
  if (existsSync(path)) refuse(`backup: expected a path where nothing is, found a file at ${path}`);
  const draft = `${path}.new`;
  try {
    openSqlite(databasePath(config), { fileMustExist: true }).prepare('VACUUM INTO ?').run(draft);
    const copy = openSqlite(draft, { readonly: true });
    const check = readPragma(copy, 'quick_check');
    copy.close();
    if (check !== 'ok') throw new Error(`the copy is damaged: ${String(check)}`);
    const file = openSync(draft, 'r+');
    fsyncSync(file);
    closeSync(file);
    renameSync(draft, path);
    syncFolder(dirname(path));
  } catch (cause) {
    rmSync(draft, { force: true });
    refuse(`backup: expected to copy the database to ${path}, found: ${errorChain(cause)}`, cause);
  }
  return `copied to ${path}. It is out of date with the next payment: a node that is started with it gives its channels up.\n`;
}

/** The operator says that this older database counts. The node must be stopped. */
function accept(config: LnnodedConfig): string {
  if (!existsSync(databasePath(config))) refuse(`accept-restore: expected ${databasePath(config)}, found nothing`);
  const lock = lockDataDir(config.node.data_dir);
  const db = openDatabase(databasePath(config));
  try {
    const problem = generationProblem(db, generationPath(config));
    if (problem === undefined) {
      throw new SwapError(
        'forbidden',
        'accept-restore: expected an older database, found the newest: nothing was done',
      );
    }
    acceptRestore(db, generationPath(config));
    return `accepted: ${problem}.\nThe next start gives all of its channels up. Their peers close them when they are connected.\n`;
  } finally {
    db.close();
    lock.release();
  }
}

/** The seed as words, once; made if there is none. */
function showSeed(config: LnnodedConfig): string {
  prepareFolder(config);
  const words = entropyToMnemonic(readSeed(config)).split(' ');
  if (existsSync(shownPath(config))) {
    const when = readFileSync(shownPath(config), 'utf8').trim();
    throw new SwapError('forbidden', `the seed was shown at ${when} and is shown once; it is in ${seedPath(config)}`);
  }
  writeDurable(shownPath(config), `${new Date().toISOString()}\n`);
  const rows = words.map((word, i) => `${String(i + 1).padStart(2)} ${word}`);
  return `${rows.join('\n')}\n\nWrite these words down: they are the keys of this node, and are not shown again.\n`;
}

/** A seed from its words, for a folder that has none. */
function restoreSeed(config: LnnodedConfig, text: string): string {
  const words = text
    .trim()
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => !/^\d+$/.test(word))
    .join(' ');
  const count = words.split(' ').length;
  if (count !== 24 || !validateMnemonic(words)) {
    refuse(`seed: expected the 24 words of a node on stdin, found ${count} words or a wrong checksum`);
  }
  if (existsSync(seedPath(config))) refuse(`seed: expected a folder without a seed, found ${seedPath(config)}`);
  prepareFolder(config);
  readOrCreateSecretFile('node.data_dir', seedPath(config), () => mnemonicToEntropy(words));
  writeDurable(shownPath(config), `${new Date().toISOString()}\n`);
  return `the seed is in ${seedPath(config)}\n`;
}

/** What a command prints. @throws SwapError `invalid_argument`, `bad_config`, `forbidden` */
export function runCommand(config: LnnodedConfig, words: readonly string[], isRestore: boolean): string {
  const [name, path, ...rest] = words;
  const isSeed = name === 'seed' && path === undefined;
  if (isRestore && !isSeed) refuse('--restore: expected with "seed" only');
  if (name === 'backup' && path !== undefined && rest.length === 0) return backup(config, path);
  if (name === 'accept-restore' && path === undefined) return accept(config);
  if (isSeed) return isRestore ? restoreSeed(config, readFileSync(0, 'utf8')) : showSeed(config);
  return refuse(`expected run, backup FILE, accept-restore or seed, found "${words.join(' ').slice(0, 60)}"`);
}
