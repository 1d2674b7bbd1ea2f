/** Hostile Electrum servers on real sockets, and the chain that is seen through all of them. */
import { pino } from 'pino';

import type { Zkp } from '../../src/core/blind.js';
import { buildTransaction, explicitInput, parseTransaction, rawOf, txidOf } from '../../src/core/tx.js';
import { assetAmount, assetId, outpoint, type Txid } from '../../src/core/units.js';
import type { ChainChange, LiquidChain } from '../../src/liquid/chain.js';
import { connectElectrumGroup } from '../../src/liquid/electrumGroup.js';
import { headerVector, ServerFault, startHostileElectrum, type HostileElectrum } from './hostileElectrum.js';

export const SCRIPT = Buffer.from(`0014${'11'.repeat(20)}`, 'hex');

/** How long a server may stay silent in these tests. */
export const SILENCE_MS = 1_200;

/** An explicit transaction that pays SCRIPT; `n` makes another one. */
export function transactionOf(n: number): { readonly id: Txid; readonly raw: Buffer } {
  const asset = assetId('33'.repeat(32));
  const tx = buildTransaction({} as Zkp, {
    inputs: [explicitInput({ outpoint: outpoint('22'.repeat(32), n), assetId: asset, value: assetAmount(1_000n) }, 0)],
    outputs: [{ scriptPubKey: SCRIPT, assetId: asset, value: assetAmount(1_000n) }],
    locktime: 0,
    randomBytes: (length) => Buffer.alloc(length),
  });
  return { id: txidOf(tx), raw: rawOf(tx) };
}

/** The same transaction, with this item as its first input's witness. */
export function withWitness(raw: Buffer, item: Buffer): Buffer {
  const tx = parseTransaction(raw);
  tx.setWitness(0, [item]);
  return rawOf(tx);
}

/** A header of that height on another branch: well formed, with another hash. */
export function forkedHeader(height: number): { readonly height: number; readonly hex: string } {
  const bytes = Buffer.from(headerVector(height).hex, 'hex');
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40); // in the merkle root
  return { height, hex: bytes.toString('hex') };
}

export type Group = {
  readonly servers: readonly HostileElectrum[];
  readonly chain: LiquidChain;
  readonly changes: ChainChange[];
  /** Messages logged at level error. */
  readonly errors: () => string[];
  readonly close: () => Promise<void>;
};

/** `prepare` runs before anyone connects; `extraUrls` are servers besides those started here. */
export async function startGroup(options: {
  readonly count: number;
  readonly prepare?: (servers: readonly HostileElectrum[]) => void;
  readonly extraUrls?: readonly string[];
  readonly reconnectWaitMs?: number;
  readonly retryMs?: number;
}): Promise<Group> {
  const servers = await Promise.all(Array.from({ length: options.count }, async () => await startHostileElectrum()));
  options.prepare?.(servers);
  const lines: string[] = [];
  const chain = connectElectrumGroup({
    servers: [...servers.map(({ url }) => url), ...(options.extraUrls ?? [])],
    log: pino({ level: 'error' }, { write: (line: string) => lines.push(line) }),
    timeouts: {
      connectMs: 1_000,
      requestMs: SILENCE_MS,
      reconnectWaitMs: options.reconnectWaitMs ?? 3_000,
      retryMinMs: options.retryMs ?? 10,
      retryMaxMs: options.retryMs ?? 40,
    },
  });
  const changes: ChainChange[] = [];
  chain.onChange((change) => changes.push(change));
  return {
    servers,
    chain,
    changes,
    errors: () => lines,
    close: async () => {
      chain.close();
      await Promise.all(
        servers.map(async (server) => {
          await server.close();
        }),
      );
    },
  };
}

type Listed = readonly (readonly [Txid, number])[];

/** What the server lists for every script. */
export function showHistory(server: HostileElectrum | undefined, entries: Listed): void {
  const answer = entries.map(([id, height]) => ({ tx_hash: id, height }));
  server?.methods.set('blockchain.scripthash.get_history', () => answer);
}

/** What the server lists as unspent for every script: output 0 of each. */
export function showUnspent(server: HostileElectrum | undefined, entries: Listed): void {
  const answer = entries.map(([id, height]) => ({ tx_hash: id, tx_pos: 0, height }));
  server?.methods.set('blockchain.scripthash.listunspent', () => answer);
}

/** The server has these transactions only. */
export function showTransactions(
  server: HostileElectrum | undefined,
  shown: readonly { readonly id: Txid; readonly raw: Buffer }[],
): void {
  server?.methods.set('blockchain.transaction.get', ([id]) => {
    const found = shown.find((transaction) => transaction.id === id);
    if (found === undefined) throw new ServerFault('missing transaction');
    return found.raw.toString('hex');
  });
}

/** The server's tip: at once, and for everyone who asks later. */
export function showTip(server: HostileElectrum | undefined, header: { height: number; hex: string }): void {
  server?.methods.set('blockchain.headers.subscribe', () => header);
  server?.methods.set('blockchain.block.header', ([height]) =>
    height === header.height ? header.hex : headerVector(Number(height)).hex,
  );
  for (const connection of server?.connections ?? []) {
    connection.notify('blockchain.headers.subscribe', [{ height: header.height, hex: header.hex }]);
  }
}

/** The time that a promise takes, milliseconds. */
export async function timed<T>(work: Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const since = performance.now();
  return { value: await work, ms: performance.now() - since };
}
