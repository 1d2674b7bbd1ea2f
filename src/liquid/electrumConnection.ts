/**
 * One connection to an Electrum server: electrum-client, hardened against whatever the server sends.
 *
 * An instance lives as long as its socket; reconnecting is the business of the supervisor. TLS certificates are verified.
 */
import net from 'node:net';
import tls from 'node:tls';

import ElectrumClient from 'electrum-client';
import { z } from 'zod';

import { SwapError } from '../errors.js';

/** Where a server listens. `ssl` is TLS with a verified certificate. */
export type ElectrumServer = { readonly protocol: 'tcp' | 'ssl'; readonly host: string; readonly port: number };

/**
 * `server`: the server answered with an error, the message is its text. `lie`: what it sent breaks the protocol or does
 * not match what was asked. `timeout`, `closed`: no answer came; whether the request was carried out is unknown.
 */
export type ElectrumErrorKind = 'server' | 'lie' | 'timeout' | 'closed';

/** An answer that is an error, or the lack of one. */
export class ElectrumError extends Error {
  readonly kind: ElectrumErrorKind;

  constructor(kind: ElectrumErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ElectrumError';
    this.kind = kind;
  }
}

export type ConnectionOptions = {
  readonly server: ElectrumServer;
  /** PEM certificates to trust instead of the system's. */
  readonly ca?: Buffer;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Longest line accepted: above any transaction in hex. */
  readonly maxLineBytes?: number;
};

type NotificationListener = (method: string, params: unknown) => void;

const DEFAULT_MAX_LINE_BYTES = 20_000_000;
const MAX_ERROR_TEXT = 2_000;
const LINE_FEED = 10;

/** An answer has a number as id; `null` (errors about an unreadable request) and others can belong to no request. */
const messageSchema = z.object({
  id: z.unknown().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
});
const errorTextSchema = z.union([z.string(), z.object({ message: z.string() }).transform(({ message }) => message)]);

/**
 * Reads `tcp://host:port` or `ssl://host:port`.
 *
 * @throws SwapError `bad_config` for anything else.
 */
export function parseElectrumServer(text: string): ElectrumServer {
  const match = /^(tcp|ssl):\/\/(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text);
  const [, protocol, ipv6, name, portText] = match ?? [];
  const host = ipv6 ?? name;
  const port = Number.parseInt(portText ?? '', 10);
  if ((protocol !== 'tcp' && protocol !== 'ssl') || host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new SwapError(
      'bad_config',
      `Electrum server: expected "ssl://host:port" or "tcp://host:port", found "${text}"`,
    );
  }
  return { protocol, host, port };
}

/** The text of a server's error: electrs sends plain strings, other servers {code, message}. */
function serverError(error: unknown): ElectrumError {
  const parsed = errorTextSchema.safeParse(error);
  const text = parsed.success ? parsed.data : 'an error without a text';
  return new ElectrumError('server', text.slice(0, MAX_ERROR_TEXT));
}

export class ElectrumConnection extends ElectrumClient {
  readonly #options: ConnectionOptions;
  readonly #closed: Promise<ElectrumError>;
  #resolveClosed: (cause: ElectrumError) => void = () => undefined;
  #closeCause: ElectrumError | undefined;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #listener: NotificationListener = () => undefined;

  constructor(options: ConnectionOptions) {
    super(options.server.port, options.server.host);
    this.#options = options;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    // The base class made a socket of its own that checks no certificate; connect() opens the one that is used.
    this.conn.removeAllListeners();
    this.conn.destroy();
  }

  /** Settles with the reason when the connection has ended. Never rejects. */
  get closed(): Promise<ElectrumError> {
    return this.#closed;
  }

  /** Sets the one receiver of notifications. `params` is unchecked. */
  setNotificationListener(listener: NotificationListener): void {
    this.#listener = listener;
  }

