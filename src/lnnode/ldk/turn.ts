/**
 * The turn: the only way into LDK, and the only way to write to the database.
 *
 * One turn = BEGIN; the body; LDK's events until none is left; the channel manager if it changed; COMMIT; the generation
 * file. Only then do effects leave the process (socket bytes, broadcasts, notifications). A crash at any moment therefore
 * loses at most effects that the peer or the chain asks for again, and a stale manager beside newer monitors cannot exist.
 */
import type { Logger } from '../../log.js';
import { NodeError } from '../errors.js';
import type { Generation } from '../generation.js';
import type { Database } from '../store/db.js';

/** Exit code for a state that cannot be trusted any more: start again, the database is consistent. */
export const EXIT_FATAL = 70;

/** LDK as the turn sees it. */
export type Engine = {
  /** Handles one round of events and messages; true if anything happened. */
  pump(): boolean;
  /** The channel manager's bytes if it must be stored. */
  changedManager(force: boolean): Uint8Array | undefined;
  storeManager(manager: Uint8Array): void;
  /** Lets the bytes for the peers out. */
  flush(): void;
};

export type Turns = ReturnType<typeof makeTurns>;

/** Ends the process. A JavaScript exception that crosses WebAssembly frames leaves LDK's locks taken. */
function die(log: Logger, what: string, error: unknown): never {
  try {
    log.fatal({ err: error }, `${what}: cannot go on`);
  } finally {
    process.exit(EXIT_FATAL);
  }
}

/** Makes the turn machinery; `use` connects the engine once LDK is loaded. */
export function makeTurns(db: Database, generation: Generation, log: Logger) {
  const begin = db.prepare('BEGIN');
  const commit = db.prepare('COMMIT');
  let engine: Engine | undefined;
  let isOpen = false;
  let isDirty = false;
  let isStopped = false;
  let count = 0;
  const effects: (() => void)[] = [];

  const settle = (): void => {
    if (engine === undefined) return;
    let rounds = 0;
    while (engine.pump()) if (++rounds > 10_000) throw new Error('LDK events never end');
    const manager = engine.changedManager(isDirty);
    isDirty = false;
    if (manager !== undefined) engine.storeManager(manager);
  };

  const transaction = <T>(body: () => T): { value: T } | { refused: NodeError } => {
    begin.run();
    let outcome: { value: T } | { refused: NodeError };
    try {
      outcome = { value: body() };
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      outcome = { refused: error };
    }
    settle();
    generation.raise();
    commit.run();
    generation.write();
    return outcome;
  };

  return {
    use: (next: Engine): void => {
      engine = next;
    },
    /**
     * Runs `body` in a turn, or joins the one that is open. It may throw NodeError before it has changed anything; any
     * other exception ends the process.
     */
    run<T>(body: () => T): T {
      if (isOpen) return body();
      if (isStopped) throw new NodeError('shutting_down', 'the node is shutting down');
      isOpen = true;
      count += 1;
      let outcome;
      try {
        outcome = transaction(body);
        isOpen = false;
        engine?.flush();
        for (let effect = effects.shift(); effect !== undefined; effect = effects.shift()) effect();
      } catch (error) {
        die(log, 'turn', error);
      }
      if ('refused' in outcome) throw outcome.refused;
      return outcome.value;
    },
    /** Runs `effect` once everything before it is durable. */
    after: (effect: () => void): void => {
      if (!isOpen) throw new Error('effects belong to a turn');
      effects.push(effect);
    },
    /** LDK changed something that needs the manager stored with it. */
    markDirty: (): void => {
      isDirty = true;
    },
    /** For callbacks that LDK makes: an exception in them is the end. */
    guarded<T>(what: string, body: () => T): T {
      try {
        return body();
      } catch (error) {
        die(log, what, error);
      }
    },
    /** Grows with every turn; between two turns nothing in LDK changes. */
    count: (): number => count,
    isStopped: (): boolean => isStopped,
    stop: (): void => {
      isStopped = true;
    },
  };
}
