/** Connections to peers: on request, and again by itself after a restart or a lost connection. */
import type { Socket } from 'node:net';

import type { Pubkey } from '../core/units.js';
import { errorChain } from '../errors.js';
import type { Logger } from '../log.js';
import { NodeError } from './errors.js';
import type { Transport } from './ldk/transport.js';
import type { Turns } from './ldk/turn.js';
import type { PeerRows } from './store/peers.js';

const CONNECT_TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 100;
const RETRY_FACTOR = 1.5;
const MAX_RETRY_MS = 10_000;

export type PeerBookParts = {
  readonly rows: PeerRows;
  readonly turns: Turns;
  readonly transport: Transport;
  readonly isConnected: (nodeId: Pubkey) => boolean;
  readonly log: Logger;
};

export type PeerBook = ReturnType<typeof makePeerBook>;

type Retry = { delayMs: number; timer: NodeJS.Timeout | undefined };

/** The address book of one node. */
export function makePeerBook({ rows, turns, transport, isConnected, log }: PeerBookParts) {
  const addresses = new Map<Pubkey, string>(rows.all().map(({ nodeId, address }) => [nodeId, address]));
  const retries = new Map<Pubkey, Retry>();
  const waiting = new Map<string, Set<() => void>>();

  const dial = async (nodeId: Pubkey, address: string): Promise<void> => {
    const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    const { host, port } = hostPort(address);
    let socket: Socket;
    try {
      socket = await transport.connect(host, port, nodeId, signal);
    } catch (cause) {
      throw new NodeError('peer_unreachable', `peer ${address}: ${errorChain(cause)}`, { cause });
    }
    await handshake(nodeId, address, socket, signal);
  };

  const handshake = (nodeId: Pubkey, address: string, socket: Socket, signal: AbortSignal): Promise<void> => {
    if (isConnected(nodeId)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const set = waiting.get(nodeId) ?? new Set();
      waiting.set(nodeId, set);
      const up = (): void => {
        set.delete(up);
        resolve();
      };
      const down = (): void => {
        set.delete(up);
        if (isConnected(nodeId))
          resolve(); // the peer dialled us at the same moment
        else reject(new NodeError('peer_unreachable', `peer ${address}: no handshake as ${nodeId}`));
      };
      set.add(up);
      socket.once('close', down);
      signal.addEventListener('abort', () => {
        if (set.has(up)) socket.destroy();
      });
    });
  };

  const redial = (nodeId: Pubkey): void => {
    const address = addresses.get(nodeId);
    if (address === undefined || turns.isStopped()) return;
    const retry = retries.get(nodeId) ?? { delayMs: FIRST_RETRY_MS, timer: undefined };
    retries.set(nodeId, retry);
    if (retry.timer !== undefined) return;
    const jitter = 0.75 + Math.random() / 2;
    retry.timer = setTimeout(() => {
      retry.timer = undefined;
      retry.delayMs = Math.min(retry.delayMs * RETRY_FACTOR, MAX_RETRY_MS);
      if (isConnected(nodeId)) return;
      dial(nodeId, address).catch((error: unknown) => {
        log.debug({ err: error, nodeId }, 'reconnect');
        redial(nodeId);
      });
    }, retry.delayMs * jitter);
  };

  return {
    /** Connects and keeps the address. @throws NodeError `peer_unreachable` */
    connect: async (nodeId: Pubkey, address: string): Promise<void> => {
      if (!isConnected(nodeId)) await dial(nodeId, address);
      addresses.set(nodeId, address);
      turns.run(() => {
        rows.put(nodeId, address);
      });
    },
    addressOf: (nodeId: Pubkey): string => addresses.get(nodeId) ?? '',
    /** LDK says that a peer came or went; called after the turn. */
    peerChanged: (nodeId: Pubkey, isUp: boolean): void => {
      if (!isUp) {
        redial(nodeId);
        return;
      }
      retries.delete(nodeId);
      for (const wake of waiting.get(nodeId) ?? []) wake();
    },
    /** Dials every peer of the book. */
    start: (): void => {
      for (const nodeId of addresses.keys()) redial(nodeId);
    },
    stop: (): void => {
      for (const { timer } of retries.values()) clearTimeout(timer);
    },
  };
}

/** Splits `host:port`. @throws NodeError `invalid_argument` */
function hostPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = Number(address.slice(colon + 1));
  if (colon < 1 || host === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new NodeError('invalid_argument', `address: expected host:port, found ${JSON.stringify(address)}`);
  }
  return { host, port };
}
