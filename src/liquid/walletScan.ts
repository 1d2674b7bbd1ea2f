/**
 * What the chain knows about the wallet's scripts, kept up to date cheaply: a script is asked about again only when the
 * server announced a change, after a reconnect, and now and then in case an announcement was lost.
 */
import { explicitOutput } from '../core/funding.js';
import { parseTransaction } from '../core/tx.js';
import {
  displayHex,
  hex,
  outpoint,
  outpointKey,
  type AssetAmount,
  type AssetId,
  type Outpoint,
  type Txid,
} from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import type { HistoryEntry, LiquidChain } from './chain.js';
import type { KeyChain, KeyRing, OwnKey } from './walletKeys.js';

/** An output to a script of the wallet that no known transaction spends. */
export type UnspentOutput = {
  readonly outpoint: Outpoint;
  readonly key: OwnKey;
  /** Signed: 0 and -1 are unconfirmed. */
  readonly height: number;
  /** The value as serialized, 9 bytes explicit or 33 bytes confidential. */
  readonly valueBytes: Buffer;
  /** What it holds if it hides nothing. */
  readonly explicit: { readonly assetId: AssetId; readonly value: AssetAmount } | undefined;
};

/** What is kept of a transaction: its bytes are not. */
type KnownTx = {
  /** Keys of the outpoints that it spends. */
  readonly spends: readonly string[];
  readonly outputs: readonly (Pick<UnspentOutput, 'outpoint' | 'valueBytes' | 'explicit'> & {
    readonly scriptPubKeyHex: string;
  })[];
};

/** Unused scripts looked at behind the last used one (BIP44). */
export const GAP_LIMIT = 20;
/** Requests sent at once. */
const BATCH = 20;
const REFRESH_MS = 600_000;

function readTx(id: Txid, raw: Buffer): KnownTx {
  const tx = parseTransaction(raw);
  return {
    spends: tx.ins.map((input) => `${displayHex(input.hash)}:${input.index}`),
    outputs: tx.outs.map((output, vout) => ({
      outpoint: outpoint(id, vout),
      scriptPubKeyHex: hex(output.script),
      valueBytes: Buffer.from(output.value),
      explicit: explicitOutput(output),
    })),
  };
}

async function inBatches<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += BATCH) {
    await Promise.all(items.slice(start, start + BATCH).map(run));
  }
}

export class WalletScan {
  readonly #chain: LiquidChain;
  readonly #keys: KeyRing;
  readonly #log: Logger;
  readonly #histories = new Map<string, readonly HistoryEntry[]>();
  readonly #txs = new Map<Txid, KnownTx>();
  /** Scripts whose history has to be asked for. */
  readonly #stale = new Set<string>();
  /** Scripts that the server does not list any more: what it told of them before is old. */
  readonly #flooded = new Set<string>();
  readonly #firstUnused: [number, number] = [0, 0];
  readonly #watched: [number, number] = [0, 0];
  #refreshedAt = Number.NEGATIVE_INFINITY;
  /** Every script is being asked about. A reconnect begins another round only after it: or it would never end. */
  #isRound = false;
  #version = 0;

