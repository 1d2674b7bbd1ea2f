/**
 * An Electrum server that lies at will: it stands in front of an honest one, on a real socket, and passes everything on
 * until a test makes a method misbehave. Lies may change while connections are open.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { z } from 'zod';

import { ServerFault, SILENCE } from './hostileElectrum.js';

/** One request that is lied to. */
type Call = {
  readonly params: readonly unknown[];
  /** The honest server's answer. @throws ServerFault with its error. */
  readonly honest: () => Promise<unknown>;
  /** Sends anything at all; return {@link SILENCE} with it. */
  readonly write: (bytes: string | Buffer) => void;
  readonly drop: () => void;
};

/** What a method answers instead; {@link SILENCE} is no answer, a thrown ServerFault is an error. */
export type Lie = (call: Call) => unknown;

/** What becomes of a notification's parameters; undefined swallows it. */
type NoticeFilter = (method: string, params: readonly unknown[]) => readonly unknown[] | undefined;

const requestSchema = z.object({ id: z.number(), method: z.string(), params: z.array(z.unknown()) });
const messageSchema = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.array(z.unknown()).optional(),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
});
type Message = z.infer<typeof messageSchema>;

const passOn: NoticeFilter = (_method, params) => params;

export class HostileProxy {
  readonly url: string;
  /** By method; `*` is every method without a lie of its own. */
  readonly lies = new Map<string, Lie>();
  notices: NoticeFilter = passOn;
  /** Requests so far, by method. */
  readonly asked = new Map<string, number>();
  /** Raw transactions that a client wanted to have broadcast, in hex. */
  readonly broadcasts: string[] = [];
  /** Answers so far that were lies. */
  told = 0;
  readonly #clients = new Set<Socket>();
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  /** Listens on a free port of the loopback, in front of the server on that port. */
  static async start(targetPort: number): Promise<HostileProxy> {
    const listener = createServer((client) => {
      proxy.#serve(client, connect(targetPort, '127.0.0.1'));
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const proxy = new HostileProxy(`tcp://127.0.0.1:${port}`, async () => {
      await new Promise((resolve) => listener.close(resolve));
    });
    return proxy;
  }

  /** From now on it is an honest server. */
  behave(): void {
    this.lies.clear();
    this.notices = passOn;
  }

  /** Cuts every connection. */
  drop(): void {
    for (const client of this.#clients) client.destroy();
  }

  /** Sends a notification of its own to every client. */
  notify(method: string, params: readonly unknown[]): void {
    for (const client of this.#clients) send(client, { method, params });
  }

  /** Requests so far, of all methods. */
  requests(): number {
    return [...this.asked.values()].reduce((sum, count) => sum + count, 0);
  }

  async close(): Promise<void> {
    const closed = this.#close();
    this.drop();
    await closed;
  }

  #serve(client: Socket, server: Socket): void {
    const waiting = new Map<number, (message: Message) => void>();
    this.#clients.add(client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#clients.delete(client);
        other.destroy();
      });
    }
    eachLine(client, (line) => {
      const request = requestSchema.parse(JSON.parse(line));
      const { id, method, params } = request;
      this.asked.set(method, (this.asked.get(method) ?? 0) + 1);
      if (method === 'blockchain.transaction.broadcast') this.broadcasts.push(String(params[0]));
      const lie = this.lies.get(method) ?? this.lies.get('*');
      if (lie === undefined) {
        server.write(`${line}\n`);
        return;
      }
      const honest = async (): Promise<unknown> => {
        const message = await new Promise<Message>((resolve) => {
          waiting.set(id, resolve);
          server.write(`${line}\n`);
        });
        if (message.error !== undefined) throw new ServerFault(message.error);
        return message.result;
      };
      const write = (bytes: string | Buffer): void => void client.write(bytes);
      const drop = (): void => void client.destroy();
      this.#lie(client, id, async () => await lie({ params, honest, write, drop })).catch(drop);
    });
    eachLine(server, (line) => {
      const message = messageSchema.parse(JSON.parse(line));
      const { id, method } = message;
      const waiter = id === undefined ? undefined : waiting.get(id);
      if (id !== undefined && waiter !== undefined) {
        waiting.delete(id);
        waiter(message);
      } else if (method === undefined) client.write(`${line}\n`);
      else {
        const params = this.notices(method, message.params ?? []);
        if (params !== undefined) send(client, { method, params });
      }
    });
  }

  async #lie(client: Socket, id: number, tell: () => Promise<unknown>): Promise<void> {
    try {
      const result = await tell();
      if (result !== SILENCE) send(client, { id, result });
    } catch (error) {
      if (!(error instanceof ServerFault)) throw error;
      send(client, { id, error: error.error });
    }
    this.told += 1;
  }
}

function send(client: Socket, message: object): void {
  if (!client.destroyed) client.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function eachLine(socket: Socket, onLine: (line: string) => void): void {
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    const lines = (pending + String(text)).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
}
