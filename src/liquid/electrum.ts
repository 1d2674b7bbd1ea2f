/**
 * The Liquid chain seen through Electrum servers: checks every answer as far as bytes allow.
 *
 * A server that sends something provably false loses its connection, so that the next one gets its turn.
 */
import { readFileSync } from 'node:fs';

import { parseTransaction, txidOf } from '../core/tx.js';
import { hex, type BlockHash, type BlockHeight, type SatPerKvb, type Txid } from '../core/units.js';
import { SwapError, errorChain } from '../errors.js';
import type { Logger } from '../log.js';
import type {
  BroadcastOutcome,
  ChainChange,
  HistoryEntry,
  HistoryOptions,
  LiquidChain,
  Tip,
  UnspentEntry,
} from './chain.js';
import {
  isHistoryTooLong,
  MIN_FEE_RATE,
  isMissingTransaction,
  readFeeEstimate,
  readHistory,
  readMerkleProof,
  readRejection,
  readRelayFee,
  readStatusNotification,
  readTipNotification,
  readTransaction,
  readTxid,
  readUnspent,
  scripthash,
  shortRejection,
} from './electrumAnswers.js';
import { ElectrumError, parseElectrumServer, type ElectrumConnection } from './electrumConnection.js';
import { ElectrumHeaders } from './electrumHeaders.js';
import { ElectrumSubscriptions } from './electrumSubscriptions.js';
import { DEFAULT_TIMEOUTS, ElectrumSupervisor, type ElectrumTimeouts } from './electrumSupervisor.js';
import { merkleRootFromBranch, type BlockHeader } from './headers.js';

export type ElectrumOptions = {
  /** `ssl://host:port` or `tcp://host:port`, tried in this order. */
  readonly servers: readonly string[];
  /** PEM file with the certificates to trust instead of the system's. */
  readonly caFile?: string;
  readonly log: Logger;
  /** A server whose block 0 is another one is not used. */
  readonly expectedGenesis?: BlockHash;
  readonly timeouts?: Partial<ElectrumTimeouts>;
};

const PROTOCOL_VERSION = '1.4';

function readCa(caFile: string): Buffer {
  try {
    return readFileSync(caFile);
  } catch (cause) {
    throw new SwapError('bad_config', `Electrum ca_file: expected a readable file, found none at ${caFile}`, { cause });
  }
}

class ElectrumChain implements LiquidChain {
  readonly #log: Logger;
  readonly #expectedGenesis: BlockHash | undefined;
  readonly #supervisor: ElectrumSupervisor;
  readonly #subscriptions: ElectrumSubscriptions;
  readonly #listeners = new Set<(change: ChainChange) => void>();
  readonly #headers: ElectrumHeaders;

