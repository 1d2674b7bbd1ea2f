/** The sandbox's Bitcoin chain and lnnoded as programs of a stage. */
import { existsSync, readFileSync } from 'node:fs';

import { hex, pubkey, type Pubkey } from '../../src/core/units.js';
import { onFreePorts } from './freePort.js';
import { OURS } from './interoperability.js';
import { attach, LOW_FEES } from './lnnodedLife.js';
import { LnnodedProcess } from './lnnodedProcess.js';
import type { ChainProgram, NodeProgram, Place } from './programStage.js';
import { startRegtestServer } from './regtestServer.js';

const idBytes = (nodeId: Pubkey): Buffer => Buffer.from(nodeId, 'hex');

/** The sandbox's chain; it runs in this process. */
export async function startSandboxChain({ started }: Place): Promise<ChainProgram> {
  const server = await startRegtestServer();
  const { chain } = server;
  started({ log: () => `in this process; tip ${chain.tip.height}`, stop: () => server.close() });
  return {
    software: [],
    endpoints: { bitcoind: server.login, esplora: server.esplora },
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
  };
}

/** With the process, for what a program does with lnnoded itself. */
export type LnnodedProgram = NodeProgram & { readonly process: LnnodedProcess };

/** Keys of its configuration as environment variables. */
type Settings = Readonly<Record<string, string>>;

/** A starter of lnnoded that follows the chain in this way; it tells much, unless it is asked to be quiet. */
export const lnnodedOn =
  (source: keyof ChainProgram['endpoints'], logLevel: 'debug' | 'info' = 'debug', more: Settings = {}) =>
  async ({ name, dir, started }: Place, { endpoints }: ChainProgram): Promise<LnnodedProgram> => {
    const { bitcoind, esplora } = endpoints;
    if (source === 'esplora' && esplora === undefined) throw new Error('the chain has no Esplora API');
    const options = { dir, bitcoind, esplora: source === 'esplora' ? esplora : undefined, more: LOW_FEES };
    let hangUp = (): void => undefined;
    const program = await onFreePorts(
      async (p2pPort, grpcPort) => {
        const env = { ...more, LNNODED_LOG__LEVEL: logLevel, LNNODED_GRPC__LISTEN: `127.0.0.1:${grpcPort}` };
        const attempt = new LnnodedProcess({ ...options, p2pPort, env });
        started({
          log: () => (existsSync(attempt.logFile) ? readFileSync(attempt.logFile, 'utf8') : ''),
          stop: async () => {
            hangUp();
            await attempt.stop('SIGKILL');
          },
        });
        await attempt.start();
        return attempt;
      },
      () => true,
    );
    let life = attach(program);
    hangUp = () => {
      life.hangUp();
    };
    const channelsWith = async ({ nodeId }: NodeProgram) =>
      (await life.client.listChannels({})).channels.filter((channel) => hex(channel.nodeId) === nodeId);
    const { ldkVersion: version } = await life.client.getNodeInfo({});
    return {
      name,
      process: program,
      ours: [OURS.lnnoded],
      software: [{ program: 'LDK', version }],
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
        hangUp();
        await program.stop(signal);
        await program.start();
        life = attach(program);
      },
    };
  };
