/** An Electrum server on a real socket that answers honestly until a test makes a method misbehave. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import vectors from '../vectors/headers.json' with { type: 'json' };

/** What a method does: its return value is the answer. */
type Behaviour = (params: readonly unknown[], connection: HostileConnection) => unknown;

type HostileConnection = {
  readonly socket: Socket;
  readonly notify: (method: string, params: unknown) => void;
};

/** Returned by a behaviour that does not answer (or has written to the socket itself). */
export const SILENCE = Symbol('silence');

/** Thrown by a behaviour to answer with this `error`. */
export class ServerFault extends Error {
  readonly error: unknown;
  constructor(error: unknown) {
    super('server fault');
    this.error = error;
  }
}

export type HostileElectrum = {
  readonly url: string;
  /** Replaces or adds methods; may change while connections are open. */
  readonly methods: Map<string, Behaviour>;
  readonly connections: Set<HostileConnection>;
  /** All requests so far. */
  readonly requests: { readonly method: string; readonly params: readonly unknown[]; readonly id: number }[];
  readonly dropAll: () => void;
  readonly close: () => Promise<void>;
};

type Request = { readonly id: number; readonly method: string; readonly params: readonly unknown[] };

/** A header of the real regtest vectors; heights 0, 1, 2, 432, 433 and more are there. */
export function headerVector(height: number): { height: number; hex: string; hash: string } {
  const found = vectors.find((vector) => vector.height === height);
  if (found === undefined) throw new ServerFault('missing header');
  return { height, hex: found.header, hash: found.hash };
}

const honest: readonly (readonly [string, Behaviour])[] = [
  ['server.version', () => ['hostile', '1.4']],
  ['server.ping', () => null],
  ['blockchain.headers.subscribe', () => headerVector(433)],
  ['blockchain.block.header', ([height]) => headerVector(Number(height)).hex],
  ['blockchain.scripthash.subscribe', () => null],
  ['blockchain.scripthash.get_history', () => []],
  ['blockchain.relayfee', () => 0.000001],
];

function answer(server: HostileElectrum, connection: HostileConnection, request: Request): void {
  server.requests.push(request);
  const { id, method, params } = request;
  const write = (message: object): void => {
    connection.socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...message })}\n`);
  };
  try {
    const behaviour = server.methods.get(method);
    if (behaviour === undefined) throw new ServerFault({ code: -32601, message: `unknown method ${method}` });
    const result = behaviour(params, connection);
    if (result !== SILENCE) write({ result });
  } catch (error) {
    if (!(error instanceof ServerFault)) throw error;
    write({ error: error.error });
  }
}

/** A client that speaks something else (TLS, for one) gets nowhere. */
function parseRequest(line: string): Request | undefined {
  try {
    return JSON.parse(line) as Request;
  } catch {
    return undefined;
  }
}

function serve(server: HostileElectrum, socket: Socket): void {
  const connection: HostileConnection = {
    socket,
    notify: (method, params) => {
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`);
    },
  };
  server.connections.add(connection);
  socket.on('error', () => undefined);
  socket.on('close', () => server.connections.delete(connection));
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    const lines = (pending + String(text)).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const request = parseRequest(line);
      if (request === undefined) socket.destroy();
      else answer(server, connection, request);
    }
  });
}

/** Starts a server on a free port of 127.0.0.1; with `tls` it speaks TLS with that key and certificate (PEM). */
export async function startHostileElectrum(
  options: { readonly tls?: { readonly key: Buffer; readonly cert: Buffer } } = {},
): Promise<HostileElectrum> {
  const accept = (socket: Socket): void => {
    serve(server, socket);
  };
  const listener: Server = options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
  listener.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const dropAll = (): void => {
    for (const { socket } of server.connections) socket.destroy();
  };
  const server: HostileElectrum = {
    url: `${options.tls === undefined ? 'tcp' : 'ssl'}://127.0.0.1:${port}`,
    methods: new Map(honest),
    connections: new Set(),
    requests: [],
    dropAll,
    close: async () => {
      dropAll();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return server;
}
