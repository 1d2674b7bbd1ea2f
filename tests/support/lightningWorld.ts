/** Real lnnoded processes over an in-process Bitcoin regtest chain, with real channels. */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import {
  displayHex,
  msat,
  paymentHash as paymentHashOf,
  preimage as preimageOf,
  type PaymentHash,
  type Preimage,
} from '../../src/core/units.js';
import { ChannelState, type LightningNodeServiceDefinition } from '../../src/gen/lnnode/v1/lnnode.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import type { HoldInvoiceRequest, LightningNode } from '../../src/lightning/node.js';
import { createLogger } from '../../src/log.js';
import type { BitcoinChain } from '../../src/sandbox/bitcoin/chain.js';
import type { Client } from 'nice-grpc';
import { isOnEsplora } from './chainSource.js';
import { eventually } from './eventually.js';
import { LnnodedProcess } from './lnnodedProcess.js';
import { startRegtestServer, type RegtestServer } from './regtestServer.js';
import { makeTempDir } from './tempDir.js';

/** Also for a hundred blocks on a busy machine. */
const CAUGHT_UP_MS = 60_000;

type NodeClient = Client<typeof LightningNodeServiceDefinition>;

/** One running node: the process, the port under test, and the plain client for what the port does not offer. */
export type Peer = {
  readonly process: LnnodedProcess;
  port: LightningNode;
  client: NodeClient;
};

type ChannelOptions = {
  readonly from: string;
  readonly to: string;
  readonly capacitySats: bigint;
  readonly pushMsat?: bigint;
  readonly isAnnounced?: boolean;
};

