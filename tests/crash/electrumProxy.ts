/** Stands between swapd and the Electrum server and loses the connection at a broadcast, if it is told to. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { z } from 'zod';

/** What happens to one broadcast. `cut_before`: the server never sees it. `cut_after`: only its answer is lost. */
export type BroadcastFate = 'forward' | 'cut_before' | 'cut_after';

export type ElectrumProxy = {
  readonly url: string;
  /** Decides about every broadcast from now on; without it they are forwarded. */
  onBroadcast: (() => BroadcastFate | Promise<BroadcastFate>) | undefined;
  /** While true nobody is served: connections are cut, and new ones too. */
  readonly setAway: (isAway: boolean) => void;
  readonly close: () => void;
};

const NEWLINE = 0x0a;
/** The answer to what was forwarded must not slip through before the connection is cut. */
const CUT_AFTER_MS = 100;

const requestSchema = z.object({ method: z.string() });

const isBroadcast = (line: string): boolean =>
  requestSchema.parse(JSON.parse(line)).method === 'blockchain.transaction.broadcast';

/** Passes complete lines on, one after the other. */
function eachLine(socket: Socket, onLine: (line: string) => Promise<void>): void {
  let rest = Buffer.alloc(0);
  let queue = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      const line = rest.subarray(0, end).toString('utf8');
      rest = rest.subarray(end + 1);
      queue = queue
        .then(() => onLine(line))
        .catch(() => {
          socket.destroy();
        });
    }
  });
}

/** Listens on a free port of the loopback. */
export async function startElectrumProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<ElectrumProxy> {
  const sockets = new Set<Socket>();
  let isAway = false;
  const serve = (client: Socket): void => {
    if (isAway) {
      client.destroy();
      return;
    }
    const server = connect(target.port, target.host);
    const cut = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    let isDeaf = false;
    server.on('data', (chunk: Buffer) => {
      if (!isDeaf) client.write(chunk);
    });
    eachLine(client, async (line) => {
      const fate = isBroadcast(line) ? ((await proxy.onBroadcast?.()) ?? 'forward') : 'forward';
      if (fate === 'cut_before') cut();
      if (server.destroyed) return;
      isDeaf ||= fate === 'cut_after';
      server.write(`${line}\n`);
      if (fate === 'cut_after') setTimeout(cut, CUT_AFTER_MS);
    });
  };
  const listener = createServer(serve);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const proxy: ElectrumProxy = {
    url: `tcp://127.0.0.1:${port}`,
    onBroadcast: undefined,
    setAway: (away) => {
      isAway = away;
      if (away) for (const socket of sockets) socket.destroy();
    },
    close: () => {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return proxy;
}
