/** Bitcoin Core as a process on a regtest chain of its own, for whoever brings it (`BITCOIND_EXE`). Ran with 29.3. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import { onFreePorts } from '../freePort.js';
import { isPortTaken, startChild, tailOf } from './child.js';
import { makeRpc, type FullNode, type FullNodeLogin, type FullNodePlace } from './fullNode.js';
import { FIRST_BLOCKS, makeMiner } from './miner.js';

const USER = 'user';
const PASSWORD = 'password';
const LOG_LINES = 200;

export const bitcoindExe = process.env['BITCOIND_EXE'];

/** Starts it in a folder of its own and mines the first blocks. */
export const startBitcoind = (place: FullNodePlace): Promise<FullNode> =>
  onFreePorts((port) => startOn(place, port), isPortTaken);

async function startOn({ dir, started }: FullNodePlace, port: number): Promise<FullNode> {
  if (bitcoindExe === undefined) throw new Error('BITCOIND_EXE names no program');
  mkdirSync(dir, { recursive: true });
  const logFile = join(dir, 'bitcoind.log');
  const login: FullNodeLogin = { url: `http://127.0.0.1:${port}`, user: USER, password: PASSWORD };
  const { call, close } = makeRpc(login);
  const miner = makeMiner(call);
  const child = await startChild({
    name: 'bitcoind',
    program: bitcoindExe,
    dir,
    logFile,
    args: [
      '-regtest',
      '-server',
      '-listen=0',
      '-disablewallet',
      '-printtoconsole',
      `-datadir=${dir}`,
      '-rpcbind=127.0.0.1',
      '-rpcallowip=127.0.0.1/32',
      `-rpcport=${port}`,
      `-rpcuser=${USER}`,
      `-rpcpassword=${PASSWORD}`,
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
    await child.until('its JSON-RPC', async () => (await tipHeight()) >= 0);
    version = z.object({ subversion: z.string() }).parse(await call('getnetworkinfo')).subversion;
    await call('generatetoaddress', FIRST_BLOCKS, miner.address);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    software: [{ program: 'bitcoind', version, isBrought: true }],
    endpoints: { bitcoind: login },
    logFile,
    lndFlags: [
      '--bitcoin.node=bitcoind',
      `--bitcoind.rpchost=127.0.0.1:${port}`,
      `--bitcoind.rpcuser=${USER}`,
      `--bitcoind.rpcpass=${PASSWORD}`,
      '--bitcoind.rpcpolling',
      '--bitcoind.blockpollinginterval=250ms',
      '--bitcoind.txpollinginterval=1s',
    ],
    call,
    fund: (target, sats) => miner.pay(target, sats),
    mine: async (blocks) => {
      await call('generatetoaddress', blocks, miner.address);
    },
    tipHeight,
    waiting: async () => z.array(z.string()).parse(await call('getrawmempool')).length,
    freeze: (isFrozen) => {
      child.freeze(isFrozen);
    },
    stop,
  };
}