  constructor(options: ElectrumOptions) {
    this.#log = options.log;
    this.#expectedGenesis = options.expectedGenesis;
    this.#headers = new ElectrumHeaders((tip) => {
      this.#emit({ kind: 'block', tip });
    });
    this.#subscriptions = new ElectrumSubscriptions((scriptPubKeyHex) => {
      this.#emit({ kind: 'script', scriptPubKeyHex });
    });
    this.#supervisor = new ElectrumSupervisor({
      servers: options.servers.map(parseElectrumServer),
      ca: options.caFile === undefined ? undefined : readCa(options.caFile),
      log: options.log,
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      handshake: async (connection) => {
        await this.#handshake(connection);
      },
      onUp: (connection) => {
        this.#onUp(connection);
      },
      onDown: () => {
        this.#emit({ kind: 'disconnected' });
      },
      // Any request would do; this one also makes up for a lost notification.
      keepalive: async (connection) => {
        await this.#headers.poll(connection);
        this.#headers.announce();
      },
    });
  }

  async genesisHash(): Promise<BlockHash> {
    return (this.#headers.cached(0) ?? (await this.#header(0))).hash;
  }

  async tip(): Promise<Tip> {
    await this.#supervisor.connection(); // the handshake of every connection sets the tip
    const tip = this.#headers.tip();
    if (tip === undefined) throw new SwapError('chain_unavailable', 'no Electrum server has told its tip');
    return tip;
  }

  async tips(): Promise<readonly Tip[]> {
    return [await this.tip()];
  }

  async blockAt(height: BlockHeight): Promise<Tip> {
    const { hash, time } = await this.#header(height);
    return { height, hash, time };
  }

  /** One server at a time cannot contradict another. */
  disagreement(): undefined {
    return undefined;
  }

  async history(scriptPubKey: Uint8Array, options: HistoryOptions = {}): Promise<readonly HistoryEntry[]> {
    const method = 'blockchain.scripthash.get_history';
    const id = scripthash(scriptPubKey);
    return await this.#with(method, async (connection) => {
      const known = options.isFresh === true ? undefined : this.#subscriptions.remembered(id, connection);
      if (known !== undefined) return known;
      const entries = await connection.ask(method, [id], readHistory);
      this.#subscriptions.remember(id, connection, entries);
      return entries;
    });
  }

  async transaction(id: Txid): Promise<Buffer | undefined> {
    try {
      return await this.#ask('blockchain.transaction.get', [id], (answer) => readTransaction(answer, id));
    } catch (error) {
      if (error instanceof SwapError && isMissingTransaction(error.cause)) return undefined;
      throw error;
    }
  }

  async unspent(scriptPubKey: Uint8Array): Promise<readonly UnspentEntry[]> {
    return await this.#ask('blockchain.scripthash.listunspent', [scripthash(scriptPubKey)], readUnspent);
  }

  async proveInclusion(id: Txid, height: BlockHeight): Promise<BlockHash> {
    const { branch, position } = await this.#ask('blockchain.transaction.get_merkle', [id, height], (answer) =>
      readMerkleProof(answer, height),
    );
    const root = merkleRootFromBranch({ txid: id, branch, position });
    const cached = this.#headers.cached(height);
    // A header that does not fit may be from before a reorganisation, so it is asked for again.
    const header = cached?.merkleRoot === root ? cached : await this.#header(height);
    if (header.merkleRoot !== root) {
      throw new SwapError(
        'chain_unavailable',
        `the merkle proof of ${id} does not lead to the header of block ${height}`,
      );
    }
    return header.hash;
  }

  async broadcast(rawTx: Uint8Array): Promise<BroadcastOutcome> {
    const id = txidOf(parseTransaction(rawTx));
    try {
      const answered = await this.#ask('blockchain.transaction.broadcast', [hex(rawTx)], readTxid);
      if (answered === id) return { kind: 'accepted' };
      return { kind: 'unknown', cause: new Error(`broadcast of ${id}: the server answered with ${answered}`) };
    } catch (error) {
      const cause = error instanceof SwapError ? error.cause : error;
      if (!(cause instanceof ElectrumError) || cause.kind !== 'server') return { kind: 'unknown', cause: error };
      const reason = readRejection(cause.message);
      if (reason !== 'already') return { kind: 'rejected', reason, text: shortRejection(cause.message) };
      return await this.#confirmKnown(id, error);
    }
  }

  async feeRate(): Promise<SatPerKvb> {
    const estimate = this.#ask('blockchain.estimatefee', [2], readFeeEstimate).catch((error: unknown) => {
      this.#log.debug({ error: errorChain(error) }, 'no fee estimate, the relay fee counts');
      return MIN_FEE_RATE;
    });
    const relayFee = await this.#ask('blockchain.relayfee', [], readRelayFee);
    return [relayFee, await estimate].reduce((highest, rate) => (rate > highest ? rate : highest), MIN_FEE_RATE);
  }

  subscribe(scriptPubKey: Uint8Array): void {
    this.#subscriptions.add(scriptPubKey, this.#supervisor.current()).catch((error: unknown) => {
      this.#logSubscribeError(error);
    });
  }

  unsubscribe(scriptPubKey: Uint8Array): void {
    this.#subscriptions.delete(scriptPubKey);
  }

  onChange(listener: (change: ChainChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#supervisor.close();
    this.#listeners.clear();
  }

  async #ask<T>(method: string, params: readonly unknown[], read: (answer: unknown) => T): Promise<T> {
    return await this.#with(method, async (connection) => await connection.ask(method, params, read));
  }

  async #header(height: number): Promise<BlockHeader> {
    const method = 'blockchain.block.header';
    return await this.#with(method, async (connection) => await this.#headers.fetch(connection, height));
  }

  /** Whatever goes wrong with a server is `chain_unavailable` to the caller (or `history_too_long`); the cause tells more. */
  async #with<T>(method: string, run: (connection: ElectrumConnection) => Promise<T>): Promise<T> {
    const connection = await this.#supervisor.connection();
    try {
      return await run(connection);
    } catch (cause) {
      const code = isHistoryTooLong(cause) ? 'history_too_long' : 'chain_unavailable';
      throw new SwapError(code, `Electrum server failed at ${method}`, { cause });
    }
  }

  /** The server says that it knows the transaction; believed only when it can show it. */
  async #confirmKnown(id: Txid, claim: unknown): Promise<BroadcastOutcome> {
    try {
      if ((await this.transaction(id)) !== undefined) return { kind: 'accepted' };
      return { kind: 'unknown', cause: claim };
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  async #handshake(connection: ElectrumConnection): Promise<void> {
    connection.setNotificationListener((method, params) => {
      this.#onNotification(connection, method, params);
    });
    await connection.request('server.version', ['ln-liquid-swap', PROTOCOL_VERSION]);
    if (this.#expectedGenesis !== undefined) {
      const { hash } = await this.#headers.fetch(connection, 0);
      if (hash !== this.#expectedGenesis) {
        throw new ElectrumError('lie', `block 0: expected ${this.#expectedGenesis}, found ${hash}`);
      }
    }
    await this.#headers.start(connection);
  }

  #onUp(connection: ElectrumConnection): void {
    this.#emit({ kind: 'connected' });
    this.#headers.announce();
    this.#subscriptions
      .renew(connection, (error) => {
        this.#logSubscribeError(error);
      })
      .catch((error: unknown) => {
        this.#logSubscribeError(error);
      });
  }

  #onNotification(connection: ElectrumConnection, method: string, params: unknown): void {
    try {
      if (method === 'blockchain.scripthash.subscribe') {
        const [id, status] = readStatusNotification(params);
        this.#subscriptions.update(id, status);
      } else if (method === 'blockchain.headers.subscribe') {
        this.#headers.advance(readTipNotification(params));
        if (this.#supervisor.current() === connection) this.#headers.announce();
      }
    } catch (error) {
      connection.abandon(new ElectrumError('lie', `${method}: unusable notification`, error));
    }
  }

  /** A listener's failure is its own: neither the connection nor other listeners see it. */
  #emit(change: ChainChange): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#log.error({ change: change.kind, error: errorChain(error) }, 'a chain listener failed');
      }
    }
  }

  #logSubscribeError(error: unknown): void {
    this.#log.warn({ error: errorChain(error) }, 'a script could not be subscribed');
  }
}

/**
 * Connects to the first server that can be reached and keeps it so until `close()`. Returns at once; requests wait a
 * short while for the connection and then fail with SwapError `chain_unavailable`.
 *
 * @throws SwapError `bad_config` for a malformed server or if `caFile` cannot be read.
 */
export function connectElectrum(options: ElectrumOptions): LiquidChain {
  if (options.servers.length === 0) throw new SwapError('bad_config', 'Electrum servers: expected one, found none');
  return new ElectrumChain(options);
}