  constructor(options: { readonly chain: LiquidChain; readonly keys: KeyRing; readonly log: Logger }) {
    this.#chain = options.chain;
    this.#keys = options.keys;
    this.#log = options.log;
    this.#chain.onChange((change) => {
      if (change.kind === 'connected') this.#refreshedAt = Number.NEGATIVE_INFINITY;
      if (change.kind === 'script' && this.#histories.has(change.scriptPubKeyHex)) {
        this.#stale.add(change.scriptPubKeyHex);
      }
    });
  }

  /** Index behind the last key that ever appeared on the chain. */
  firstUnused(chain: KeyChain): number {
    return this.#firstUnused[chain];
  }

  /** Rises whenever something was learned. */
  get version(): number {
    return this.#version;
  }

  /**
   * Asks for what may have changed.
   *
   * @returns whether every script was asked about.
   * @throws SwapError `chain_unavailable`; what was not learned is asked for again by the next call.
   */
  async refresh(): Promise<boolean> {
    const startedAt = performance.now();
    if (!this.#isRound && startedAt - this.#refreshedAt >= REFRESH_MS) {
      for (const script of this.#histories.keys()) this.#stale.add(script);
      this.#refreshedAt = startedAt;
      this.#isRound = true;
    }
    await this.#readAll();
    const isComplete = this.#isRound;
    this.#isRound = false;
    return isComplete;
  }

  /** Outputs to the wallet that no transaction spends, be it confirmed or in the mempool. */
  unspent(): UnspentOutput[] {
    const spent = new Set<string>();
    for (const id of this.#txids()) this.#txs.get(id)?.spends.forEach((key) => spent.add(key));
    const found = new Map<string, UnspentOutput>();
    for (const script of this.#histories.keys()) {
      const key = this.#keys.find(script);
      if (key === undefined) continue;
      for (const { txid, height } of this.#listedAt(script)) {
        for (const output of this.#txs.get(txid)?.outputs ?? []) {
          const id = outpointKey(output.outpoint);
          if (output.scriptPubKeyHex === script && !spent.has(id)) found.set(id, { ...output, key, height });
        }
      }
    }
    return [...found.values()];
  }

  /** An output to the wallet, spent or not. */
  outputAt(key: string): UnspentOutput | undefined {
    for (const script of this.#histories.keys()) {
      const owner = this.#keys.find(script);
      for (const { txid, height } of owner === undefined ? [] : this.#listedAt(script)) {
        const output = this.#txs.get(txid)?.outputs.find((each) => outpointKey(each.outpoint) === key);
        if (owner !== undefined && output?.scriptPubKeyHex === script) return { ...output, key: owner, height };
      }
    }
    return undefined;
  }

  /** Transactions of the wallet that spend an output of it. */
  ownSpends(): Set<Txid> {
    const ids = this.#txids();
    const own = new Set<string>();
    for (const id of ids) {
      for (const { outpoint: point, scriptPubKeyHex } of this.#txs.get(id)?.outputs ?? []) {
        if (this.#keys.find(scriptPubKeyHex) !== undefined) own.add(outpointKey(point));
      }
    }
    return new Set([...ids].filter((id) => this.#txs.get(id)?.spends.some((key) => own.has(key))));
  }

  /** Transactions that touch the wallet, with all that they spend. */
  spends(): { readonly txid: Txid; readonly height: number; readonly spends: readonly string[] }[] {
    return [...this.#heights()].flatMap(([id, height]) => {
      const tx = this.#txs.get(id);
      return tx === undefined ? [] : [{ txid: id, height, spends: tx.spends }];
    });
  }

  /** Asks about stale scripts, each once, and goes on to new ones while used keys move the gap's end. */
  async #readAll(): Promise<void> {
    const asked = new Set<string>();
    for (;;) {
      this.#watch();
      const scripts = [...this.#stale].filter((script) => !asked.has(script));
      scripts.forEach((script) => asked.add(script));
      await inBatches(scripts, async (script) => {
        await this.#readHistory(script);
      });
      await this.#fetchTransactions();
      this.#markUsed();
      if (scripts.length === 0) return;
    }
  }

  /** Subscribes to the keys of both chains up to the gap limit. */
  #watch(): void {
    for (const chain of [0, 1] as const) {
      for (let index = this.#watched[chain]; index < this.#firstUnused[chain] + GAP_LIMIT; index += 1) {
        const { scriptPubKey, scriptPubKeyHex } = this.#keys.at(chain, index);
        this.#chain.subscribe(scriptPubKey);
        this.#histories.set(scriptPubKeyHex, []);
        this.#stale.add(scriptPubKeyHex);
        this.#watched[chain] = index + 1;
      }
    }
  }

  async #readHistory(script: string): Promise<void> {
    const key = this.#keys.find(script);
    if (key === undefined) return;
    this.#stale.delete(script); // before asking: an announcement in between counts again
    try {
      this.#histories.set(script, await this.#chain.history(key.scriptPubKey));
      this.#flooded.delete(script);
      this.#version += 1;
    } catch (error) {
      if (!(error instanceof SwapError && error.code === 'history_too_long')) {
        this.#stale.add(script);
        throw error;
      }
      // Anyone can flood a script of ours with dust. That must cost us this script only, not the whole wallet, and nothing
      // of what other scripts tell of it.
      this.#flooded.add(script);
      this.#version += 1;
      this.#log.warn({ script, error: errorChain(error) }, 'a script has more history than the server tells');
    }
  }

  /** A key counts as used when a transaction pays it: the word of the server alone would lead a scan on for ever. */
  #markUsed(): void {
    for (const script of this.#histories.keys()) {
      const key = this.#keys.find(script);
      if (key === undefined || key.index < this.#firstUnused[key.chain]) continue;
      const isPaid = this.#listedAt(script).some(({ txid }) =>
        this.#txs.get(txid)?.outputs.some((output) => output.scriptPubKeyHex === script),
      );
      if (isPaid) this.#firstUnused[key.chain] = key.index + 1;
    }
  }

  async #fetchTransactions(): Promise<void> {
    const missing = [...this.#txids()].filter((id) => !this.#txs.has(id));
    await inBatches(missing, async (id) => {
      const raw = await this.#chain.transaction(id);
      if (raw !== undefined) {
        this.#txs.set(id, readTx(id, raw));
        this.#version += 1;
        return;
      }
      // Gone between the two answers: what the history says is old.
      for (const [script, history] of this.#histories) {
        if (history.some((entry) => entry.txid === id)) this.#stale.add(script);
      }
    });
  }

  /** Transactions that may touch the script: of a flooded one all that are known, for ours spend coins of other scripts. */
  #listedAt(script: string): readonly HistoryEntry[] {
    if (!this.#flooded.has(script)) return this.#histories.get(script) ?? [];
    return [...this.#heights()].map(([txid, height]) => ({ txid, height }));
  }

  /** All known transactions; the height that a flooded script told before counts least. */
  #heights(): Map<Txid, number> {
    const heights = new Map<Txid, number>();
    for (const isFlooded of [true, false]) {
      for (const [script, history] of this.#histories) {
        if (this.#flooded.has(script) !== isFlooded) continue;
        for (const { txid, height } of history) heights.set(txid, height);
      }
    }
    return heights;
  }

  #txids(): Set<Txid> {
    return new Set([...this.#histories.values()].flatMap((history) => history.map((entry) => entry.txid)));
  }
}
