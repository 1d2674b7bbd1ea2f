/** The sandbox's Bitcoin chain and lnnoded as programs of a stage. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { hex, pubkey, type Pubkey } from '../../src/core/units.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import type { ChainProgram, NodeProgram } from './channelPayment.js';
import { onFreePort } from './freePort.js';
import { LnnodedProcess } from './lnnodedProcess.js';
import { startRegtestServer } from './regtestServer.js';

/** btcd's own estimate on an almost empty chain is more than a hundred sat/vB. */
const CONFIG = '[fees]\nceiling_sat_per_kvb = 10_000\n';

const idBytes = (nodeId: Pubkey): Buffer => Buffer.from(nodeId, 'hex');

/** In this process. */
export async function startSandboxChain(): Promise<ChainProgram> {
  const server = await startRegtestServer();
  const { chain, login } = server;
  return {
    name: 'the Bitcoin chain',
    login,
    fund: (address, sats) => {
      chain.faucet(address, sats);
      return Promise.resolve();
    },
    mine: (blocks) => {
      chain.mine(blocks);
      return Promise.resolve();
    },
    tipHeight: () => Promise.resolve(chain.tip.height),
    waiting: () => Promise.resolve(chain.mempoolTxids().length),
    log: () => `in this process; tip ${chain.tip.height}`,
    stop: () => server.close(),
  };
}

/** Starts lnnoded in a folder of its own under `dir`. */
export async function startLnnoded(dir: string, name: string, { login }: ChainProgram): Promise<NodeProgram> {
  const env = { LNNODED_LOG__LEVEL: 'debug' };
  const options = { dir: join(dir, name), bitcoind: login, env, more: CONFIG };
  const program = await onFreePort(async (p2pPort) => {
    const attempt = new LnnodedProcess({ ...options, p2pPort });
    await attempt.start();
    return attempt;
  });
  const { tokenFile, logFile } = program;
  const attach = () => ({
    port: connectLnnoded({ address: program.ready.grpc, tokenFile, log: createLogger('test', 'silent') }),
    ...program.connect(),
  });
  let life = attach();
  const detach = (): void => {
    life.port.close();
    life.close();
  };
  const channelsWith = async ({ nodeId }: NodeProgram) =>
    (await life.client.listChannels({})).channels.filter((channel) => hex(channel.nodeId) === nodeId);
  return {
    name: `lnnoded ${name}`,
    nodeId: pubkey(program.ready.node_id),
    get port() {
      return life.port;
    },
    peerAddress: program.ready.p2p,
    newAddress: async () => (await life.client.newAddress({})).address,
    confirmedSats: async () => (await life.client.walletBalance({})).confirmedSats,
    connect: async ({ nodeId, peerAddress: address }) => {
      await life.client.connectPeer({ nodeId: idBytes(nodeId), address });
    },
    openChannel: async ({ nodeId }, capacitySats) => {
      await life.client.openChannel({ nodeId: idBytes(nodeId), capacitySats });
    },
    hasUsableChannel: async (peer) => (await channelsWith(peer)).some(({ isUsable }) => isUsable),
    closeChannel: async (peer) => {
      for (const { channelId } of await channelsWith(peer)) await life.client.closeChannel({ channelId });
    },
    restart: async (signal) => {
      detach();
      await program.stop(signal);
      await program.start();
      life = attach();
    },
    log: () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''),
    stop: async () => {
      detach();
      await program.stop('SIGKILL');
    },
  };
}
