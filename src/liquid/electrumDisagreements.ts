/** What servers contradict each other about, until the same question is answered in agreement. */
import type { Logger } from '../log.js';

type Disagreement = {
  readonly sentence: string;
  /** Puts the question again; whoever answers it notes or clears what comes of it. */
  readonly ask: () => Promise<unknown>;
};

/** Open questions are put again this often at most. */
const ASK_AGAIN_MS = 1_000;

export class Disagreements {
  readonly #log: Logger;
  readonly #open = new Map<string, Disagreement>();
  #isAsking = false;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The oldest one, and how many there are. */
  summary(): string | undefined {
    const [oldest] = this.#open.values();
    if (oldest === undefined) return undefined;
    const others = this.#open.size - 1;
    return others === 0 ? oldest.sentence : `${oldest.sentence} (and ${others} more)`;
  }

  /** Each is logged once, until it is cleared. */
  note(key: string, disagreement: Disagreement): void {
    if (!this.#open.has(key)) this.#log.error({ disagreement: disagreement.sentence }, 'electrum servers disagree');
    this.#open.set(key, disagreement);
  }

  clear(key: string): void {
    if (this.#open.delete(key)) this.#log.info({ question: key }, 'electrum servers agree again');
  }

  /** Puts the open questions again in the background: a caller may have lost interest in them. */
  askAgain(): void {
    const now = performance.now();
    if (this.#open.size === 0 || this.#isAsking || now - this.#askedAt < ASK_AGAIN_MS) return;
    this.#askedAt = now;
    this.#isAsking = true;
    const asked = [...this.#open.values()].map(async ({ ask }) => await ask());
    Promise.allSettled(asked).then(
      () => {
        this.#isAsking = false;
      },
      () => undefined, // allSettled never rejects
    );
  }
}
