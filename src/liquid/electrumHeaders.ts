/** The headers that one connection has shown: the tip as last told, and those that were asked for. */
import type { BlockHash } from '../core/units.js';
import type { Tip } from './chain.js';
import { readHeader, readTip } from './electrumAnswers.js';
import type { ElectrumConnection } from './electrumConnection.js';
import type { BlockHeader } from './headers.js';

const MAX_CACHED = 2_000;

export class ElectrumHeaders {
  readonly #byHeight = new Map<number, BlockHeader>();
  readonly #onBlock: (tip: Tip) => void;
  #tip: BlockHeader | undefined;
  #announced: BlockHash | undefined;

  /** @param onBlock told every new tip, see {@link announce}. */
  constructor(onBlock: (tip: Tip) => void) {
    this.#onBlock = onBlock;
  }

  tip(): Tip | undefined {
    if (this.#tip === undefined) return undefined;
    const { height, hash, time } = this.#tip;
    return { height, hash, time };
  }

  /** A header asked for before, if no reorganisation was seen since. */
  cached(height: number): BlockHeader | undefined {
    return this.#byHeight.get(height);
  }

  /** @throws ElectrumError */
  async fetch(connection: ElectrumConnection, height: number): Promise<BlockHeader> {
    const header = await connection.ask('blockchain.block.header', [height], (answer) => readHeader(answer, height));
    if (this.#byHeight.size >= MAX_CACHED) this.#byHeight.clear();
    this.#byHeight.set(height, header);
    return header;
  }

  /** Begins anew on a fresh connection: another server may be on another branch. @throws ElectrumError */
  async start(connection: ElectrumConnection): Promise<void> {
    this.#byHeight.clear();
    this.#tip = undefined;
    await this.poll(connection);
  }

  /** Asks for the tip, and for notifications of the next ones; repeating is free. @throws ElectrumError */
  async poll(connection: ElectrumConnection): Promise<void> {
    const before = this.#tip;
    const tip = await connection.ask('blockchain.headers.subscribe', [], readTip);
    // A notification that came right behind the answer was handled first and is newer.
    if (this.#tip === before) this.advance(tip);
  }

  /** Takes a new tip; one that does not follow the old one may mean a reorganisation. */
  advance(tip: BlockHeader): void {
    if (tip.hash === this.#tip?.hash) return;
    if (tip.prevHash !== this.#tip?.hash) this.#byHeight.clear();
    this.#tip = tip;
  }

  /** Tells of the tip unless it was the last one told. */
  announce(): void {
    const tip = this.tip();
    if (tip === undefined || tip.hash === this.#announced) return;
    this.#announced = tip.hash;
    this.#onBlock(tip);
  }
}
