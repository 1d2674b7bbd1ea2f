/**
 * The buyer's data directory: one mnemonic, pinned sellers, accepted tips, one folder per purchase. Everything is 0600.
 *
 * mnemonic · sellers/ADDRESS · tips/GENESIS · quotes/QUOTE_ID.json · swaps/NUMBER/{session.json,claim-kit.json,lock} · outputs.json
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { seedFromMnemonic } from '../core/keys.js';
import type { AcceptedTip } from '../core/tipRule.js';
import { blockHeight, pubkey, unixSecs, type BlockHash, type Pubkey } from '../core/units.js';
import { createMnemonicFile, parseMnemonic, readMnemonicFile } from '../liquid/walletFile.js';
import { SwapError } from '../errors.js';
import { failpoint } from '../failpoint.js';
import { BuyerError } from './buyerError.js';
import {
  fsyncFolder,
  makePrivateFolder,
  namesIn,
  readPrivateFile,
  systemCode,
  takeLock,
  writePrivateFile,
} from './files.js';
import { decodeRecord, encodeRecord, isFinal, type Progress, type PurchaseRecord } from './record.js';

/** True if the directory has its mnemonic. */
export const isInitialized = (dir: string): boolean => existsSync(join(dir, 'mnemonic'));

/** Makes the mnemonic. @returns its words, to be shown once. @throws BuyerError `already_initialized`. */
export function initDataDir(dir: string): string {
  refuseInitialized(dir);
  return createMnemonicFile(join(dir, 'mnemonic'));
}

/**
 * Makes a data directory of words from another one. Purchases are numbered from `firstNumber` on, because the number
 * decides the claim key and the lost directory has used the low ones.
 *
 * @throws BuyerError `already_initialized`; SwapError `invalid_argument` for words that are no mnemonic.
 */
export function restoreDataDir(dir: string, words: string, firstNumber: number): void {
  const mnemonic = parseMnemonic(words);
  refuseInitialized(dir);
  makePrivateFolder(purchaseFolder(dir, firstNumber - 1));
  createMnemonicFile(join(dir, 'mnemonic'), mnemonic);
}

function refuseInitialized(dir: string): void {
  makePrivateFolder(dir);
  if (isInitialized(dir)) {
    throw new BuyerError('already_initialized', `expected no mnemonic in ${dir}, found one; it is kept`);
  }
}

/** The BIP39 seed. @throws BuyerError `not_initialized`. */
export function readSeed(dir: string): Buffer {
  if (!isInitialized(dir)) {
    throw new BuyerError('not_initialized', `expected a mnemonic in ${dir}, found none; run: swap init`);
  }
  return seedFromMnemonic(readMnemonicFile(join(dir, 'mnemonic')));
}

function writeIn(path: string, text: string): void {
  makePrivateFolder(dirname(path));
  writePrivateFile(path, text);
}

const sellerFile = (dir: string, address: string): string => join(dir, 'sellers', encodeURIComponent(address));

/** The node id pinned for a seller's address, or undefined before the first use. */
export function pinnedSeller(dir: string, address: string): Pubkey | undefined {
  const text = readPrivateFile(sellerFile(dir, address));
  return text === undefined ? undefined : pubkey(text.trim());
}

/** Pins a seller's node id to its address. */
export function pinSeller(dir: string, address: string, nodeId: Pubkey): void {
  writeIn(sellerFile(dir, address), `${nodeId}\n`);
}

/** The last tip that passed the tip rule on this chain. */
export function acceptedTip(dir: string, genesis: BlockHash): AcceptedTip | undefined {
  const text = readPrivateFile(join(dir, 'tips', genesis));
  if (text === undefined) return undefined;
  const [height = '', at = ''] = text.trim().split(' ');
  return { height: blockHeight(parseInt(height, 10)), at: unixSecs(parseInt(at, 10)) };
}

/** Stores a tip that passed the tip rule. */
export function acceptTip(dir: string, genesis: BlockHash, tip: AcceptedTip): void {
  writeIn(join(dir, 'tips', genesis), `${tip.height} ${tip.at}\n`);
}

