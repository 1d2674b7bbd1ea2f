/** Shapes of an Electrum server's answers and what they mean. Pure. */
import { createHash } from 'node:crypto';

import { z } from 'zod';

import { parseTransaction, txidOf } from '../core/tx.js';
import { satPerKvb, txid, type SatPerKvb, type Txid } from '../core/units.js';
import type { HistoryEntry, RejectReason, UnspentEntry } from './chain.js';
import { ElectrumError } from './electrumConnection.js';
import { parseHeader, type BlockHeader } from './headers.js';

const MAX_HEIGHT = 499_999_999;
/** Relay floor of Elements nodes. */
export const MIN_FEE_RATE: SatPerKvb = satPerKvb(100n);

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const txidText = hash.transform((text) => txid(text));
const bytesText = z
  .string()
  .regex(/^(?:[0-9a-f]{2})+$/)
  .transform((text) => Buffer.from(text, 'hex'));
/** 0 is unconfirmed, -1 has unconfirmed parents. */
const signedHeight = z.int().min(-1).max(MAX_HEIGHT);
/** A digest of the script's history, null while it has none. */
const status = z.string().nullable();
const headerText = z.object({ hex: bytesText, height: z.int().min(0).max(MAX_HEIGHT) });
const history = z.array(z.object({ tx_hash: txidText, height: signedHeight }));
const unspent = z.array(z.object({ tx_hash: txidText, tx_pos: z.int().min(0).max(0xffff_ffff), height: signedHeight }));
const merkle = z.object({ block_height: z.int().min(1).max(MAX_HEIGHT), merkle: z.array(hash).max(30), pos: z.int() });
/** BTC/kvB. A rate above 1000 sat/vB is no fee, it is an error or an attack. */
const credibleRate = z.number().min(0).max(0.01);
const statusParams = z.tuple([hash, status]);
const tipParams = z.tuple([z.unknown()]);

/** A merkle proof as the server gives it. */
export type MerkleProof = { readonly branch: readonly string[]; readonly position: number };

// Every function here throws when the answer is not what a server may say.

export const readTxid = (answer: unknown): Txid => txidText.parse(answer);
export const readStatus = (answer: unknown): string | null => status.parse(answer);

/** [scripthash, status] of a notification. */
export const readStatusNotification = (params: unknown): [string, string | null] => statusParams.parse(params);

/** The header of that height, alone in its bytes. */
export const readHeader = (answer: unknown, height: number): BlockHeader => headerAt(bytesText.parse(answer), height);

/** The tip in a notification. */
export const readTipNotification = (params: unknown): BlockHeader => readTip(tipParams.parse(params)[0]);

/** The tip as answered to `headers.subscribe`. */
export function readTip(answer: unknown): BlockHeader {
  const { hex, height } = headerText.parse(answer);
  return headerAt(hex, height);
}

/** Confirmed entries first. */
export function readHistory(answer: unknown): HistoryEntry[] {
  const entries = history.parse(answer).map((entry) => ({ txid: entry.tx_hash, height: entry.height }));
  return entries.sort((a, b) => Number(a.height <= 0) - Number(b.height <= 0));
}

/** Status of a script with that history, as the protocol defines it: null if there is none. */
export function historyDigest(entries: readonly HistoryEntry[]): string | null {
  if (entries.length === 0) return null;
  const text = entries.map((entry) => `${entry.txid}:${entry.height}:`).join('');
  return createHash('sha256').update(text).digest('hex');
}

/** Value and asset are not read: on Liquid they are unusable. */
export function readUnspent(answer: unknown): UnspentEntry[] {
  return unspent.parse(answer).map((entry) => ({
    outpoint: { txid: entry.tx_hash, vout: entry.tx_pos },
    height: entry.height,
  }));
}

/** The raw bytes of the transaction with that id. */
export function readTransaction(answer: unknown, id: Txid): Buffer {
  const raw = bytesText.parse(answer);
  const found = txidOf(parseTransaction(raw));
  if (found !== id) throw new Error(`expected transaction ${id}, found ${found}`);
  return raw;
}

/** A proof for a transaction in the block of that height. */
export function readMerkleProof(answer: unknown, height: number): MerkleProof {
  const { block_height: foundHeight, merkle: branch, pos: position } = merkle.parse(answer);
  if (foundHeight !== height) throw new Error(`expected a proof for block ${height}, found ${foundHeight}`);
  if (position < 0 || position >= 2 ** branch.length) throw new Error(`position ${position} is outside the tree`);
  return { branch, position };
}

function headerAt(bytes: Uint8Array, height: number): BlockHeader {
  const header = parseHeader(bytes);
  if (header.end !== bytes.length) throw new Error(`header ${height}: trailing bytes`);
  if (header.height !== height) throw new Error(`header ${height}: carries height ${header.height}`);
  return header;
}

