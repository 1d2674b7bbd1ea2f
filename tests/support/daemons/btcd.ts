/** btcd as a process on a regtest chain of its own. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import { onFreePorts } from '../freePort.js';
import { builtDaemon } from './binaries.js';
import { isPortTaken, startChild, tailOf } from './child.js';
import { makeRpc, type FullNode, type FullNodeLogin, type FullNodePlace } from './fullNode.js';
import { FIRST_BLOCKS, makeMiner } from './miner.js';

const USER = 'user';
const PASSWORD = 'password';
const LOG_LINES = 200;

/** "0.24.2" of 240200. */
function versionOf(info: unknown): string {
  const { version } = z.object({ version: z.int() }).parse(info);
  return [version / 1_000_000, (version / 10_000) % 100, (version / 100) % 100].map(Math.floor).join('.');
}

/** Starts btcd in a folder of its own and mines the first blocks. */
export const startBtcd = (place: FullNodePlace): Promise<FullNode> => startAt(place, FIRST_BLOCKS);

/** btcd on a chain without blocks: nothing is ever synced to it, for its time is that of the genesis. */
export const startEmptyBtcd = (place: FullNodePlace): Promise<FullNode> => startAt(place, 0);

const startAt = (place: FullNodePlace, blocks: number): Promise<FullNode> =>
  onFreePorts((rpcPort, p2pPort) => startOn(place, { rpcPort, p2pPort, blocks }), isPortTaken);

type Start = { readonly rpcPort: number; readonly p2pPort: number; readonly blocks: number };

async function startOn({ dir, started }: FullNodePlace, { rpcPort, p2pPort, blocks }: Start): Promise<FullNode> {
  mkdirSync(dir, { recursive: true });
  const caFile = join(dir, 'rpc.cert');
  const logFile = join(dir, 'btcd.log');
  const address = `127.0.0.1:${rpcPort}`;
  const login: FullNodeLogin = { url: `https://${address}`, user: USER, password: PASSWORD, caFile };
  const { call, close } = makeRpc(login);
  const miner = makeMiner(call);
  const child = await startChild({
    name: 'btcd',
    program: builtDaemon('btcd'),
    dir,
    logFile,
    args: [
      '--regtest',
      '--txindex',
      '--nobanning',
      '--trickleinterval=100ms',
      '--rpcmaxwebsockets=50',
      '--rpcmaxclients=50',
      `--configfile=${join(dir, 'btcd.conf')}`,
      `--datadir=${join(dir, 'data')}`,
      `--logdir=${join(dir, 'logs')}`,
      `--rpcuser=${USER}`,
      `--rpcpass=${PASSWORD}`,
      `--rpclisten=${address}`,
      `--listen=127.0.0.1:${p2pPort}`,
      `--rpccert=${caFile}`,
      `--rpckey=${join(dir, 'rpc.key')}`,
      `--miningaddr=${miner.address}`,
    ],
  });
  const tipHeight = async (): Promise<number> => Number(await call('getblockcount'));
  const stop = async (): Promise<void> => {
    close();
    await child.stop('SIGKILL');
  };
  let version: string;
  try {
    started?.({ log: () => tailOf(logFile, LOG_LINES), stop });
    await child.until('its JSON-RPC', async () => existsSync(caFile) && (await tipHeight()) >= 0);
    version = versionOf(await call('getinfo'));
    if (blocks > 0) await call('generate', blocks);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    software: [{ program: 'btcd', version }],
    endpoints: { bitcoind: login },
    logFile,
    lndFlags: [
      '--bitcoin.node=btcd',
      `--btcd.rpchost=${address}`,
      `--btcd.rpcuser=${USER}`,
      `--btcd.rpcpass=${PASSWORD}`,
      `--btcd.rpccert=${caFile}`,
    ],
    call,
    fund: (target, sats) => miner.pay(target, sats),
    mine: async (blocks) => {
      await call('generate', blocks);
    },
    tipHeight,
    waiting: async () => z.array(z.string()).parse(await call('getrawmempool')).length,
    freeze: (isFrozen) => {
      child.freeze(isFrozen);
    },
    stop,
  };
}
