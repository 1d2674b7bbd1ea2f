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
/** A connection that ends sooner does not shorten the pause: the peer may refuse us each time. */
const STABLE_MS = 2000;

export type PeerBookParts = {
  readonly rows: PeerRows;
  readonly turns: Turns;
  readonly transport: Transport;
  readonly isConnected: (nodeId: Pubkey) => boolean;
  /** Ends a connection. Called inside a turn. */
  readonly hangUp: (nodeId: Pubkey) => void;
  /** Called inside a turn. */
  readonly hasChannels: (nodeId: Pubkey) => boolean;
  readonly log: Logger;
};

export type PeerBook = ReturnType<typeof makePeerBook>;

type Retry = { delayMs: number; upSince: number; timer: NodeJS.Timeout | undefined };

/** The address book of one node. */
export function makePeerBook({ rows, turns, transport, isConnected, hangUp, hasChannels, log }: PeerBookParts) {
  const addresses = new Map<Pubkey, string>(rows.all().map(({ nodeId, address }) => [nodeId, address]));
  const retries = new Map<Pubkey, Retry>();
  const waiting = new Map<string, Set<() => void>>();
  const dials = new Map<Pubkey, Set<AbortController>>();

  const dial = async (nodeId: Pubkey, address: string): Promise<void> => {
    const { host, port } = hostPort(address);
    const stopping = new AbortController();
    const signal = AbortSignal.any([AbortSignal.timeout(CONNECT_TIMEOUT_MS), stopping.signal]);
    const underway = dials.get(nodeId) ?? new Set();
    dials.set(nodeId, underway.add(stopping));
    try {
      const socket = await transport.connect(host, port, nodeId, signal).catch((cause: unknown) => {
        throw new NodeError('peer_unreachable', `peer ${address}: ${errorChain(cause)}`, { cause });
      });
      await handshake(nodeId, address, socket, signal);
    } finally {
      underway.delete(stopping);
      if (underway.size === 0) dials.delete(nodeId);
    }
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
      const giveUp = (): void => {
        if (set.has(up)) socket.destroy();
      };
      signal.addEventListener('abort', giveUp);
      if (signal.aborted) giveUp();
    });
  };

  const redial = (nodeId: Pubkey): void => {
    const address = addresses.get(nodeId);
    if (address === undefined || turns.isStopped()) return;
    const retry = retries.get(nodeId) ?? { delayMs: FIRST_RETRY_MS, upSince: Infinity, timer: undefined };
    retries.set(nodeId, retry);
    if (retry.timer !== undefined) return;
    if (performance.now() - retry.upSince > STABLE_MS) retry.delayMs = FIRST_RETRY_MS;
    retry.upSince = Infinity;
    const jitter = 0.75 + Math.random() / 2;
    retry.timer = setTimeout(() => {
      retry.timer = undefined;
      retry.delayMs = Math.min(retry.delayMs * RETRY_FACTOR, MAX_RETRY_MS);
      if (isConnected(nodeId) || !addresses.has(nodeId)) return;
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
    /**
     * Ends the connection, also one that is being made, and forgets the address.
     * @throws NodeError `peer_not_found`, `peer_has_channels` unless `isForced`
     */
    leave: (nodeId: Pubkey, isForced: boolean): void => {
      turns.run(() => {
        if (!isConnected(nodeId) && !addresses.has(nodeId)) {
          throw new NodeError('peer_not_found', `peer ${nodeId} is neither connected nor in the address book`);
        }
        if (!isForced && hasChannels(nodeId)) {
          throw new NodeError('peer_has_channels', `peer ${nodeId} has channels with this node`);
        }
        rows.remove(nodeId);
        addresses.delete(nodeId);
        hangUp(nodeId);
      });
      clearTimeout(retries.get(nodeId)?.timer);
      retries.delete(nodeId);
      for (const stopping of dials.get(nodeId) ?? []) stopping.abort(new Error('the peer is left'));
    },
    /** Every peer of the book. */
    nodeIds: (): Pubkey[] => [...addresses.keys()],
    addressOf: (nodeId: Pubkey): string => addresses.get(nodeId) ?? '',
    /** LDK says that a peer came or went; called after the turn. */
    peerChanged: (nodeId: Pubkey, isUp: boolean): void => {
      if (!isUp) {
        redial(nodeId);
        return;
      }
      const retry = retries.get(nodeId);
      if (retry !== undefined) retry.upSince = performance.now();
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
