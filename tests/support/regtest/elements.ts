/** An Elements node of its own regtest chain, without a wallet and without peers. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import { onFreePort } from '../freePort.js';
import type { Software } from '../interoperability.js';
import { startNative, type NativeProgram } from './nativeProgram.js';

const LOGIN = { user: 'regtest', password: 'regtest' };
const CALL_MS = 60_000;
/** The script that anyone may spend; the node's fees and the free coins lie in it. */
const ANYONE = 'raw(51)';
/** Dynamic federations are active from block 432 on, as they are on the main chain. */
const FIRST_BLOCKS = 450;
/** The first blocks are dated so long ago, for each is dated later than the median before it. */
const FIRST_BLOCKS_AGE_SECS = 3_600;
const MAX_AHEAD_SECS = 60;
const SAT_PER_LBTC = 100_000_000;

/** An answer of the node that is an error. */
export class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
  }
}

const answerSchema = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullable(),
});
const infoSchema = z.object({ blocks: z.int(), bestblockhash: z.string() });
const acceptSchema = z.tuple([
  z.object({ txid: z.string(), allowed: z.boolean(), 'reject-reason': z.string().optional() }),
]);

type Tip = { readonly height: number; readonly hash: string };

export type ElementsNode = {
  /** As it calls itself, e.g. `/Elements Core:23.3.0/`. */
  readonly software: Software;
  /** Where electrs finds it. */
  readonly rpcAddress: string;
  readonly cookie: string;
  readonly dataDir: string;
  /** @throws RpcError */
  rpc(method: string, ...params: readonly unknown[]): Promise<unknown>;
  tip(): Promise<Tip>;
  /** Makes blocks; the first takes the mempool. @returns their hashes. */
  mine(blocks: number): Promise<string[]>;
  /** Makes a block that leaves the mempool where it is, and is like no other node's. */
  mineEmpty(): Promise<string>;
  mempool(): Promise<string[]>;
  /** Txids of the block at that height, without its coinbase. */
  blockTxids(height: number): Promise<string[]>;
  /** @returns undefined if the transaction would be taken, else the reason why not. */
  refusal(rawHex: string): Promise<string | undefined>;
  /** Takes over every block that the other node has and this one has not. */
  copyBlocks(from: ElementsNode): Promise<void>;
  /** Stops it and starts it again. Satoshi per 1000 virtual bytes; by default as before. */
  restart(options?: { readonly isForgettingMempool?: boolean; readonly relayFloor?: number }): Promise<void>;
  readonly relayFloor: number;
  stop(): Promise<void>;
  tail(): string;
};

let emptyBlocks = 0;

const configText = (rpcPort: number, relayFloor: number): string => {
  const rate = (relayFloor / SAT_PER_LBTC).toFixed(8);
  return `chain=liquidregtest
[liquidregtest]
server=1
txindex=1
listen=0
connect=0
discover=0
dnsseed=0
fixedseeds=0
rpcbind=127.0.0.1
rpcallowip=127.0.0.1
rpcport=${rpcPort}
rpcuser=${LOGIN.user}
rpcpassword=${LOGIN.password}
minrelaytxfee=${rate}
incrementalrelayfee=0.00000100
initialfreecoins=2100000000000000
anyonecanspendaremine=1
validatepegin=0
con_connect_genesis_outputs=1
con_blocksubsidy=0
blindedaddresses=1
acceptdiscountct=1
acceptnonstdtxn=0
evbparams=dynafed:0:::
`;
};

/** Calls the node. @throws RpcError, or Error if it does not answer in time. */
async function call(address: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const login = Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64');
  const response = await fetch(`http://${address}/`, {
    method: 'POST',
    headers: { authorization: `Basic ${login}` },
    body: JSON.stringify({ jsonrpc: '1.0', id: method, method, params }),
    signal: AbortSignal.timeout(CALL_MS),
  });
  const { result, error } = answerSchema.parse(await response.json());
  if (error !== null) throw new RpcError(error.code, error.message);
  return result;
}

