/**
 * The Liquid chain seen through several Electrum servers at once. One server can lie or stay silent about a spend or a
 * block; here every answer is compared, and what they contradict each other about is told by `disagreement()`.
 *
 * What a server shows against the seller (a spend) counts as soon as one shows it; what it shows in the seller's favour (a
 * confirmation, an unspent output, a place in a block) only when all that answer show it.
 */
import { parseTransaction } from '../core/tx.js';
import { blockHeight, hex, type BlockHash, type BlockHeight, type SatPerKvb, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import type {
  BroadcastOutcome,
  ChainChange,
  HistoryEntry,
  HistoryOptions,
  LiquidChain,
  Tip,
  TransactionOptions,
  UnspentEntry,
} from './chain.js';
import { connectElectrum, type ElectrumOptions } from './electrum.js';
import { commonUnspent, historyContradiction, mergeHistories, type HistoryView } from './electrumCompare.js';
import { Disagreements } from './electrumDisagreements.js';
import { ElectrumMembers, firstFitting } from './electrumMembers.js';
import { DEFAULT_TIMEOUTS } from './electrumSupervisor.js';

type Shown<T> = { readonly server: string; readonly value: T };

/** How long a server whose connection just broke may hold up a question to the others. */
const MEMBER_WAIT_MS = 250;

const blockKey = (height: number): string => `block ${height}`;
const scriptKey = (scriptPubKey: Uint8Array): string => `script ${hex(scriptPubKey)}`;

class ElectrumGroup implements LiquidChain {
  readonly #log: Logger;
  readonly #members: ElectrumMembers;
  readonly #disagreements: Disagreements;
  readonly #listeners = new Set<(change: ChainChange) => void>();
  /** The last tips that were compared, so that the same ones cost nothing. */
  #compared: { readonly key: string; readonly isDone: Promise<boolean> } | undefined;

  constructor(options: ElectrumOptions) {
    this.#log = options.log;
    this.#disagreements = new Disagreements(options.log);
    const { reconnectWaitMs } = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const timeouts = { ...options.timeouts, reconnectWaitMs: Math.min(reconnectWaitMs, MEMBER_WAIT_MS) };
    this.#members = new ElectrumMembers({
      servers: options.servers,
      connect: (server) => connectElectrum({ ...options, servers: [server], timeouts }),
      waitMs: reconnectWaitMs,
      log: options.log,
      onChange: (change) => {
        this.#emit(change);
      },
    });
  }

  async genesisHash(): Promise<BlockHash> {
    return this.#agreed(blockHeight(0), await this.#members.answers((chain) => chain.genesisHash()));
  }

  async tip(): Promise<Tip> {
    const tips = await this.#members.answers((chain) => chain.tip());
    return tips.map(({ value }) => value).reduce((highest, tip) => (tip.height > highest.height ? tip : highest));
  }

  async tips(): Promise<readonly Tip[]> {
    const tips = await this.#members.answers((chain) => chain.tip());
    await this.#compareTips(tips);
    this.#disagreements.askAgain();
    return tips.map(({ value }) => value);
  }

  async blockAt(height: BlockHeight): Promise<Tip> {
    const blocks = await this.#members.answers((chain) => chain.blockAt(height));
    this.#agreed(
      height,
      blocks.map(({ server, value }) => ({ server, value: value.hash })),
    );
    const [first] = blocks;
    if (first === undefined) throw new Error('answers() gives at least one');
    return first.value;
  }

  disagreement(): string | undefined {
    return this.#disagreements.summary();
  }

  async history(scriptPubKey: Uint8Array, options: HistoryOptions = {}): Promise<readonly HistoryEntry[]> {
    const views = await this.#historyViews(scriptPubKey, options);
    // One that was remembered a moment too long is no contradiction.
    const isDoubtful = options.isFresh !== true && historyContradiction(views) !== undefined;
    const last = isDoubtful ? await this.#historyViews(scriptPubKey, { isFresh: true }) : views;
    const contradiction = historyContradiction(last);
    if (contradiction !== undefined) {
      this.#disagreements.note(scriptKey(scriptPubKey), {
        sentence: `${scriptKey(scriptPubKey)}: ${contradiction}`,
        ask: async () => await this.history(scriptPubKey, { isFresh: true }),
      });
    } else if (last.length > 1) this.#disagreements.clear(scriptKey(scriptPubKey));
    return mergeHistories(last);
  }

  async transaction(id: Txid, options: TransactionOptions = {}): Promise<Buffer | undefined> {
    return await this.#members.first((chain) => chain.transaction(id), options.fits);
  }

  async unspent(scriptPubKey: Uint8Array): Promise<readonly UnspentEntry[]> {
    const answers = await this.#members.answers((chain) => chain.unspent(scriptPubKey));
    return commonUnspent(answers.map(({ value }) => value));
  }

  async proveInclusion(id: Txid, height: BlockHeight): Promise<BlockHash> {
    const replies = await this.#members.ask(async (chain) => {
      const tip = await chain.tip();
      return tip.height < height ? undefined : await chain.proveInclusion(id, height);
    });
    const refused = replies.find((reply) => reply.kind === 'refused');
    if (refused !== undefined) throw refused.error;
    const proofs = replies.flatMap((reply) =>
      reply.kind === 'answered' && reply.value !== undefined ? [{ server: reply.server, value: reply.value }] : [],
    );
    if (proofs.length > 0) return this.#agreed(height, proofs);
    const away = replies.find((reply) => reply.kind === 'away');
    throw new SwapError('chain_unavailable', `no server with a block ${height} answered`, { cause: away?.error });
  }

  async broadcast(rawTx: Uint8Array): Promise<BroadcastOutcome> {
    parseTransaction(rawTx); // what is no transaction reaches no server
    const chains = await this.#members.present();
    const pending = chains.map(async (chain) => await chain.broadcast(rawTx));
    const accepted = await firstFitting(pending, ({ kind }) => kind === 'accepted');
    if (accepted !== undefined) return accepted;
    const outcomes = await Promise.all(pending);
    const [first] = outcomes;
    return (
      outcomes.find(({ kind }) => kind === 'rejected') ??
      first ?? { kind: 'unknown', cause: new Error('no server was there to broadcast to') }
    );
  }

  async feeRate(): Promise<SatPerKvb> {
    const rates = await this.#members.answers((chain) => chain.feeRate());
    return rates.map(({ value }) => value).reduce((highest, rate) => (rate > highest ? rate : highest));
  }

  subscribe(scriptPubKey: Uint8Array): void {
    for (const chain of this.#members.chains()) chain.subscribe(scriptPubKey);
  }

  unsubscribe(scriptPubKey: Uint8Array): void {
    for (const chain of this.#members.chains()) chain.unsubscribe(scriptPubKey);
    this.#disagreements.clear(scriptKey(scriptPubKey));
  }

  onChange(listener: (change: ChainChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#members.close();
    this.#listeners.clear();
  }

  /** Every server's history of the script between two looks at its tip. */
  async #historyViews(scriptPubKey: Uint8Array, options: HistoryOptions): Promise<HistoryView[]> {
    const answers = await this.#members.answers(async (chain) => {
      const tipBefore = (await chain.tip()).height;
      const entries = await chain.history(scriptPubKey, options);
      return { entries, tipBefore, tipAfter: (await chain.tip()).height };
    });
    return answers.map(({ server, value }) => ({ server, ...value }));
  }

  /** Looks whether all servers follow one chain: whoever is ahead must have the block at which the last one stands. */
  async #compareTips(tips: readonly Shown<Tip>[]): Promise<void> {
    const key = tips.map(({ server, value }) => `${server} ${value.hash}`).join(' ');
    if (this.#compared?.key !== key) this.#compared = { key, isDone: this.#compareChains(tips) };
    const comparison = this.#compared;
    if (!(await comparison.isDone) && this.#compared === comparison) this.#compared = undefined;
  }

  /** @returns whether all of them answered. */
  async #compareChains(tips: readonly Shown<Tip>[]): Promise<boolean> {
    const lowest = blockHeight(Math.min(...tips.map(({ value }) => value.height)));
    const isLevel = tips.every(({ value }) => value.height === lowest);
    const shown = isLevel
      ? tips.map(({ server, value }) => ({ server, value: value.hash }))
      : await this.#shown(lowest);
    this.#judgeBlock(lowest, shown);
    return shown.length >= tips.length;
  }

  async #shown(height: BlockHeight): Promise<Shown<BlockHash | undefined>[]> {
    const replies = await this.#members.ask((chain) => chain.blockAt(height));
    return replies.flatMap((reply) => {
      if (reply.kind === 'away') return [];
      return [{ server: reply.server, value: reply.kind === 'answered' ? reply.value.hash : undefined }];
    });
  }

  /** The hash that all show. @throws SwapError `chain_unavailable` if they differ. */
  #agreed(height: BlockHeight, shown: readonly Shown<BlockHash>[]): BlockHash {
    const problem = this.#judgeBlock(height, shown);
    const [first] = shown;
    if (problem !== undefined || first === undefined) throw new SwapError('chain_unavailable', problem ?? 'no answer');
    return first.value;
  }

  /** Notes whether servers differ about a block, and returns how. One answer alone says nothing. */
  #judgeBlock(height: BlockHeight, shown: readonly Shown<BlockHash | undefined>[]): string | undefined {
    const [first] = shown;
    const other = shown.find(({ value }) => value !== first?.value);
    if (first === undefined || other === undefined) {
      if (shown.length > 1) this.#disagreements.clear(blockKey(height));
      return undefined;
    }
    const name = ({ server, value }: Shown<BlockHash | undefined>): string => `${server} shows ${value ?? 'nothing'}`;
    const sentence = `${blockKey(height)}: ${name(first)}, ${name(other)}`;
    this.#disagreements.note(blockKey(height), { sentence, ask: async () => await this.blockAt(height) });
    return sentence;
  }

  /** A listener's failure is its own. */
  #emit(change: ChainChange): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#log.error({ change: change.kind, error: errorChain(error) }, 'a chain listener failed');
      }
    }
  }
}

/**
 * Connects to all servers and keeps them so until `close()`. Returns at once; the first requests wait a short while for
 * all servers, later ones only for those that are there. With one server: {@link connectElectrum}.
 *
 * @throws SwapError `bad_config` for a malformed server or if `caFile` cannot be read.
 */
export function connectElectrumGroup(options: ElectrumOptions): LiquidChain {
  return options.servers.length > 1 ? new ElectrumGroup(options) : connectElectrum(options);
}
