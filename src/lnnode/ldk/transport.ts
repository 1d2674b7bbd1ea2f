/** TCP for LDK's PeerManager: accepts, dials, and keeps strangers from taking all the room. */
import { createServer, isIPv4, Socket, type AddressInfo, type Server } from 'node:net';

import * as ldk from 'lightningdevkit';

import type { Pubkey } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { Links } from '../links.js';
import { makeConnection, makePlugs, type Connection, type Verdict } from './connection.js';
import { bytes, flag, isOk, unwrap } from './result.js';
import type { Turns } from './turn.js';

/** Connections that others opened. One more pushes out the oldest without a handshake, or the oldest stranger. */
const MAX_INBOUND = 100;

export type Transport = {
  listen(host: string, port: number): Promise<number>;
  /** Resolves when TCP is up, which `signal` limits; the peer is usable once LDK lists it. */
  connect(host: string, port: number, nodeId: string, signal: AbortSignal): Promise<Socket>;
  /** Lets the bytes of the turn out. */
  readonly flush: () => void;
  stop(): Promise<void>;
};

export type TransportParts = {
  readonly peers: ldk.PeerManager;
  readonly turns: Turns;
  readonly links: Links;
  /** True for peers with channels, which no stranger pushes out. Called inside a turn. */
  readonly hasChannels: (nodeId: Pubkey) => boolean;
  readonly log: Logger;
};

/** Sockets of one PeerManager. */
export function makeTransport({ peers, turns, links, hasChannels, log }: TransportParts): Transport {
  const connections = new Set<Connection>();
  const inbound = new Set<Connection>();
  const servers: Server[] = [];
  const plugs = makePlugs(turns);

  const enter = (body: () => void): void => {
    if (!turns.isStopped()) turns.run(body);
  };

  const attach = (socket: Socket) => {
    const plug = plugs.take();
    const { descriptor } = plug;
    const connection: Connection = makeConnection({
      socket,
      plug,
      enter,
      read: (slice): Verdict => {
        const result = links.reading(connection, () => peers.read_event(descriptor, slice));
        if (!isOk(result)) return 'end';
        return flag(unwrap(result, ldk.Result_boolPeerHandleErrorZ_OK, 'read_event')) ? 'pause' : 'more';
      },
      spaceAvailable: () => {
        if (!isOk(peers.write_buffer_space_avail(descriptor))) connection.close();
      },
    });
    connections.add(connection);
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      log.debug({ err: error }, 'socket');
    });
    socket.on('close', () => {
      connections.delete(connection);
      inbound.delete(connection);
      enter(() => {
        peers.socket_disconnected(descriptor);
      });
      plugs.giveBack(plug);
    });
    return { connection, descriptor };
  };

  /** Frees a place among the inbound connections; false if all of them are peers with channels. */
  const makeRoom = (): boolean => {
    if (inbound.size < MAX_INBOUND) return true;
    const all = [...inbound].map((connection) => ({ connection, nodeId: links.peerOf(connection) }));
    const victim =
      all.find(({ nodeId }) => nodeId === undefined) ??
      all.find(({ nodeId }) => nodeId !== undefined && !hasChannels(nodeId));
    if (victim === undefined) return false;
    inbound.delete(victim.connection);
    victim.connection.socket.destroy();
    return true;
  };

  const accept = (socket: Socket): void => {
    enter(() => {
      if (!makeRoom()) {
        socket.destroy();
        return;
      }
      const { connection, descriptor } = attach(socket);
      inbound.add(connection);
      if (!isOk(peers.new_inbound_connection(descriptor, addressOf(socket)))) connection.close();
    });
  };

  return {
    async listen(host, port) {
      const server = createServer(accept);
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      });
      server.on('error', (error) => {
        log.warn({ err: error }, 'cannot accept'); // e.g. no file descriptor left
      });
      return (server.address() as AddressInfo).port;
    },
    async connect(host, port, nodeId, signal) {
      const socket = await dial(host, port, signal);
      const { connection, descriptor } = attach(socket);
      enter(() => {
        const result = peers.new_outbound_connection(bytes(nodeId), descriptor, addressOf(socket));
        if (!isOk(result)) connection.close();
        else connection.push(unwrap(result, ldk.Result_CVec_u8ZPeerHandleErrorZ_OK, 'handshake'));
      });
      return socket;
    },
    flush: () => {
      for (const connection of connections) connection.flush();
    },
    async stop() {
      enter(() => {
        peers.disconnect_all_peers();
      });
      for (const { socket } of connections) socket.destroy();
      await Promise.all(servers.map(closed));
    },
  };
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });

async function dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = new Socket();
  const abort = (): void => {
    socket.destroy(new Error('timed out'));
  };
  signal.addEventListener('abort', abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, host, resolve);
    });
  } finally {
    signal.removeEventListener('abort', abort); // it limits the connecting, not the connection
  }
  return socket;
}

function addressOf(socket: Socket): ldk.Option_SocketAddressZ {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined || !isIPv4(remoteAddress)) {
    return ldk.Option_SocketAddressZ.constructor_none();
  }
  const octets = Uint8Array.from(remoteAddress.split('.').map(Number));
  return ldk.Option_SocketAddressZ.constructor_some(ldk.SocketAddress.constructor_tcp_ip_v4(octets, remotePort));
}