/** Numbers of all purchases, oldest first. */
function purchaseNumbers(dir: string): number[] {
  return namesIn(join(dir, 'swaps'))
    .filter((name) => /^[0-9]{1,9}$/.test(name))
    .map((name) => parseInt(name, 10))
    .sort((a, b) => a - b);
}

/** A number that no other process gets: making the folder is the reservation. */
export function reserveNumber(dir: string): number {
  makePrivateFolder(join(dir, 'swaps'));
  for (let number = (purchaseNumbers(dir).at(-1) ?? -1) + 1; ; number += 1) {
    try {
      mkdirSync(purchaseFolder(dir, number), { mode: 0o700 });
      fsyncFolder(join(dir, 'swaps')); // the number decides the claim key: it must not be free again after a power cut
      return number;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }
}

/** The folder of a purchase. */
export const purchaseFolder = (dir: string, number: number): string =>
  join(dir, 'swaps', number.toString().padStart(4, '0'));

const recordFile = (dir: string, number: number): string => join(purchaseFolder(dir, number), 'session.json');

/** A purchase, or undefined for a folder that was reserved and never filled. */
export function readRecord(dir: string, number: number): PurchaseRecord | undefined {
  const text = readPrivateFile(recordFile(dir, number));
  return text === undefined ? undefined : decodeRecord(recordFile(dir, number), text);
}

/** All purchases, oldest first. @throws SwapError `bad_config` if one cannot be read. */
export function readRecords(dir: string): PurchaseRecord[] {
  const { records, damaged } = readableRecords(dir);
  const [first] = damaged;
  if (first !== undefined) throw first.error;
  return records;
}

/** A purchase whose record cannot be read, and why. */
type DamagedRecord = { readonly number: number; readonly error: SwapError };

/** All purchases that can be read, oldest first, and those that cannot: one bad file is not the others' trouble. */
export function readableRecords(dir: string): {
  readonly records: PurchaseRecord[];
  readonly damaged: DamagedRecord[];
} {
  const records: PurchaseRecord[] = [];
  const damaged: DamagedRecord[] = [];
  for (const number of purchaseNumbers(dir)) {
    try {
      const record = readRecord(dir, number);
      if (record !== undefined) records.push(record);
    } catch (error) {
      if (!(error instanceof SwapError)) throw error;
      damaged.push({ number, error });
    }
  }
  return { records, damaged };
}

/** Stores a record; it is on disk when this returns. */
export function saveRecord(dir: string, record: PurchaseRecord): void {
  failpoint(`before save ${record.progress.step}`);
  writePrivateFile(recordFile(dir, record.number), encodeRecord(record));
  failpoint(`after save ${record.progress.step}`);
}

/** Stores the next step of a purchase. A final step never changes. */
export function advance(dir: string, record: PurchaseRecord, progress: Progress): PurchaseRecord {
  if (isFinal(record.progress.step)) throw new Error(`purchase ${record.number} is final`);
  const next = { ...record, progress };
  saveRecord(dir, next);
  return next;
}

/** Holds a purchase for this process. @throws SwapError `version_conflict` if another one works on it. */
export const lockPurchase = (dir: string, number: number): (() => void) =>
  takeLock(join(purchaseFolder(dir, number), 'lock'));

/** Finds a purchase by its number, its swap id or its request id (a unique beginning is enough). */
export function findRecord(dir: string, name: string): PurchaseRecord {
  const { records, damaged } = readableRecords(dir);
  const bad = damaged.find(({ number }) => number.toString() === name);
  if (bad !== undefined) throw bad.error;
  const matches = records.filter((record) => {
    const { progress, requestId, number } = record;
    const ids = [requestId, 'swapId' in progress ? progress.swapId : 'htlc' in progress ? progress.htlc.swapId : ''];
    return number.toString() === name || (name.length >= 4 && ids.some((id) => id.startsWith(name)));
  });
  const [only, another] = matches;
  if (only !== undefined && another === undefined) return only;
  const found = only === undefined ? `none of ${records.length}` : `${matches.length} of them`;
  throw new BuyerError(
    'unknown_swap',
    `expected the number, swap id or request id of a purchase, found ${found} for "${name}"; see: swap history`,
  );
}
