/** lnnoded as a node of the port's contract beside others, on a real chain. */
import { existsSync, readFileSync } from 'node:fs';

import { hex, pubkey } from '../../../src/core/units.js';
import { ChannelState } from '../../../src/gen/lnnode/v1/lnnode.js';
import { lastingPort } from '../freePort.js';
import { attach, LOW_FEES } from '../lnnodedLife.js';
import { LnnodedProcess } from '../lnnodedProcess.js';
import { LNNODED, lnnodedExtras } from '../lnnodedPortWorld.js';
import type { Place } from '../programStage.js';
import type { FullNode } from './fullNode.js';
import type { PortProgram } from './portProgram.js';

const idBytes = (nodeId: string): Buffer => Buffer.from(nodeId, 'hex');

export async function startLnnodedPortNode(
  { dir, started }: Place,
  { endpoints: { bitcoind } }: FullNode,
): Promise<PortProgram> {
  const p2pPort = await lastingPort();
  const program = new LnnodedProcess({ dir, bitcoind, more: LOW_FEES, p2pPort, env: { LNNODED_LOG__LEVEL: 'debug' } });
  let hangUp = (): void => undefined;
  started({
    log: () => (existsSync(program.logFile) ? readFileSync(program.logFile, 'utf8') : ''),
    stop: async () => {
      hangUp();
      await program.stop('SIGKILL');
    },
  });
  await program.start();
  let life = attach(program);
  hangUp = () => {
    life.hangUp();
  };
  const { ldkVersion } = await life.client.getNodeInfo({});
  const channels = async () => (await life.client.listChannels({})).channels;
  return {
    software: [{ program: 'LDK', version: ldkVersion }],
    traits: LNNODED,
    nodeId: pubkey(program.ready.node_id),
    get port() {
      return life.port;
    },
    peerAddress: program.ready.p2p,
    ...lnnodedExtras(program, () => life.client),
    newAddress: async () => (await life.client.newAddress({})).address,
    confirmedSats: async () => (await life.client.walletBalance({})).confirmedSats,
    connect: async ({ nodeId, peerAddress: address }) => {
      await life.client.connectPeer({ nodeId: idBytes(nodeId), address });
    },
    openChannel: async ({ nodeId }, capacitySats, pushMsat) => {
      await life.client.openChannel({ nodeId: idBytes(nodeId), capacitySats, pushMsat });
    },
    canReach: async ({ nodeId }) => {
      const open = (await channels()).filter(({ state }) => state !== ChannelState.SWEEPING);
      const own = open.filter((channel) => hex(channel.nodeId) === nodeId);
      return own.length > 0 && own.every(({ isUsable }) => isUsable);
    },
    knowsChannel: () => Promise.resolve(true), // it pays over its own channels and the hints of invoices
    forgetFailures: () => Promise.resolve(),
    halt: (signal) => {
      hangUp();
      return program.stop(signal);
    },
    resume: async () => {
      await program.start();
      life = attach(program);
    },
    freeze: (isFrozen) => {
      program.freeze(isFrozen);
    },
  };
}
