/**
 * TCP for LDK's PeerManager. Bytes that LDK wants to send wait in an outbox until the turn is durable; a full socket
 * buffer is reported back to LDK and cleared again by "drain".
 */
import { createServer, isIPv4, Socket, type AddressInfo, type Server } from 'node:net';

import * as ldk from 'lightningdevkit';

import type { Logger } from '../../log.js';
import { bytes, flag, isOk, unwrap } from './result.js';
import type { Turns } from './turn.js';

/** Chunks LDK may queue in one turn before it is told that the buffer is full. */
const MAX_OUTBOX = 64;
/** Time for the last bytes of a connection that LDK ended. */
const CLOSE_MS = 5000;

type Connection = {
  readonly socket: Socket;
  readonly descriptor: ldk.SocketDescriptor;
  /** Queues bytes that LDK handed over as a return value. */
  push(data: Uint8Array): void;
  /** Closes after the turn's bytes are out. */
  close(): void;
  /** Writes what the turn queued. */
  flush(): void;
};

export type Transport = {
  listen(host: string, port: number): Promise<number>;
  /** Resolves when TCP is up, which `signal` limits; the peer is usable once LDK lists it. */
  connect(host: string, port: number, nodeId: string, signal: AbortSignal): Promise<Socket>;
  /** Lets the bytes of the turn out. */
  readonly flush: () => void;
  stop(): Promise<void>;
};

/** Sockets of one PeerManager. */
export function makeTransport(peers: ldk.PeerManager, turns: Turns, log: Logger): Transport {
  const connections = new Set<Connection>();
  const servers: Server[] = [];
  let nextId = 1n;

  const enter = (body: () => void): void => {
    if (!turns.isStopped()) turns.run(body);
  };

  const attach = (socket: Socket): Connection => {
    const connection: Connection = makeConnection(socket, nextId++, turns, () => {
      enter(() => {
        if (!isOk(peers.write_buffer_space_avail(connection.descriptor))) connection.close();
      });
    });
    connections.add(connection);
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      enter(() => {
        const result = peers.read_event(connection.descriptor, data);
        if (!isOk(result)) connection.close();
        else if (flag(unwrap(result, ldk.Result_boolPeerHandleErrorZ_OK, 'read_event'))) socket.pause();
      });
    });
    socket.on('error', (error) => {
      log.debug({ err: error }, 'socket');
    });
    socket.on('close', () => {
      connections.delete(connection);
      enter(() => {
        peers.socket_disconnected(connection.descriptor);
      });
    });
    return connection;
  };

  return {
    async listen(host, port) {
      const server = createServer((socket) => {
        const connection = attach(socket);
        enter(() => {
          if (!isOk(peers.new_inbound_connection(connection.descriptor, addressOf(socket)))) connection.close();
        });
      });
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      });
      return (server.address() as AddressInfo).port;
    },
    async connect(host, port, nodeId, signal) {
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
      const connection = attach(socket);
      enter(() => {
        const result = peers.new_outbound_connection(bytes(nodeId), connection.descriptor, addressOf(socket));
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
      await Promise.all(
        servers.map(
          (server) =>
            new Promise<void>((resolve) => {
              server.close(() => {
                resolve();
              });
            }),
        ),
      );
    },
  };
}

function makeConnection(socket: Socket, id: bigint, turns: Turns, spaceAvailable: () => void): Connection {
  let outbox: Uint8Array[] = [];
  let isFull = false; // the socket's own buffer
  let wasRefused = false; // LDK was told 0 and waits for write_buffer_space_avail()
  let isClosing = false;
  let isEnded = false;

  const retry = (): void => {
    if (!wasRefused || isFull) return;
    wasRefused = false;
    setImmediate(spaceAvailable);
  };
  socket.on('drain', () => {
    isFull = false;
    retry();
  });
  const descriptor = ldk.SocketDescriptor.new_impl({
    send_data: (data, mayResume) =>
      turns.guarded('send_data', () => {
        if (flag(mayResume)) socket.resume();
        if (isFull || outbox.length >= MAX_OUTBOX) {
          wasRefused = true;
          return 0;
        }
        outbox.push(data);
        return data.length;
      }),
    disconnect_socket: () => {
      isClosing = true;
    },
    eq: (other) => other.hash() === id,
    hash: () => id,
  });
  return {
    socket,
    descriptor,
    push: (data) => {
      outbox.push(data);
    },
    close: () => {
      isClosing = true;
    },
    flush: () => {
      const chunks = outbox;
      outbox = [];
      for (const chunk of chunks) if (!socket.write(chunk)) isFull = true;
      retry();
      if (!isClosing || isEnded) return;
      isEnded = true;
      socket.end(() => socket.destroy());
      setTimeout(() => socket.destroy(), CLOSE_MS).unref();
    },
  };
}

function addressOf(socket: Socket): ldk.Option_SocketAddressZ {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined || !isIPv4(remoteAddress)) {
    return ldk.Option_SocketAddressZ.constructor_none();
  }
  const octets = Uint8Array.from(remoteAddress.split('.').map(Number));
  return ldk.Option_SocketAddressZ.constructor_some(ldk.SocketAddress.constructor_tcp_ip_v4(octets, remotePort));
}
