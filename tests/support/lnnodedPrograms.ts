/** The sandbox's Bitcoin chain and lnnoded as programs of a stage. */
import { existsSync, readFileSync } from 'node:fs';

import { hex, pubkey, type Pubkey } from '../../src/core/units.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import { onFreePort } from './freePort.js';
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
  };
}

/** A starter of lnnoded that follows the chain in this way. */
export const lnnodedOn =
  (source: keyof ChainProgram['endpoints']) =>
  async ({ name, dir, started }: Place, { endpoints }: ChainProgram): Promise<NodeProgram> => {
    const { bitcoind, esplora } = endpoints;
    const options = { dir, bitcoind, esplora: source === 'esplora' ? esplora : undefined };
    let hangUp = (): void => undefined;
    const program = await onFreePort(async (p2pPort) => {
      const attempt = new LnnodedProcess({ ...options, p2pPort, env: { LNNODED_LOG__LEVEL: 'debug' } });
      started({
        log: () => (existsSync(attempt.logFile) ? readFileSync(attempt.logFile, 'utf8') : ''),
        stop: async () => {
          hangUp();
          await attempt.stop('SIGKILL');
        },
      });
      await attempt.start();
      return attempt;
    });
    const { ready, tokenFile } = program;
    const port = connectLnnoded({ address: ready.grpc, tokenFile, log: createLogger('test', 'silent') });
    const { client, close } = program.connect();
    hangUp = () => {
      port.close();
      close();
    };
    return {
      name,
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
    };
  };
