/**
 * Keeps one connection to one of several Electrum servers alive: failover, reconnects with backoff, keepalive.
 *
 * All servers are tried in turn without a pause; a pause comes after a whole round without a lasting connection.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { SwapError, errorChain } from '../errors.js';
import type { Logger } from '../log.js';
import { ElectrumConnection, ElectrumError, type ElectrumServer } from './electrumConnection.js';

/** Bounds in milliseconds; each has a default. */
export type ElectrumTimeouts = {
  readonly connectMs: number;
  readonly requestMs: number;
  /** How long a request waits for a connection before it fails. */
  readonly reconnectWaitMs: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Interval of the keepalive. */
  readonly pingMs: number;
};

export const DEFAULT_TIMEOUTS: ElectrumTimeouts = {
  connectMs: 10_000,
  requestMs: 20_000,
  reconnectWaitMs: 5_000,
  retryMinMs: 500,
  retryMaxMs: 30_000,
  pingMs: 60_000,
};

/** A connection that lasted this long was a good one: the next failure starts from the shortest pause. */
const LASTING_MS = 30_000;

export type SupervisorOptions = {
  readonly servers: readonly ElectrumServer[];
  readonly ca: Buffer | undefined;
  readonly log: Logger;
  readonly timeouts: ElectrumTimeouts;
  /** Runs on every fresh connection before anyone may use it; a rejection moves on to the next server. */
  readonly handshake: (connection: ElectrumConnection) => Promise<void>;
  readonly onUp: (connection: ElectrumConnection) => void;
  readonly onDown: () => void;
  /** Runs every `pingMs`; its rejection is ignored, a server that is gone shows by the connection's own timeout. */
  readonly keepalive: (connection: ElectrumConnection) => Promise<void>;
};

const unavailable = (cause: unknown): SwapError =>
  new SwapError('chain_unavailable', 'no Electrum server can be used at present', { cause });

export class ElectrumSupervisor {
  readonly #options: SupervisorOptions;
  readonly #stop = new AbortController();
  #connection: ElectrumConnection | undefined;
  #waiting = new Set<(connection: ElectrumConnection) => void>();
  #lastFailure: unknown = new Error('not connected yet');

  constructor(options: SupervisorOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // one a waiting request: many wait for a server that is away
    this.#keepConnected().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) options.log.fatal({ error: errorChain(error) }, 'electrum supervisor ended');
    });
  }

  /**
   * The present connection; waits a short while for one.
   *
   * @throws SwapError `chain_unavailable` when there is none in time, with the last failure as cause.
   */
  async connection(): Promise<ElectrumConnection> {
    if (this.#connection !== undefined) return this.#connection;
    if (this.#stop.signal.aborted) throw unavailable(new Error('closed by this program'));
    return await new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(arrived);
        this.#stop.signal.removeEventListener('abort', giveUp);
      };
      const arrived = (connection: ElectrumConnection): void => {
        settle();
        resolve(connection);
      };
      const giveUp = (): void => {
        settle();
        reject(unavailable(this.#lastFailure));
      };
      const timer = setTimeout(giveUp, this.#options.timeouts.reconnectWaitMs);
      this.#waiting.add(arrived);
      this.#stop.signal.addEventListener('abort', giveUp);
    });
  }

  /** The present connection, or undefined. */
  current(): ElectrumConnection | undefined {
    return this.#connection;
  }

  close(): void {
    this.#stop.abort();
    this.#connection?.close();
  }

  async #keepConnected(): Promise<void> {
    const { servers, log } = this.#options;
    const isStopped = (): boolean => this.#stop.signal.aborted;
    let failures = 0;
    for (let turn = 0; !isStopped(); turn += 1) {
      const server = servers[turn % servers.length];
      if (server === undefined) throw new Error('no Electrum server is configured');
      const name = `${server.protocol}://${server.host}:${server.port}`;
      const since = performance.now();
      const failure = await this.#serve(server, name);
      if (performance.now() - since >= LASTING_MS) failures = 0;
      failures += 1;
      this.#lastFailure = new Error(name, { cause: failure });
      log[isStopped() ? 'debug' : 'warn']({ server: name, error: errorChain(failure) }, 'electrum server lost');
      if (failures % servers.length === 0) await this.#pause(failures / servers.length);
    }
  }

  /** Uses one server until it fails; returns why it did. */
  async #serve(server: ElectrumServer, name: string): Promise<unknown> {
    const { ca, timeouts, handshake, log, onUp, onDown } = this.#options;
    const connection = new ElectrumConnection({
      server,
      connectTimeoutMs: timeouts.connectMs,
      requestTimeoutMs: timeouts.requestMs,
      ...(ca === undefined ? {} : { ca }),
    });
    const abort = (): void => {
      connection.close();
    };
    this.#stop.signal.addEventListener('abort', abort);
    const keepalive = setInterval(() => {
      this.#options.keepalive(connection).catch(() => undefined);
    }, timeouts.pingMs);
    try {
      await connection.connect();
      await handshake(connection);
      this.#connection = connection;
      log.info({ server: name }, 'electrum server connected');
      onUp(connection);
      for (const arrived of this.#waiting) arrived(connection);
      return await connection.closed;
    } catch (error) {
      connection.abandon(new ElectrumError('closed', 'the handshake failed', error));
      return error;
    } finally {
      clearInterval(keepalive);
      this.#stop.signal.removeEventListener('abort', abort);
      if (this.#connection === connection) {
        this.#connection = undefined;
        onDown();
      }
    }
  }

  async #pause(rounds: number): Promise<void> {
    const { retryMinMs, retryMaxMs } = this.#options.timeouts;
    const longest = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(rounds - 1, 20));
    const jittered = longest * (0.5 + Math.random() / 2);
    await delay(jittered, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
