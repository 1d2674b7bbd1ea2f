/** A full node over JSON-RPC: only methods that bitcoind, btcd and the sandbox all have. Its answers are checked. */
import { z } from 'zod';

import { blockHash, satPerKvb, type BlockHash, type SatPerKvb } from '../../core/units.js';
import { makeHttpClient } from './http.js';

export type BitcoindOptions = {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** PEM certificate of the server, for https with its own certificate. */
  readonly caFile?: string | undefined;
};

/** The server answered with an error. */
class RpcError extends Error {
  readonly code: number;

  constructor(method: string, code: number, message: string) {
    super(`${method}: ${message} (${code})`);
    this.name = 'RpcError';
    this.code = code;
  }
}

export type ChainSource = {
  /** The server's best block and the name of its chain ("main", "test", "regtest", ...). */
  best(): Promise<{ readonly hash: BlockHash; readonly chain: string; readonly height: number }>;
  /** 80 bytes. */
  header(hash: BlockHash): Promise<Buffer>;
  block(hash: BlockHash): Promise<Buffer>;
  /** Resolves when the server has it, also if it had it before. @throws RpcError if refused. */
  readonly broadcast: (raw: Uint8Array) => Promise<void>;
  /** Fee estimate, or undefined if the server has none. */
  feeRate(targetBlocks: number): Promise<SatPerKvb | undefined>;
  close(): void;
};

const infoSchema = z.object({
  chain: z.string(),
  bestblockhash: z.string().regex(/^[0-9a-f]{64}$/),
  blocks: z.int().nonnegative(),
});
const bytesSchema = z.string().regex(/^([0-9a-f]{2})+$/);
const feeSchema = z.object({ feerate: z.number().positive().optional() });
const answerSchema = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});

/** bitcoind's "transaction already in block chain". btcd says "already have" or "already exists" with other numbers. */
const ALREADY_IN_CHAIN = -27;
const METHOD_NOT_FOUND = -32601;
/** btcd's `estimatefee` refuses more blocks. */
const OLDER_MAX_BLOCKS = 25;

const perKvb = (bitcoins: number): SatPerKvb => satPerKvb(BigInt(Math.round(bitcoins * 1e8)));

/** Connects lazily; every call has a timeout. */
export function connectBitcoind(options: BitcoindOptions): ChainSource {
  const post = makePost(options);
  const call = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const body = await post.send(JSON.stringify({ jsonrpc: '1.0', id: 0, method, params }));
    const answer = answerSchema.parse(JSON.parse(body));
    if (answer.error) throw new RpcError(method, answer.error.code, answer.error.message);
    return answer.result;
  };
  const hexBytes = async (method: string, ...params: unknown[]): Promise<Buffer> =>
    Buffer.from(bytesSchema.parse(await call(method, ...params)), 'hex');
  /** btcd's estimate; an error, -1 or 0 while it has seen too little. */
  const olderFeeRate = async (targetBlocks: number): Promise<SatPerKvb | undefined> => {
    try {
      const rate = z.number().parse(await call('estimatefee', Math.min(targetBlocks, OLDER_MAX_BLOCKS)));
      return rate > 0 ? perKvb(rate) : undefined;
    } catch (error) {
      if (error instanceof RpcError) return undefined;
      throw error;
    }
  };
  return {
    best: async () => {
      const info = infoSchema.parse(await call('getblockchaininfo'));
      return { hash: blockHash(info.bestblockhash), chain: info.chain, height: info.blocks };
    },
    header: (hash) => hexBytes('getblockheader', hash, false),
    block: (hash) => hexBytes('getblock', hash, 0),
    broadcast: async (raw) => {
      try {
        await call('sendrawtransaction', Buffer.from(raw).toString('hex'));
      } catch (error) {
        if (!isKnownAlready(error)) throw error;
      }
    },
    feeRate: async (targetBlocks) => {
      try {
        const { feerate } = feeSchema.parse(await call('estimatesmartfee', targetBlocks));
        return feerate === undefined ? undefined : perKvb(feerate);
      } catch (error) {
        if (error instanceof RpcError && error.code === METHOD_NOT_FOUND) return olderFeeRate(targetBlocks);
        throw error;
      }
    },
    close: post.close,
  };
}

/** The only match on message text: btcd has no number of its own for "I have it". */
function isKnownAlready(error: unknown): boolean {
  if (!(error instanceof RpcError)) return false;
  return error.code === ALREADY_IN_CHAIN || /already (have|exists|known|in)/.test(error.message);
}

function makePost({ url, user, password, caFile }: BitcoindOptions): {
  send: (body: string) => Promise<string>;
  close: () => void;
} {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const { call, close } = makeHttpClient({
    url,
    caFile,
    headers: { authorization, 'content-type': 'application/json' },
  });
  const send = async (body: string): Promise<string> => {
    const answer = await call('POST', '', body);
    const text = answer.body.toString('utf8');
    // bitcoind answers errors of a call with 500 or 404 and a JSON body
    if (answer.status === 401 || answer.status === 403) {
      throw new Error(`the full node refuses bitcoind.user or its password (HTTP status ${answer.status})`);
    }
    if (!text.startsWith('{')) throw new Error(`HTTP status ${answer.status} from the full node`);
    return text;
  };
  return { send, close };
}
