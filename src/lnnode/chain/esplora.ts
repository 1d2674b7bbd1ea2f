/** An Esplora server (github.com/Blockstream/esplora, API.md). Shapes are checked here, truth in prove.ts. */
import { z } from 'zod';

import { blockHash, satPerKvb, txid, type BlockHash, type Outpoint, type Txid } from '../../core/units.js';
import type { ChainSource } from './bitcoind.js';
import { makeHttpClient, type HttpAnswer } from './http.js';

export type EsploraOptions = {
  /** Base of the API, e.g. "https://blockstream.info/api". */
  readonly url: string;
  /** PEM certificate of the server, for https with its own certificate. */
  readonly caFile?: string | undefined;
};

/** A claim that a transaction is in a block. */
export type ClaimedTx = { readonly txid: Txid; readonly blockHash: BlockHash };

/** Siblings from the transaction up to the root, display order, and the position in the block. */
export type MerkleProof = { readonly merkle: readonly string[]; readonly position: number };

export type EsploraSource = ChainSource & {
  /** The block that the server has a transaction in; undefined if in none, or unknown. */
  readonly blockOf: (id: Txid) => Promise<BlockHash | undefined>;
  readonly rawTx: (id: Txid) => Promise<Buffer>;
  readonly merkleProof: (id: Txid) => Promise<MerkleProof>;
  /** The transaction in a block that spends an output; undefined if there is none. */
  readonly spenderOf: (point: Outpoint) => Promise<ClaimedTx | undefined>;
  /** Transactions in blocks that pay a script or spend from it, newest first. `scriptHash` is the hex of its SHA256. */
  readonly history: (scriptHash: string) => Promise<readonly ClaimedTx[]>;
};

const GENESIS: Readonly<Record<string, string>> = {
  '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f': 'main',
  '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943': 'test',
  '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206': 'regtest',
};
/** Confirmed transactions on one page of a history. */
const PAGE = 25;
/** More than a node's address ever has; an address that strangers flood must not hold everything up. */
const MAX_PAGES = 40;
/** bitcoind's "transaction already in block chain", inside the text of Esplora's error. */
const ALREADY_IN_CHAIN = /"code":\s*-27\b|already in (block chain|utxo set)|already-known/i;

const hash64 = z.string().regex(/^[0-9a-f]{64}$/);
const headerSchema = z.string().regex(/^[0-9a-f]{160}$/);
const statusSchema = z.union([
  z.object({ confirmed: z.literal(true), block_hash: hash64 }),
  z.object({ confirmed: z.literal(false) }),
]);
const proofSchema = z.object({ merkle: z.array(hash64).max(30), pos: z.int().nonnegative() });
const spendSchema = z.union([
  z.object({ spent: z.literal(true), txid: hash64, status: statusSchema }),
  z.object({ spent: z.literal(false) }),
]);
const historySchema = z.array(z.object({ txid: hash64, status: statusSchema }));
const placeSchema = z.object({ in_best_chain: z.literal(true), height: z.int().nonnegative() });
const estimatesSchema = z.record(z.string(), z.unknown());
const estimateSchema = z.number().positive().max(1_000_000);

const inBlock = (id: string, status: z.output<typeof statusSchema>): ClaimedTx | undefined =>
  status.confirmed ? { txid: txid(id), blockHash: blockHash(status.block_hash) } : undefined;

/** Connects lazily; every call has a timeout. */
export function connectEsplora({ url, caFile }: EsploraOptions): EsploraSource {
  const http = makeHttpClient({ url, caFile });
  const wrong = (path: string, { status, body }: HttpAnswer): Error =>
    new Error(`esplora ${path}: status ${status} ${body.toString('utf8').slice(0, 200)}`);
  /** Undefined if the server does not have it. */
  const find = async (path: string): Promise<Buffer | undefined> => {
    const answer = await http.call('GET', path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw wrong(path, answer);
    return answer.body;
  };
  const get = async (path: string): Promise<Buffer> => {
    const body = await find(path);
    if (body === undefined) throw new Error(`esplora ${path}: not found`);
    return body;
  };
  const text = async (path: string): Promise<string> => (await get(path)).toString('utf8').trim();
  const json = (body: Buffer): unknown => JSON.parse(body.toString('utf8')) as unknown;
  return {
    ...makeTip(text, async (path) => json(await get(path))),
    header: async (hash) => Buffer.from(headerSchema.parse(await text(`/block/${hash}/header`)), 'hex'),
    block: (hash) => get(`/block/${hash}/raw`),
    broadcast: async (raw) => {
      const answer = await http.call('POST', '/tx', Buffer.from(raw).toString('hex'));
      if (answer.status === 200 || ALREADY_IN_CHAIN.test(answer.body.toString('utf8'))) return;
      throw wrong('/tx', answer);
    },
    feeRate: async (targetBlocks) => {
      const estimates = estimatesSchema.parse(json(await get('/fee-estimates')));
      const best = nearest(estimates, targetBlocks);
      return best === undefined ? undefined : satPerKvb(BigInt(Math.round(estimateSchema.parse(best) * 1000)));
    },
    blockOf: async (id) => {
      const body = await find(`/tx/${id}/status`);
      return body && inBlock(id, statusSchema.parse(json(body)))?.blockHash;
    },
    rawTx: (id) => get(`/tx/${id}/raw`),
    merkleProof: async (id) => {
      const { merkle, pos } = proofSchema.parse(json(await get(`/tx/${id}/merkle-proof`)));
      return { merkle, position: pos };
    },
    spenderOf: async (point) => {
      const body = await find(`/tx/${point.txid}/outspend/${point.vout}`);
      const spend = body && spendSchema.parse(json(body));
      return spend?.spent === true ? inBlock(spend.txid, spend.status) : undefined;
    },
    history: async (scriptHash) => {
      const all: ClaimedTx[] = [];
      let path = `/scripthash/${scriptHash}/txs`;
      for (let page = 0; page < MAX_PAGES; page++) {
        const entries = historySchema.parse(json(await get(path)));
        const confirmed = entries.flatMap((entry) => inBlock(entry.txid, entry.status) ?? []);
        all.push(...confirmed);
        const last = confirmed.at(-1);
        if (last === undefined || confirmed.length < PAGE) break;
        path = `/scripthash/${scriptHash}/txs/chain/${last.txid}`;
      }
      return all;
    },
    close: http.close,
  };
}

/** The server's tip. Its height is read once per block, and only a new node uses it. */
function makeTip(
  text: (path: string) => Promise<string>,
  json: (path: string) => Promise<unknown>,
): Pick<ChainSource, 'best'> {
  let chain: string | undefined;
  let last: { hash: BlockHash; height: number } | undefined;
  return {
    best: async () => {
      const genesis = chain ?? (await text('/block-height/0'));
      chain ??= GENESIS[genesis] ?? `unknown (${genesis.slice(0, 64)})`;
      const hash = blockHash(hash64.parse(await text('/blocks/tip/hash')));
      if (last?.hash !== hash) {
        const { height } = placeSchema.parse(await json(`/block/${hash}/status`));
        last = { hash, height };
      }
      return { ...last, chain };
    },
  };
}

/** The estimate for the greatest target that is not slower than the one asked for, else for the least. */
function nearest(estimates: Readonly<Record<string, unknown>>, targetBlocks: number): unknown {
  const targets = Object.keys(estimates)
    .map(Number)
    .filter((target) => Number.isSafeInteger(target) && target > 0)
    .sort((a, b) => a - b);
  const target = targets.findLast((known) => known <= targetBlocks) ?? targets[0];
  return target === undefined ? undefined : estimates[String(target)];
}