/** Starts a node in a new folder. Its chain has {@link FIRST_BLOCKS} empty blocks, or those of another node. */
export async function startElements(options: {
  readonly exe: string;
  readonly dir: string;
  readonly name?: string;
  readonly copyOf?: ElementsNode;
}): Promise<ElementsNode> {
  const { exe, dir, name = 'elementsd', copyOf } = options;
  mkdirSync(dir, { recursive: true });
  let relayFloor = 100;
  let program: NativeProgram;
  const config = join(dir, 'elements.conf');
  const startOn = async (port: number): Promise<number> => {
    writeFileSync(config, configText(port, relayFloor));
    const address = `127.0.0.1:${port}`;
    const probe = async (): Promise<true> => {
      await call(address, 'getblockcount', []);
      return true;
    };
    const args = [`-datadir=${dir}`, `-conf=${config}`, '-printtoconsole=1'];
    program = await startNative({ name, exe, args, logFile: join(dir, `${name}.log`), probe });
    return port;
  };
  const port = await onFreePort(startOn);
  const rpcAddress = `127.0.0.1:${port}`;
  const rpc = (method: string, ...params: readonly unknown[]): Promise<unknown> => call(rpcAddress, method, params);
  const hashAt = async (height: number): Promise<string> => z.string().parse(await rpc('getblockhash', height));
  const networkInfo = z.object({ subversion: z.string() }).parse(await rpc('getnetworkinfo'));
  const node: ElementsNode = {
    software: { program: 'Elements', version: networkInfo.subversion, isBrought: true },
    rpcAddress,
    cookie: `${LOGIN.user}:${LOGIN.password}`,
    dataDir: dir,
    rpc,
    tip: async () => {
      const { blocks, bestblockhash } = infoSchema.parse(await rpc('getblockchaininfo'));
      return { height: blocks, hash: bestblockhash };
    },
    mine: async (blocks) => z.array(z.string()).parse(await rpc('generatetodescriptor', blocks, ANYONE)),
    mineEmpty: async () => {
      emptyBlocks += 1; // without a fee in it a block differs from others by its time only
      await rpc('setmocktime', Math.floor(Date.now() / 1000) + (emptyBlocks % MAX_AHEAD_SECS) + 1);
      const { hash } = z.object({ hash: z.string() }).parse(await rpc('generateblock', ANYONE, []));
      await rpc('setmocktime', 0);
      return hash;
    },
    mempool: async () => z.array(z.string()).parse(await rpc('getrawmempool')),
    blockTxids: async (height) => {
      const { tx } = z.object({ tx: z.array(z.string()) }).parse(await rpc('getblock', await hashAt(height), 1));
      return tx.slice(1);
    },
    refusal: async (rawHex) => {
      const [answer] = acceptSchema.parse(await rpc('testmempoolaccept', [rawHex]));
      return answer.allowed ? undefined : (answer['reject-reason'] ?? 'no reason');
    },
    copyBlocks: async (from) => {
      const { height } = await from.tip();
      let next = (await node.tip()).height + 1;
      while (next > 1 && (await from.rpc('getblockhash', next - 1)) !== (await hashAt(next - 1))) next -= 1;
      for (; next <= height; next += 1) {
        const block = await from.rpc('getblock', await from.rpc('getblockhash', next), 0);
        const verdict = z
          .string()
          .nullable()
          .parse(await rpc('submitblock', block));
        if (verdict !== null && verdict !== 'inconclusive') throw new Error(`${name}: block refused: ${verdict}`);
      }
    },
    restart: async ({ isForgettingMempool = false, relayFloor: floor = relayFloor } = {}) => {
      await program.stop();
      if (isForgettingMempool) rmSync(join(dir, 'liquidregtest', 'mempool.dat'), { force: true });
      relayFloor = floor;
      await startOn(port);
    },
    get relayFloor() {
      return relayFloor;
    },
    stop: () => program.stop(),
    tail: () => program.tail(),
  };
  if (copyOf !== undefined) await node.copyBlocks(copyOf);
  else await mineFirst(node);
  return node;
}

async function mineFirst(node: ElementsNode): Promise<void> {
  await node.rpc('setmocktime', Math.floor(Date.now() / 1000) - FIRST_BLOCKS_AGE_SECS);
  await node.mine(FIRST_BLOCKS);
  await node.rpc('setmocktime', 0);
  await node.mine(1);
}
