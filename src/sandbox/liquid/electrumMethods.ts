/**
 * The Electrum methods (protocol 1.4) as Blockstream's electrs for Liquid answers them, quirks included: no get_balance,
 * no verbose transactions, no server.features, byte-swapped values in listunspent, errors of the daemon as plain strings.
 */
import { z } from 'zod';

import { txid } from '../../core/units.js';
import { NodeError, type Chain } from './chain.js';
import { historyLength, historyOf, statusOf, unspentOf, type UnspentOutput } from './history.js';
import { merkleBranch } from './merkle.js';
import type { Block, KnownTransaction } from './state.js';
import { explicitValue } from './transaction.js';

/** What a connection asked to be told about. */
export type Subscriptions = {
  /** Hash of the last tip that was told; undefined without a subscription. */
  tipHash: string | undefined;
  /** Last status told, by scripthash. */
  readonly scripts: Map<string, string | null>;
};

/** An error the client sees: a string for what the daemon says, an object for a request that makes no sense. */
export class ElectrumError extends Error {
  readonly body: string | { readonly code: number; readonly message: string };

  constructor(body: string | { readonly code: number; readonly message: string }) {
    super(typeof body === 'string' ? body : body.message);
    this.body = body;
  }
}

const PROTOCOL_VERSION = '1.4';
const SERVER_NAME = 'electrs-esplora sandbox';
const MAX_HISTORY = 500;
const MAX_HEADERS = 2016;
const SAT_PER_COIN = 100_000_000;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const height = z.int().nonnegative();

type Session = { readonly chain: Chain; readonly subscriptions: Subscriptions };
type Method = (session: Session, params: readonly unknown[]) => unknown;

const answer =
  (result: unknown): Method =>
  () =>
    result;

function withParams<Schema extends z.ZodType<readonly unknown[]>>(
  schema: Schema,
  method: (session: Session, params: z.infer<Schema>) => unknown,
): Method {
  return (session, params) => {
    const parsed = schema.safeParse(params);
    if (parsed.success) return method(session, parsed.data);
    throw new ElectrumError({
      code: INVALID_PARAMS,
      message: `invalid params: ${parsed.error.issues[0]?.message ?? ''}`,
    });
  };
}

/** The newest header as `blockchain.headers.subscribe` tells it. */
export function headerNotice({ state }: Chain): { height: number; hex: string } {
  const block = state.blocks.at(-1);
  if (block === undefined) throw new Error('a chain has at least block 0');
  return { height: block.header.height, hex: block.rawHeader.toString('hex') };
}

/** @throws ElectrumError if the script has more history than electrs serves. */
export function servedStatus({ state }: Chain, scripthash: string): string | null {
  assertHistoryServed(state, scripthash);
  return statusOf(state, scripthash);
}

function assertHistoryServed(state: Chain['state'], scripthash: string): void {
  if (historyLength(state, scripthash) > MAX_HISTORY) throw new ElectrumError('Too many history entries');
}

function subscribeHeaders({ chain, subscriptions }: Session): unknown {
  subscriptions.tipHash = chain.tip().hash;
  return headerNotice(chain);
}

function subscribeScript({ chain, subscriptions }: Session, scripthash: string): string | null {
  const status = servedStatus(chain, scripthash);
  subscriptions.scripts.set(scripthash, status);
  return status;
}

function blockAt(chain: Chain, at: number): Block {
  const block = chain.state.blocks[at];
  if (block === undefined) throw new ElectrumError('missing header');
  return block;
}

function headers(chain: Chain, start: number, count: number): unknown {
  const blocks = chain.state.blocks.slice(start, start + Math.min(count, MAX_HEADERS));
  return {
    count: blocks.length,
    hex: Buffer.concat(blocks.map(({ rawHeader }) => rawHeader)).toString('hex'),
    max: MAX_HEADERS,
  };
}

function knownTransaction({ state }: Chain, id: string): KnownTransaction {
  const known = state.transactions.get(txid(id));
  if (known === undefined) throw new ElectrumError('missing transaction');
  return known;
}

function merkleProof(chain: Chain, id: string, at: number): unknown {
  const { height: minedAt, position } = knownTransaction(chain, id);
  if (minedAt === undefined) throw new ElectrumError('tx not found or is unconfirmed');
  if (minedAt !== at) throw new ElectrumError('invalid confirmation height provided');
  return { block_height: at, merkle: merkleBranch(blockAt(chain, at).txids, position), pos: position };
}

function idFromPosition(chain: Chain, at: number, position: number, wantsProof: boolean): unknown {
  const { txids } = blockAt(chain, at);
  const id = txids[position];
  if (id === undefined) throw new ElectrumError(`No tx in position #${position} in block #${at}`);
  return wantsProof ? { tx_hash: id, merkle: merkleBranch(txids, position) } : id;
}

