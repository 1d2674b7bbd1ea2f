/**
 * The part of the Esplora HTTP API (github.com/Blockstream/esplora, API.md) that a Lightning node follows a chain with.
 * Hashes are in display order, fee rates in satoshi per virtual byte.
 */
import { outpoint, outpointKey, blockHash, hex, txid as asTxid, type Txid } from '../../core/units.js';
import { merkleBranch } from '../liquid/merkle.js';
import type { BitcoinBlock } from './block.js';
import type { BitcoinChain } from './chain.js';
import type { EsploraIndex } from './esploraIndex.js';
import { BitcoinRpcError } from './rpcError.js';

/** An answer: text, bytes, or an object that becomes JSON. */
export type EsploraAnswer = { readonly status: number; readonly body: string | Buffer | object };

/** A chain with its index. */
export type EsploraView = {
  readonly chain: BitcoinChain;
  readonly index: EsploraIndex;
  /** By confirmation target in blocks. */
  readonly feeEstimates: () => Readonly<Record<string, number>>;
};

type Handler = (view: EsploraView, ...parts: string[]) => string | Buffer | object;

/** Entries of one page of confirmed history. */
const PAGE = 25;

class NotFound extends Error {}

const HASH = '([0-9a-f]{64})';
const ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ['/blocks/tip/hash', ({ chain }) => chain.tip.hash],
  ['/blocks/tip/height', ({ chain }) => String(chain.tip.height)],
  ['/block-height/(\\d{1,9})', ({ chain }, height) => found(chain.blockAt(Number(height)), 'Block').hash],
  [`/block/${HASH}/header`, (view, hash) => hex(blockOf(view, hash).block.toBuffer(true))],
  [`/block/${HASH}/status`, blockStatus],
  [`/block/${HASH}/raw`, (view, hash) => Buffer.from(blockOf(view, hash).block.toBuffer())],
  [`/tx/${HASH}/status`, (view, txid) => txStatus(view, known(view, txid))],
  [
    `/tx/${HASH}/raw`,
    ({ chain }, txid) => Buffer.from(found(chain.transaction(asTxid(txid)), 'Transaction').toBuffer()),
  ],
  [`/tx/${HASH}/hex`, ({ chain }, txid) => found(chain.transaction(asTxid(txid)), 'Transaction').toHex()],
  [`/tx/${HASH}/merkle-proof`, merkleProof],
  [`/tx/${HASH}/outspend/(\\d{1,6})`, outspend],
  [`/scripthash/${HASH}/txs`, history],
  [`/scripthash/${HASH}/txs/chain/${HASH}`, historyAfter],
  ['/fee-estimates', ({ feeEstimates }) => feeEstimates()],
];
const COMPILED = ROUTES.map(([path, handler]) => [new RegExp(`^${path}$`), handler] as const);

/** Answers a GET. */
export function esploraGet(view: EsploraView, path: string): EsploraAnswer {
  view.chain.assertUsable();
  for (const [pattern, handler] of COMPILED) {
    const match = pattern.exec(path);
    if (match === null) continue;
    try {
      return { status: 200, body: handler(view, ...match.slice(1)) };
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      return { status: 404, body: error.message };
    }
  }
  return { status: 404, body: 'Not found' };
}

/** Takes a transaction in hex, as POST /tx does. */
export function esploraBroadcast({ chain }: EsploraView, text: string): EsploraAnswer {
  if (!/^([0-9a-f]{2})+$/i.test(text)) return { status: 400, body: 'Transaction hex expected' };
  try {
    return { status: 200, body: chain.submit(Buffer.from(text, 'hex')) };
  } catch (error) {
    if (!(error instanceof BitcoinRpcError)) throw error;
    const reason = JSON.stringify({ code: error.rpcCode, message: error.message });
    return { status: 400, body: `sendrawtransaction RPC error: ${reason}` };
  }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new NotFound(`${what} not found`);
  return value;
}

const blockOf = ({ chain }: EsploraView, hash = ''): BitcoinBlock => found(chain.blockByHash(blockHash(hash)), 'Block');

function known({ chain }: EsploraView, text = ''): Txid {
  const txid = asTxid(text);
  found(chain.transaction(txid), 'Transaction');
  return txid;
}

function blockStatus(view: EsploraView, hash: string): object {
  const block = blockOf(view, hash);
  if (!view.chain.isActive(block)) return { in_best_chain: false };
  const next = view.chain.blockAt(block.height + 1);
  return { in_best_chain: true, height: block.height, ...(next && { next_best: next.hash }) };
}

function txStatus({ index }: EsploraView, txid: Txid): object {
  const block = index.blockOf(txid);
  if (block === undefined) return { confirmed: false };
  return { confirmed: true, block_height: block.height, block_hash: block.hash, block_time: block.time };
}

function merkleProof(view: EsploraView, text: string): object {
  const txid = known(view, text);
  const block = found(view.index.blockOf(txid), 'Transaction');
  const pos = block.txids.indexOf(txid);
  return { block_height: block.height, merkle: merkleBranch(block.txids, pos), pos };
}

function outspend(view: EsploraView, text: string, vout: string): object {
  const point = outpoint(known(view, text), Number(vout));
  const spender = view.index.spenderOf(outpointKey(point));
  return spender === undefined ? { spent: false } : { spent: true, ...spender, status: txStatus(view, spender.txid) };
}

const entry = (view: EsploraView, txid: Txid): object => ({ txid, status: txStatus(view, txid) });

function history(view: EsploraView, script: string): object {
  const { unconfirmed, confirmed } = view.index.history(script);
  return [...unconfirmed, ...confirmed.slice(0, PAGE)].map((txid) => entry(view, txid));
}

function historyAfter(view: EsploraView, script: string, last: string): object {
  const { confirmed } = view.index.history(script);
  const start = confirmed.indexOf(asTxid(last)) + 1;
  return confirmed.slice(start, start + PAGE).map((txid) => entry(view, txid));
}
