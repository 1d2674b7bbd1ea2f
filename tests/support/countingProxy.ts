/** A TCP proxy that counts the lines (requests) that clients send. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export type CountingProxy = {
  readonly port: number;
  /** Lines sent by clients so far. */
  readonly lines: () => number;
  close(): Promise<void>;
};

const LINE_FEED = 0x0a;

/** Passes on to a port of 127.0.0.1; `close` must be called. */
export async function startCountingProxy(targetPort: number): Promise<CountingProxy> {
  let lines = 0;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    keep(client, upstream);
    keep(upstream, client);
    client.on('data', (chunk: Buffer) => {
      lines += chunk.reduce((count, byte) => count + Number(byte === LINE_FEED), 0);
    });
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has one
    lines: () => lines,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