function broadcast(chain: Chain, rawHex: string): string {
  try {
    return chain.broadcast(rawHex);
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    const { code, message } = error;
    throw new ElectrumError(`sendrawtransaction RPC error: ${JSON.stringify({ code, message })}`);
  }
}

/** Elements' confidential fields as its JSON has them: 0 nothing, 1 explicit, 2 commitment. */
function confidentialField(bytes: Buffer, explicit: (bytes: Buffer) => unknown): unknown[] {
  if (bytes.length === 1) return [0];
  return bytes[0] === 1 ? [1, explicit(bytes.subarray(1))] : [2, bytes.toString('hex')];
}

/** An explicit value comes with its bytes in the wrong order, and as a JSON number that may lose bits, as in electrs. */
function unspentEntry({ txid: id, vout, height: at, output }: UnspentOutput): unknown {
  const value = explicitValue(output.value) === undefined ? output.value : output.value.subarray(1);
  return {
    asset: confidentialField(output.asset, (tag) => tag.toString('hex')),
    height: at,
    nonce: confidentialField(output.nonce, (bytes) => bytes.toString('hex')),
    tx_hash: id,
    tx_pos: vout,
    value: value.length === 8 ? [1, Number(value.readBigUInt64LE())] : [2, value.toString('hex')],
  };
}

const coinsPerKvb = ({ state }: Chain): number => Number(state.ledger.policy.relayFloor) / SAT_PER_COIN;

function history(chain: Chain, scripthash: string): unknown {
  assertHistoryServed(chain.state, scripthash);
  return historyOf(chain.state, scripthash);
}

function unspent(chain: Chain, scripthash: string): unknown {
  assertHistoryServed(chain.state, scripthash);
  return unspentOf(chain.state, scripthash).map(unspentEntry);
}

function rawTransaction(chain: Chain, id: string, isVerbose: boolean): string {
  if (isVerbose) throw new ElectrumError('verbose transactions are currently unsupported');
  return knownTransaction(chain, id).rawHex;
}

const oneHash = z.tuple([hash]).rest(z.unknown());

const METHODS: Readonly<Record<string, Method>> = {
  'server.version': answer([SERVER_NAME, PROTOCOL_VERSION]),
  'server.banner': answer('Sandbox: regtest coins without value'),
  'server.donation_address': answer(null),
  'server.peers.subscribe': answer([]),
  'server.ping': answer(null),
  'mempool.get_fee_histogram': answer([]),
  'blockchain.relayfee': ({ chain }) => coinsPerKvb(chain),
  'blockchain.estimatefee': ({ chain }) => coinsPerKvb(chain),
  'blockchain.headers.subscribe': subscribeHeaders,
  'blockchain.block.header': withParams(z.tuple([height]).rest(z.unknown()), ({ chain }, [at]) =>
    blockAt(chain, at).rawHeader.toString('hex'),
  ),
  'blockchain.block.headers': withParams(z.tuple([height, height]).rest(z.unknown()), ({ chain }, [start, count]) =>
    headers(chain, start, count),
  ),
  'blockchain.scripthash.get_history': withParams(oneHash, ({ chain }, [scripthash]) => history(chain, scripthash)),
  'blockchain.scripthash.listunspent': withParams(oneHash, ({ chain }, [scripthash]) => unspent(chain, scripthash)),
  'blockchain.scripthash.subscribe': withParams(oneHash, (session, [scripthash]) =>
    subscribeScript(session, scripthash),
  ),
  'blockchain.transaction.get': withParams(z.tuple([hash, z.boolean().default(false)]), ({ chain }, [id, isVerbose]) =>
    rawTransaction(chain, id, isVerbose),
  ),
  'blockchain.transaction.get_merkle': withParams(z.tuple([hash, height]), ({ chain }, [id, at]) =>
    merkleProof(chain, id, at),
  ),
  'blockchain.transaction.id_from_pos': withParams(
    z.tuple([height, height, z.boolean().default(false)]),
    ({ chain }, [at, position, wantsProof]) => idFromPosition(chain, at, position, wantsProof),
  ),
  'blockchain.transaction.broadcast': withParams(z.tuple([z.string()]), ({ chain }, [rawHex]) =>
    broadcast(chain, rawHex),
  ),
};

/** Answers one request. @throws ElectrumError for what the client is told. */
export function callMethod(session: Session, name: string, params: readonly unknown[]): unknown {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (method === undefined) throw new ElectrumError({ code: METHOD_NOT_FOUND, message: `unknown method ${name}` });
  return method(session, params);
}