  /** Opens the connection; call once. @throws ElectrumError `timeout` or `closed`. */
  override async connect(): Promise<void> {
    const { server, connectTimeoutMs } = this.#options;
    const socket = this.#openSocket();
    this.conn = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('data', (chunk: Buffer) => {
      this.onRecv(chunk);
    });
    socket.on('error', (error) => {
      this.abandon(new ElectrumError('closed', `connection failed: ${error.message}`, error));
    });
    socket.on('close', () => {
      this.abandon(new ElectrumError('closed', 'the server closed the connection'));
    });
    const timer = setTimeout(() => {
      this.abandon(new ElectrumError('timeout', `no connection within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    const ready = new Promise<'ready'>((resolve) => {
      socket.once(server.protocol === 'ssl' ? 'secureConnect' : 'connect', () => {
        resolve('ready');
      });
    });
    const outcome = await Promise.race([ready, this.#closed]);
    clearTimeout(timer);
    if (outcome !== 'ready') throw outcome;
    this.status = 1;
  }

  /**
   * Sends a request and waits for its answer. A request without an answer in time ends the connection, because answers
   * come in order and nothing behind it can be expected either.
   *
   * @throws ElectrumError
   */
  override async request(method: string, params: readonly unknown[]): Promise<unknown> {
    if (this.#closeCause !== undefined) throw this.#closeCause;
    const { requestTimeoutMs } = this.#options;
    const timer = setTimeout(() => {
      this.abandon(new ElectrumError('timeout', `${method}: no answer within ${requestTimeoutMs} ms`));
    }, requestTimeoutMs);
    try {
      return await super.request(method, params);
    } catch (error) {
      // Whatever the server sends as error comes as plain JSON; an Error is the base class telling of the end.
      throw error instanceof Error ? this.#endedBy(error) : serverError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * A request whose answer is read by `read`. If that throws, the server lied: the connection ends.
   *
   * @throws ElectrumError
   */
  async ask<T>(method: string, params: readonly unknown[], read: (answer: unknown) => T): Promise<T> {
    const answer = await this.request(method, params);
    try {
      return read(answer);
    } catch (error) {
      const lie = new ElectrumError('lie', `${method}: unusable answer`, error);
      this.abandon(lie);
      throw lie;
    }
  }

  /** Ends the connection for a reason of ours; open requests fail with it. Repeating is free. */
  abandon(cause: ElectrumError): void {
    if (this.#closeCause !== undefined) return;
    this.#closeCause = cause;
    this.status = 0;
    this.#pieces = [];
    this.conn.destroy();
    this.onClose();
    this.#resolveClosed(cause);
  }

  override close(): void {
    this.abandon(new ElectrumError('closed', 'closed by this program'));
  }

  /** Splits the stream into lines, in time linear in its length. */
  override onRecv(chunk: Buffer): void {
    let rest = chunk;
    for (let at = rest.indexOf(LINE_FEED); at >= 0; at = rest.indexOf(LINE_FEED)) {
      this.#pieces.push(rest.subarray(0, at));
      const line = Buffer.concat(this.#pieces).toString('utf8');
      this.#pieces = [];
      this.#pieceBytes = 0;
      rest = rest.subarray(at + 1);
      this.onMessage(line);
      if (this.#closeCause !== undefined) return;
    }
    this.#pieces.push(rest);
    this.#pieceBytes += rest.length;
    const maxBytes = this.#options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
    if (this.#pieceBytes > maxBytes) this.abandon(new ElectrumError('lie', `a line of more than ${maxBytes} bytes`));
  }

  override onMessage(line: string): void {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      this.abandon(new ElectrumError('lie', 'a line that is not JSON', error));
      return;
    }
    const message = messageSchema.safeParse(json);
    if (!message.success) {
      this.abandon(new ElectrumError('lie', 'a message that is not a JSON-RPC object', message.error));
      return;
    }
    const { id, method, params, result, error } = message.data;
    // Only numbers reach the base class: it looks the id up in a plain object, where "constructor" would be found.
    if (typeof id === 'number') this.response({ id, result, error });
    else if (method !== undefined) this.#listener(method, params);
  }

  #endedBy(error: Error): Error {
    return this.#closeCause ?? error;
  }

  #openSocket(): net.Socket {
    const { server, ca } = this.#options;
    const { host, port } = server;
    if (server.protocol === 'tcp') return net.connect({ host, port });
    return tls.connect({
      host,
      port,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
    });
  }
}
