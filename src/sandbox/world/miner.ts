/** Blocks that come by themselves. */

/** A chain's clock. */
export class Miner {
  readonly #mine: () => void;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #blockSecs = 0;

  constructor(mine: () => void, onError: (error: unknown) => void) {
    this.#mine = mine;
    this.#onError = onError;
  }

  /** Seconds between blocks; 0 = only on command. */
  get blockSecs(): number {
    return this.#blockSecs;
  }

  set blockSecs(blockSecs: number) {
    clearInterval(this.#timer);
    this.#blockSecs = blockSecs;
    if (blockSecs === 0) return;
    this.#timer = setInterval(() => {
      try {
        this.#mine();
      } catch (error) {
        this.#onError(error);
      }
    }, blockSecs * 1000);
  }
}
