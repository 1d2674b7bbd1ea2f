/** The files of a node: its folder, its seed, its database. */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { codeOf, readOrCreateSecretFile } from '../config.js';
import { SwapError } from '../errors.js';
import type { LnnodedConfig } from './config.js';
import { generationProblem, openGeneration, type Generation } from './generation.js';
import { readPragma } from '../sqlite.js';
import { lockDataDir, openDatabase, type Database } from './store/db.js';

/** Waits until what was done in a folder is on disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Replaces a file as a whole (0600); it is on disk when this returns. */
export function writeDurable(path: string, text: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  writeFileSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(draft, path);
  syncFolder(dirname(path));
}

export const databasePath = ({ node }: LnnodedConfig): string => join(node.data_dir, 'lnnoded.sqlite');
export const generationPath = ({ node }: LnnodedConfig): string =>
  node.generation_file ?? join(node.data_dir, 'generation');
export const seedPath = ({ node }: LnnodedConfig): string => join(node.data_dir, 'seed');
/** Tells that and when the seed was shown. */
export const shownPath = (config: LnnodedConfig): string => `${seedPath(config)}.shown`;

/** Makes the node's folder, or narrows who may look into it. @throws SwapError `bad_config` */
export function prepareFolder({ node }: LnnodedConfig): void {
  try {
    mkdirSync(node.data_dir, { recursive: true, mode: 0o700 });
    chmodSync(node.data_dir, 0o700);
  } catch (cause) {
    const found = `expected a folder, or a place for one, at ${node.data_dir}, found ${codeOf(cause)}`;
    throw new SwapError('bad_config', `node.data_dir: ${found}`, { cause });
  }
}

/** The seed, 32 bytes; made if there is none. @throws SwapError `bad_config` */
export function readSeed(config: LnnodedConfig): Buffer {
  const text = readOrCreateSecretFile('node.data_dir', seedPath(config), () => randomBytes(32).toString('hex'));
  if (!/^[0-9a-f]{64}$/.test(text)) throw new SwapError('bad_config', 'seed: expected 64 hex digits, found other text');
  return Buffer.from(text, 'hex');
}

/** A database without its seed would make a node with other keys, which could never spend what the database tells of. */
function assertSeedBelongs(config: LnnodedConfig): void {
  if (!existsSync(databasePath(config)) || existsSync(seedPath(config))) return;
  throw new SwapError('fenced', `expected the seed of the database at ${seedPath(config)}, found none: put it back`);
}

/** Number of each network in the database's own header (PRAGMA application_id). */
const APPLICATION_IDS = { bitcoin: 0x4c4e0001, testnet: 0x4c4e0002, regtest: 0x4c4e0003 } as const;

/** Marks a database with its network; with its first block it belongs to that one for ever. @throws SwapError `bad_config` */
function assertNetwork(db: Database, network: LnnodedConfig['node']['network']): void {
  const marked = Number(readPragma(db, 'application_id'));
  const isNew = db.prepare('SELECT 1 FROM headers LIMIT 1').get() === undefined;
  if (marked === 0 || isNew) db.exec(`PRAGMA application_id = ${APPLICATION_IDS[network]}`);
  else if (marked !== APPLICATION_IDS[network]) {
    const [found = 'another network'] = Object.entries(APPLICATION_IDS).flatMap(([name, id]) =>
      id === marked ? [name] : [],
    );
    throw new SwapError('bad_config', `node.network: expected ${found}, as node.data_dir is of it, found ${network}`);
  }
}

const REFUSED = `
Its channels must not run: what this node would broadcast may be revoked, and everything in them lost.
If the newest database still exists, put it back. If not, give its channels up, so that the peers close them and the coins
come back on chain: lnnoded accept-restore --config FILE`;

export type OpenFiles = {
  readonly db: Database;
  readonly generation: Generation;
  readonly seed: Buffer;
  /** Undefined once the seed was shown: then somebody has written it down. */
  readonly reminder: string | undefined;
  readonly close: () => void;
};

/** Locks and opens everything. @throws SwapError `bad_config`; `fenced` if an older database was put back */
export function openFiles(config: LnnodedConfig): OpenFiles {
  prepareFolder(config);
  const lock = lockDataDir(config.node.data_dir);
  assertSeedBelongs(config);
  const seed = readSeed(config);
  const db = openDatabase(databasePath(config));
  assertNetwork(db, config.node.network);
  const problem = generationProblem(db, generationPath(config));
  if (problem !== undefined) throw new SwapError('fenced', `generation: ${problem}.${REFUSED}`);
  return {
    db,
    generation: openGeneration(db, generationPath(config)),
    seed,
    reminder: existsSync(shownPath(config)) ? undefined : 'the seed was never shown: lnnoded seed shows it, once',
    close: () => {
      db.close();
      lock.release();
    },
  };
}