/** Name under which a server keeps a script: SHA256 in display order. */
export const scripthash = (scriptPubKey: Uint8Array): string =>
  createHash('sha256').update(scriptPubKey).digest().reverse().toString('hex');

/** BTC/kvB as a JSON number -> sat/kvB, rounded up. */
function rateOf(btcPerKvb: number): SatPerKvb {
  // Below a thousandth of a satoshi stands only the noise of binary fractions: 0.00000111 * 1e8 is 111.00000000000001.
  const satoshi = Math.ceil(Number((btcPerKvb * 1e8).toFixed(3)));
  return satPerKvb(BigInt(satoshi));
}

/** Relay fee of the server's node, sat/kvB. */
export const readRelayFee = (answer: unknown): SatPerKvb => rateOf(credibleRate.parse(answer));

/** Estimate, sat/kvB; the floor if the server has no credible one (ElectrumX says -1). */
export function readFeeEstimate(answer: unknown): SatPerKvb {
  const estimate = credibleRate.safeParse(answer);
  return estimate.success ? rateOf(estimate.data) : MIN_FEE_RATE;
}

/** Texts of Elements' script errors: they stand in parentheses behind a prefix that differs between versions. */
const SCRIPT_ERRORS = [
  'Script failed an OP_',
  'Script evaluated without error but finished with a false/empty top stack element',
  'Signature must be zero for failed CHECK(MULTI)SIG operation',
  'OP_IF/NOTIF argument must be minimal',
  'Stack size must be exactly one after execution',
  'Operation not valid with the current stack size',
  'Witness program hash mismatch',
  'Witness program was passed an empty witness',
  'Witness requires empty scriptSig',
  'Witness requires only-redeemscript scriptSig',
  'Locktime requirement not satisfied',
  'Negative locktime',
  'Non-canonical signature',
  'Non-canonical DER signature',
  'Signature hash type missing or not understood',
  'Data push larger than necessary',
  'Extra items left on stack after execution',
  'Using non-compressed keys in segwit',
  'Public key is neither compressed or uncompressed',
  'unknown error',
].map((text) => `(${text}`);

const REJECT_TEXTS: readonly (readonly [RejectReason, readonly string[]])[] = [
  ['script', SCRIPT_ERRORS],
  ['missing_inputs', ['bad-txns-inputs-missingorspent', 'missing-inputs', 'Missing inputs']],
  ['conflict', ['txn-mempool-conflict', 'rejecting replacement', 'bad-txns-spends-conflicting-tx']],
  ['insufficient_fee', ['min relay fee not met', 'mempool min fee not met', 'insufficient fee', 'mempool full']],
  ['non_final', ['non-final', 'non-BIP68-final']],
  ['amounts', ['bad-txns-in-ne-out', 'bad-txns-vout', 'bad-txns-txouttotal', 'bad-txns-fee-outofrange']],
  ['undecodable', ['TX decode failed']],
  ['dust', ['dust']],
];

const KNOWN_ALREADY = [
  'txn-already-known',
  'txn-already-in-mempool',
  'Transaction already in block chain',
  'Transaction outputs already in utxo set',
];

/**
 * Reads the refusal of a broadcast off Elements' text, which is all that an Electrum server passes on. This is the only
 * place that looks at it. Script errors are told by the text in parentheses, never by the prefix. A conflict that pays
 * too little to replace ("insufficient fee, rejecting replacement") is a conflict. `already` still has to be checked.
 */
export function readRejection(text: string): RejectReason | 'already' {
  if (KNOWN_ALREADY.some((known) => text.includes(known))) return 'already';
  const found = REJECT_TEXTS.find(([, texts]) => texts.some((known) => text.includes(known)));
  return found?.[0] ?? 'other';
}

/** A refusal fit for logs and errors: without the transaction that some nodes embed. */
export const shortRejection = (text: string): string => text.replace(/[0-9a-f]{100,}/gi, '<hex>').slice(0, 300);

/** Whether the server says that it has no such transaction (electrs; ElectrumX and Fulcrum pass on the node's words). */
export const isMissingTransaction = (error: unknown): boolean =>
  error instanceof ElectrumError &&
  error.kind === 'server' &&
  /missing transaction|No such mempool (?:or blockchain )?transaction/i.test(error.message);

/** Whether the server refuses a script because too many transactions touch it (anyone can do that to a known script). */
export const isHistoryTooLong = (error: unknown): boolean =>
  error instanceof ElectrumError &&
  error.kind === 'server' &&
  /too many history|history too large|too many unspent/i.test(error.message);
