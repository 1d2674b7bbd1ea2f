/**
 * Blinding and unblinding in a worker thread: 20 to 80 ms of synchronous work each would stall the event loop.
 *
 * The thread starts with the first call. If it ends unexpectedly, open calls are rejected and the next call starts another.
 */
import { Worker } from 'node:worker_threads';

import { SwapError } from '../errors.js';
import type { BuildTask, UnblindTask, UnblindedOutput } from './blindingTasks.js';
import type { BlindingAnswer, BlindingRequest } from './blindingWorker.js';

export type { BuildTask, UnblindedOutput } from './blindingTasks.js';

/** The thread as the rest of the program sees it. */
export type BlindingWorker = {
  /**
   * @returns the raw unsigned transaction.
   * @throws SwapError `invalid_argument` for what cannot be built; Error if the thread ended.
   */
  readonly buildTransaction: (task: BuildTask) => Promise<Buffer>;
  /** @returns undefined if the output does not open with this key. @throws Error if the thread ended. */
  readonly unblind: (task: UnblindTask) => Promise<UnblindedOutput | undefined>;
  readonly close: () => void;
};

type Call = { readonly resolve: (answer: BlindingAnswer) => void; readonly reject: (error: Error) => void };
type Ask =
  { readonly kind: 'build'; readonly task: BuildTask } | { readonly kind: 'unblind'; readonly task: UnblindTask };

/** A thread runs compiled JavaScript only: under a runner of TypeScript it takes the file of the last build. */
function defaultEntry(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? '../../dist/liquid/blindingWorker.js' : './blindingWorker.js', import.meta.url);
}

class BlindingThread {
  readonly #entry: URL;
  readonly #calls = new Map<number, Call>();
  #thread: Worker | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(entry: URL) {
    this.#entry = entry;
  }

  async ask(ask: Ask): Promise<BlindingAnswer> {
    if (this.#isClosed) throw new Error('the blinding thread was closed');
    const thread = (this.#thread ??= this.#start());
    this.#lastId += 1;
    const id = this.#lastId;
    const request: BlindingRequest = { ...ask, id };
    return await new Promise((resolve, reject) => {
      thread.postMessage(request); // throws before anything is noted if the task cannot be sent
      this.#calls.set(id, { resolve, reject });
      thread.ref(); // the program may not end while someone waits
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#thread?.terminate().catch(() => undefined);
  }

  #start(): Worker {
    const thread = new Worker(this.#entry);
    thread.unref();
    let cause: unknown;
    thread.on('message', (answer: BlindingAnswer) => {
      const call = this.#calls.get(answer.id);
      this.#calls.delete(answer.id);
      if (this.#calls.size === 0) thread.unref();
      call?.resolve(answer);
    });
    thread.on('error', (error) => {
      cause = error;
    });
    thread.on('exit', () => {
      this.#thread = undefined;
      const calls = [...this.#calls.values()];
      this.#calls.clear();
      for (const { reject } of calls) reject(new Error('the blinding thread ended', { cause }));
    });
    return thread;
  }
}

function failure(answer: BlindingAnswer): Error {
  if (answer.kind !== 'failed') return new Error(`the blinding thread answered with "${answer.kind}"`);
  return answer.code === undefined ? new Error(answer.message) : new SwapError(answer.code, answer.message);
}

/** @param entry compiled file of the thread, for tests. */
export function startBlindingWorker(entry: URL = defaultEntry()): BlindingWorker {
  const thread = new BlindingThread(entry);
  return {
    buildTransaction: async (task) => {
      const answer = await thread.ask({ kind: 'build', task });
      if (answer.kind !== 'built') throw failure(answer);
      return Buffer.from(answer.rawTx);
    },
    unblind: async (task) => {
      const answer = await thread.ask({ kind: 'unblind', task });
      if (answer.kind !== 'unblinded') throw failure(answer);
      if (answer.output === undefined) return undefined;
      const { assetBlinder, valueBlinder } = answer.output;
      return { ...answer.output, assetBlinder: Buffer.from(assetBlinder), valueBlinder: Buffer.from(valueBlinder) };
    },
    close: () => {
      thread.close();
    },
  };
}
