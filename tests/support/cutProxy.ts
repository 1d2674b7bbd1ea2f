/** A TCP proxy in front of a server of the world: its connections can be cut, and new ones refused, while the server lives on. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export type CutProxy = {
  /** host:port */
  readonly address: string;
  /** From now on nobody gets through. */
  readonly cut: () => void;
  readonly close: () => void;
};

/** Listens on a free port of the loopback. @param address host:port of the server. */
export async function startCutProxy(address: string): Promise<CutProxy> {
  const [host = '', port = ''] = address.split(':');
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(Number.parseInt(port, 10), host);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    close: () => {
      cut();
      server.close();
    },
  };
}
