/** The sandbox's Bitcoin chain and lnnoded as programs of the channel-payment scenario. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { hex, pubkey, type Pubkey } from '../../src/core/units.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import type { ChainProgram, ChannelPaymentStage, NodeProgram } from './channelPayment.js';
import { onFreePort } from './freePort.js';
import { LnnodedProcess } from './lnnodedProcess.js';
import { startRegtestServer, type RegtestServer } from './regtestServer.js';

const idBytes = (nodeId: Pubkey): Buffer => Buffer.from(nodeId, 'hex');

function sandboxChain(server: RegtestServer): ChainProgram {
  const { chain } = server;
  return {
    name: 'the Bitcoin chain',
    fund: (address, sats) => {
      chain.faucet(address, sats);
      return Promise.resolve();
    },
    mine: (blocks) => {
      chain.mine(blocks);
      return Promise.resolve();
    },
    tipHeight: () => Promise.resolve(chain.tip.height),
    log: () => `in this process; tip ${chain.tip.height}`,
    stop: () => server.close(),
  };
}

/** Starts lnnoded with a folder of its own. */
async function startLnnoded(dir: string, name: string, server: RegtestServer): Promise<NodeProgram> {
  const env = { LNNODED_LOG__LEVEL: 'debug' };
  const options = { dir: join(dir, name), bitcoind: server.login, env };
  const program = await onFreePort(async (p2pPort) => {
    const attempt = new LnnodedProcess({ ...options, p2pPort });
    await attempt.start();
    return attempt;
  });
  const { ready, tokenFile, logFile } = program;
  const port = connectLnnoded({ address: ready.grpc, tokenFile, log: createLogger('test', 'silent') });
  const { client, close } = program.connect();
  return {
    name: `lnnoded ${name}`,
    nodeId: pubkey(ready.node_id),
    port,
    peerAddress: ready.p2p,
    newAddress: async () => (await client.newAddress({})).address,
    confirmedSats: async () => (await client.walletBalance({})).confirmedSats,
    connect: async ({ nodeId, peerAddress: address }) => {
      await client.connectPeer({ nodeId: idBytes(nodeId), address });
    },
    openChannel: async ({ nodeId }, capacitySats) => {
      await client.openChannel({ nodeId: idBytes(nodeId), capacitySats });
    },
    hasUsableChannel: async ({ nodeId }) => {
      const { channels } = await client.listChannels({});
      return channels.some((channel) => channel.isUsable && hex(channel.nodeId) === nodeId);
    },
    log: () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''),
    stop: async () => {
      port.close();
      close();
      await program.stop('SIGKILL');
    },
  };
}

/** Everything from nothing. `close` ends it; with `KEEP_E2E=1` the folders stay and are named. */
export async function startLnnodedStage(): Promise<ChannelPaymentStage & { close: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'channel-payment-'));
  const server = await startRegtestServer();
  const chain = sandboxChain(server);
  const started: { stop(): Promise<void> }[] = [chain];
  const close = async (): Promise<void> => {
    for (const program of started.reverse()) await program.stop();
    if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  };
  try {
    const payer = await startLnnoded(dir, 'payer', server);
    started.push(payer);
    const payee = await startLnnoded(dir, 'payee', server);
    started.push(payee);
    return { chain, payer, payee, close };
  } catch (error) {
    await close();
    throw error;
  }
}
