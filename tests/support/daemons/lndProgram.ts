/** lnd as a program of a stage. */
import { addPeer, closeChannel, createChainAddress, getChainBalance, getChannels, openChannel } from 'lightning';

import { connectLnd } from '../../../src/lightning/lnd.js';
import type { LightningNode } from '../../../src/lightning/node.js';
import { createLogger } from '../../../src/log.js';
import { OURS } from '../interoperability.js';
import type { NodeProgram, Place } from '../programStage.js';
import { tailOf } from './child.js';
import { startFeeServer } from './feeServer.js';
import type { FullNode } from './fullNode.js';
import { LndProcess } from './lnd.js';

const LOG_LINES = 200;
/** What the port needs for selling and buying. */
const PERMISSIONS = ['info:read', 'invoices:read', 'invoices:write', 'offchain:read', 'offchain:write'];

/** With the process, for what a program or a person does with lnd itself. */
export type LndProgram = NodeProgram & { readonly process: LndProcess };

/** A running lnd, and the port with a macaroon of its own. */
type LaunchedLnd = { readonly program: LndProcess; readonly port: LightningNode };

/**
 * Starts lnd with a fee server.
 *
 * @param bake makes the port's macaroon. @returns its file
 * @param more flags of lnd
 */
export async function launchLnd(
  { name, dir, started }: Place,
  chain: FullNode,
  bake: (program: LndProcess) => Promise<string>,
  more: readonly string[] = [],
): Promise<LaunchedLnd> {
  const fees = await startFeeServer();
  const program = new LndProcess({ dir, name, chain, feeUrl: fees.url, more });
  let hangUp = (): void => undefined;
  started({
    log: () => tailOf(program.logFile, LOG_LINES),
    stop: async () => {
      hangUp();
      await program.stop('SIGKILL');
      await fees.close();
    },
  });
  await program.start();
  const macaroonFile = await bake(program);
  const { rpcAddress: address, tlsCertFile } = program;
  const port = connectLnd({ address, tlsCertFile, macaroonFile, log: createLogger('test', 'silent') });
  hangUp = () => {
    port.close();
  };
  return { program, port };
}

/** lnd with a fee server, as a program of a stage. */
export async function startLnd(place: Place, chain: FullNode): Promise<LndProgram> {
  const { program, port } = await launchLnd(place, chain, (lnd) => lnd.bakeMacaroon(PERMISSIONS));
  const { lnd } = program;
  const channelsWith = async (peer: NodeProgram) =>
    (await getChannels({ lnd })).channels.filter(({ partner_public_key: id }) => id === peer.nodeId);
  return {
    name: place.name,
    process: program,
    ours: [OURS.lnd],
    software: [program.software],
    nodeId: program.nodeId,
    port,
    peerAddress: program.peerAddress,
    newAddress: async () => (await createChainAddress({ lnd, format: 'p2wpkh' })).address,
    confirmedSats: async () => BigInt((await getChainBalance({ lnd })).chain_balance),
    connect: async ({ nodeId, peerAddress }) => {
      await addPeer({ lnd, public_key: nodeId, socket: peerAddress });
    },
    openChannel: async ({ nodeId }, capacitySats) => {
      const request = { local_tokens: Number(capacitySats), partner_public_key: nodeId, is_private: true };
      await openChannel({ lnd, ...request });
    },
    hasUsableChannel: async (peer) => (await channelsWith(peer)).some(({ is_active: isActive }) => isActive),
    closeChannel: async (peer) => {
      for (const { transaction_id, transaction_vout } of await channelsWith(peer)) {
        await closeChannel({ lnd, transaction_id, transaction_vout });
      }
    },
    restart: (signal) => program.restart(signal),
  };
}
