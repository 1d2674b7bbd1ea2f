/** Serves a chain over Electrum's protocol: newline-separated JSON on TCP. Nothing a client sends ends the process. */
import { createServer, type AddressInfo, type Socket } from 'node:net';

import { z } from 'zod';

import type { Chain } from './chain.js';
import { callMethod, ElectrumError, headerNotice, servedStatus, type Subscriptions } from './electrumMethods.js';

/** Longest request: hex of the heaviest standard transaction, and some. */
const MAX_LINE_BYTES = 2 * 1024 * 1024;
/** A client that does not read this much of what it asked for is cut off. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;
const INVALID_REQUEST = -32600;
const INTERNAL_ERROR = -32603;

const requestSchema = z.object({
  id: z.union([z.string(), z.number(), z.null()]).default(null),
  method: z.string(),
  params: z.array(z.unknown()).default([]),
});

type Connection = { readonly socket: Socket; readonly subscriptions: Subscriptions };

/** A running server. */
export type ElectrumServer = { readonly port: number; close(): Promise<void> };

function send({ socket }: Connection, message: Readonly<Record<string, unknown>>): void {
  if (socket.destroyed) return;
  socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
}

function errorBody(error: unknown): ElectrumError['body'] {
  if (error instanceof ElectrumError) return error.body;
  return { code: INTERNAL_ERROR, message: error instanceof Error ? error.message : 'internal error' };
}

/** Answers one line; a line that is no JSON ends the connection, as in electrs. */
function answerLine(chain: Chain, connection: Connection, line: string): void {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    connection.socket.destroy();
    return;
  }
  const request = requestSchema.safeParse(json);
  if (!request.success) {
    send(connection, { id: null, error: { code: INVALID_REQUEST, message: 'invalid request' } });
    return;
  }
  const { id, method, params } = request.data;
  try {
    send(connection, { id, result: callMethod({ chain, subscriptions: connection.subscriptions }, method, params) });
  } catch (error) {
    send(connection, { id, error: errorBody(error) });
  }
}

/** Splits a stream into lines; the part after the last newline waits for more. */
function readLines(socket: Socket, onLine: (line: string) => void): void {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...pending, rest.subarray(0, end)]);
      rest = rest.subarray(end + 1);
      pending = [];
      pendingBytes = 0;
      if (line.length > MAX_LINE_BYTES) {
        socket.destroy();
        return;
      }
      onLine(line.toString('utf8'));
      if (socket.destroyed) return;
    }
    pending.push(rest);
    pendingBytes += rest.length;
    if (pendingBytes > MAX_LINE_BYTES) socket.destroy();
  });
}

/** Tells a connection what changed since it was last told. */
function notify(chain: Chain, connection: Connection): void {
  const { subscriptions } = connection;
  const { hash } = chain.tip();
  if (subscriptions.tipHash !== undefined && subscriptions.tipHash !== hash) {
    subscriptions.tipHash = hash;
    send(connection, { method: 'blockchain.headers.subscribe', params: [headerNotice(chain)] });
  }
  for (const [scripthash, told] of subscriptions.scripts) {
    const status = statusOrTold(chain, scripthash, told);
    if (status === told) continue;
    subscriptions.scripts.set(scripthash, status);
    send(connection, { method: 'blockchain.scripthash.subscribe', params: [scripthash, status] });
  }
}

/** A history that grew too long to be served is not told about any more. */
function statusOrTold(chain: Chain, scripthash: string, told: string | null): string | null {
  try {
    return servedStatus(chain, scripthash);
  } catch (error) {
    if (error instanceof ElectrumError) return told;
    throw error;
  }
}

/** Calls `run` once, soon, for any number of calls before: answers go out first, and a step is told of as one. */
function coalesced(run: () => void): () => void {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      run();
    });
  };
}

/**
 * Listens until closed; port 0 picks a free one.
 *
 * @throws Error if the port is taken.
 */
export async function listenElectrum(
  chain: Chain,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<ElectrumServer> {
  const connections = new Set<Connection>();
  const server = createServer((socket) => {
    const connection: Connection = { socket, subscriptions: { tipHash: undefined, scripts: new Map() } };
    connections.add(connection);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => connections.delete(connection));
    readLines(socket, (line) => {
      answerLine(chain, connection, line);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const stopListening = chain.onChange(
    coalesced(() => {
      for (const connection of connections) notify(chain, connection);
    }),
  );
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has one
    close: () =>
      new Promise((resolve) => {
        stopListening();
        server.close(() => {
          resolve();
        });
        for (const { socket } of connections) socket.destroy();
      }),
  };
}