export type LightningWorld = {
  readonly chain: BitcoinChain;
  peer(name: string): Peer;
  /** Starts one more node; it knows nothing of the chain below the tip. */
  add(name: string): Promise<void>;
  /** Opens a channel and waits until both sides can use it. */
  openChannel(options: ChannelOptions): Promise<void>;
  /** Ends a node the way of the signal. @returns its exit code, null if the signal ended it. */
  halt(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
  /** Starts a halted node again. */
  resume(name: string): Promise<void>;
  /** Ends a node the way of the signal and starts it again. */
  restart(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Waits until every channel of every running node is usable. */
  allUsable(): Promise<void>;
  /** Waits until the running nodes are at the tip. */
  caughtUp(): Promise<unknown>;
  /** Mines and waits until the nodes have seen it. */
  mine(blocks: number): Promise<void>;
  close(): Promise<void>;
};

const idOf = (peer: Peer): Buffer => Buffer.from(peer.process.ready.node_id, 'hex');

type WorldOptions = {
  /** Chain source of a node, made once the chain is served; a full node or, if the environment says so, Esplora. */
  readonly esplora?: ((name: string, server: RegtestServer) => Promise<string | undefined>) | undefined;
  /** More lines of configuration of a node. */
  readonly more?: ((name: string) => string | undefined) | undefined;
};

const chosenSource = (_: string, server: RegtestServer): Promise<string | undefined> =>
  Promise.resolve(isOnEsplora() ? server.esplora : undefined);

/** Starts the named nodes; `close` must be called. */
export async function startLightningWorld(
  names: readonly string[],
  { esplora = chosenSource, more }: WorldOptions = {},
): Promise<LightningWorld> {
  const dir = makeTempDir('lightning-world-');
  const server = await startRegtestServer();
  const { chain, login: bitcoind } = server;
  const peers = new Map<string, Peer>();
  const halted = new Set<string>();
  const closers = new Map<string, () => void>();
  const log = createLogger('test', 'silent');

  const attach = (process: LnnodedProcess): Omit<Peer, 'process'> & { close: () => void } => {
    const port = connectLnnoded({ address: process.ready.grpc, tokenFile: process.tokenFile, log });
    const { client, close } = process.connect();
    return {
      port,
      client,
      close: () => {
        port.close();
        close();
      },
    };
  };
  const start = async (name: string, process: LnnodedProcess): Promise<void> => {
    await process.start();
    const { port, client, close } = attach(process);
    const known = peers.get(name);
    closers.set(name, close);
    if (known === undefined) peers.set(name, { process, port, client });
    else Object.assign(known, { port, client });
  };
  const peer = (name: string): Peer => {
    const found = peers.get(name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  };
  const running = (): Peer[] => [...peers].filter(([name]) => !halted.has(name)).map(([, found]) => found);
  const halt = async (name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> => {
    closers.get(name)?.();
    halted.add(name);
    return peer(name).process.stop(signal);
  };
  const resume = async (name: string): Promise<void> => {
    await start(name, peer(name).process);
    halted.delete(name);
  };
  const caughtUp = (): Promise<unknown> =>
    Promise.all(
      running().map(({ client }) =>
        eventually(
          'nodes at the tip',
          async () => {
            const { blockHash } = await client.getNodeInfo({}).catch(() => ({ blockHash: Buffer.alloc(0) }));
            return displayHex(blockHash) === chain.tip.hash;
          },
          CAUGHT_UP_MS,
        ),
      ),
    );
  const allUsable = async (): Promise<void> => {
    for (const { client } of running()) {
      await eventually('usable channels', async () => {
        const { channels } = await client.listChannels({});
        return channels.every(({ isUsable, state }) => isUsable || state === ChannelState.SWEEPING);
      });
    }
  };
  const started: LnnodedProcess[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.values()) closer();
    await Promise.all(started.map((process) => process.stop('SIGKILL')));
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  };
  const add = async (name: string): Promise<void> => {
    const options = { dir: join(dir, name), bitcoind, esplora: await esplora(name, server), more: more?.(name) };
    const process = new LnnodedProcess(options);
    started.push(process);
    await start(name, process);
  };
  try {
    await Promise.all(names.map(add));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    chain,
    peer,
    add,
    allUsable,
    mine: async (blocks) => {
      chain.mine(blocks);
      await caughtUp();
    },
    caughtUp,
    openChannel: async ({ from, to, capacitySats, pushMsat = 0n, isAnnounced = false }) => {
      const [opener, acceptor] = [peer(from), peer(to)];
      const { address } = await opener.client.newAddress({});
      chain.faucet(address, capacitySats + 100_000n);
      chain.mine(1);
      await eventually('coins', async () => (await opener.client.walletBalance({})).confirmedSats >= capacitySats);
      await opener.client.connectPeer({ nodeId: idOf(acceptor), address: acceptor.process.ready.p2p });
      await opener.client.openChannel({ nodeId: idOf(acceptor), capacitySats, pushMsat, isAnnounced });
      chain.mine(6);
      await caughtUp();
      await eventually('the channel at the other side', async () => {
        const { channels } = await acceptor.client.listChannels({});
        return channels.some((channel) => channel.nodeId.equals(idOf(opener)));
      });
      await allUsable();
    },
    halt,
    resume,
    restart: async (name, signal) => {
      await halt(name, signal);
      await resume(name);
    },
    close,
  };
}

/** A preimage and its hash. */
export function newSecret(): { preimage: Preimage; paymentHash: PaymentHash } {
  const preimage = preimageOf(Uint8Array.from(randomBytes(32)));
  return { preimage, paymentHash: paymentHashOf(createHash('sha256').update(preimage).digest('hex')) };
}

/** A request with plausible fields. */
export const invoiceRequest = (
  paymentHash: PaymentHash,
  change: Partial<HoldInvoiceRequest> = {},
): HoldInvoiceRequest => ({
  paymentHash,
  amountMsat: msat(25_000_000n),
  descriptionHash: 'ab'.repeat(32),
  expirySecs: 600,
  minFinalCltvDelta: 42,
  label: `test/${paymentHash}`,
  ...change,
});
