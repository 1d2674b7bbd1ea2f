/**
 * Programs of a test that is told once for every kind of chain and Lightning node. A new kind is one more starter beside
 * `lnnodedPrograms.ts` and `daemons/`, and one more line in the table of a test; the scenario stays as it is.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { Pubkey } from '../../src/core/units.js';
import { errorChain } from '../../src/errors.js';
import type { LightningNode } from '../../src/lightning/node.js';
import { eventually } from './eventually.js';
import type { Software } from './interoperability.js';
import { makeTempDir } from './tempDir.js';

/** Real daemons on a busy machine. */
const WAIT_MS = 120_000;
const START_MS = 150_000;
const GRACE_MS = 1000;
const TAIL_LINES = 20;

/** A program as far as it exists: known to the stage before it is ready, so that a start that fails leaves nothing. */
type StartedProgram = {
  /** Everything that it wrote. */
  readonly log: () => string;
  /** Ends it, whatever it does. */
  readonly stop: () => Promise<void>;
};

/** Where a starter puts its program. */
export type Place = {
  /** Of the program alone; for messages, too. */
  readonly name: string;
  /** A folder of the program alone. */
  readonly dir: string;
  /** To be called as soon as there is something to read or to end; also for every further attempt. */
  readonly started: (program: StartedProgram) => void;
};

/** A Bitcoin regtest chain. */
export type ChainProgram = {
  /** What of it nobody here wrote. */
  readonly software: readonly Software[];
  /** How nodes follow it. */
  readonly endpoints: {
    readonly bitcoind: {
      readonly url: string;
      readonly user: string;
      readonly password: string;
      /** The certificate for https. */
      readonly caFile?: string | undefined;
    };
    /** Base of an Esplora API, if it has one. */
    readonly esplora?: string;
  };
  /** Pays to an address, in the next block. */
  readonly fund: (address: string, sats: bigint) => Promise<void>;
  readonly mine: (blocks: number) => Promise<void>;
  readonly tipHeight: () => Promise<number>;
  /** Transactions that wait for a block. */
  readonly waiting: () => Promise<number>;
};

/** A Lightning node: the port, and what only an operator does. */
export type NodeProgram = {
  readonly name: string;
  /** What of it is ours, if anything that has a name. */
  readonly ours: readonly string[];
  /** What of it nobody here wrote. */
  readonly software: readonly Software[];
  readonly nodeId: Pubkey;
  /** Another one after a restart. */
  readonly port: LightningNode;
  /** host:port for peers. */
  readonly peerAddress: string;
  readonly newAddress: () => Promise<string>;
  readonly confirmedSats: () => Promise<bigint>;
  readonly connect: (peer: NodeProgram) => Promise<void>;
  readonly openChannel: (peer: NodeProgram, capacitySats: bigint) => Promise<void>;
  readonly hasUsableChannel: (peer: NodeProgram) => Promise<boolean>;
  /** Asks the peer to close the channel with it; resolves when that is under way. */
  readonly closeChannel: (peer: NodeProgram) => Promise<void>;
  /** Resolves when it is ready again. */
  readonly restart: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
};

/** The kinds of programs of a stage; nodes may need more of their chain. Each resolves when its program is ready. */
export type Starters<Chain extends ChainProgram = ChainProgram> = {
  readonly chain: (place: Place) => Promise<Chain>;
  readonly payer: (place: Place, chain: Chain) => Promise<NodeProgram>;
  readonly payee: (place: Place, chain: Chain) => Promise<NodeProgram>;
};

type Wait = { readonly what: string; readonly ms?: number };

/** A wait that ends in time or fails with the end of every program's log. */
type Waits = {
  /** One call. */
  readonly step: <T>(wait: Wait, call: () => Promise<T>) => Promise<T>;
  /** A condition, asked again and again; an error of the question is an answer like "not yet". */
  readonly until: <T>(wait: Wait, probe: () => Promise<T | undefined | false>) => Promise<T>;
};

export type ProgramStage = Waits & {
  readonly chain: ChainProgram;
  readonly payer: NodeProgram;
  readonly payee: NodeProgram;
  /** Ends everything; with `KEEP_E2E=1` the folders stay and are named. */
  readonly close: () => Promise<void>;
};

/** A failure with the end of every program's log; one in another one is told once. */
class StageFailure extends Error {}

type Registered = StartedProgram & { readonly name: string };

function tails(programs: readonly Registered[]): string {
  return programs
    .map(({ name, log }) => {
      const lines = log().trimEnd().split('\n').slice(-TAIL_LINES);
      return `--- the end of the log of ${name} ---\n${lines.join('\n')}`;
    })
    .join('\n');
}

/** Clients of lnd reject with an array: a status, a word, and more. */
const asError = (thrown: unknown): unknown =>
  Array.isArray(thrown) ? new Error(thrown.slice(0, 2).join(' ')) : thrown;

function waitsOver(programs: readonly Registered[]): Waits {
  const inTime = async <T>({ what, ms }: Required<Wait>, work: () => Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no answer within ${ms} ms`));
      }, ms);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (cause) {
      if (cause instanceof StageFailure) throw cause;
      throw new StageFailure(`failed: ${what}: ${errorChain(asError(cause))}\n${tails(programs)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    step: ({ what, ms = WAIT_MS }, call) => inTime({ what, ms }, call),
    until: <T>({ what, ms = WAIT_MS }: Wait, probe: () => Promise<T | undefined | false>) => {
      let last: unknown;
      const asked = (): Promise<T | undefined | false> =>
        probe().catch((error: unknown) => {
          last = asError(error);
          return undefined;
        });
      const work = (): Promise<T> =>
        eventually(what, asked, ms).catch((late: unknown) => {
          throw last === undefined ? late : new Error('the last answer was an error', { cause: last });
        });
      return inTime({ what, ms: ms + GRACE_MS }, work); // a question without an answer ends, too
    },
  };
}

type StageOptions = {
  readonly startMs?: number;
  /** Where everything lies; by default in memory, if there is room. */
  readonly newFolder?: (prefix: string) => string;
};

/** Programs in a folder of their own, known to every wait from the moment they exist. */
export type ProgramSet = Waits & {
  readonly dir: string;
  /** Starts one more; its place is a folder of its name. */
  readonly start: <T>(name: string, starter: (place: Place) => Promise<T>) => Promise<T>;
  /** Ends everything; with `KEEP_E2E=1` the folders stay and are named. */
  readonly close: () => Promise<void>;
};

/** A set without programs; `close` must be called. */
export function openProgramSet(
  prefix: string,
  { startMs = START_MS, newFolder = makeTempDir }: StageOptions = {},
): ProgramSet {
  const dir = newFolder(prefix);
  const programs: Registered[] = [];
  const { step, until } = waitsOver(programs);
  let isClosed = false;
  return {
    dir,
    step,
    until,
    start: (name, starter) => {
      const place: Place = {
        name,
        dir: join(dir, name),
        started: (program) => {
          if (!isClosed) {
            programs.push({ name, ...program });
            return;
          }
          program.stop().catch(() => undefined);
          throw new Error('the stage is closed: this attempt came too late');
        },
      };
      mkdirSync(place.dir);
      return step({ what: `the start of the ${name}`, ms: startMs }, () => starter(place));
    },
    close: async () => {
      isClosed = true;
      for (const program of programs.splice(0).reverse()) await program.stop();
      if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
      else rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Starts all programs from nothing; `close` must be called. */
export async function startProgramStage<Chain extends ChainProgram>(
  starters: Starters<Chain>,
  options: StageOptions = {},
): Promise<ProgramStage> {
  const { start, step, until, close } = openProgramSet('program-stage-', options);
  try {
    const chain = await start('chain', starters.chain);
    const payer = await start('payer', (place) => starters.payer(place, chain));
    const payee = await start('payee', (place) => starters.payee(place, chain));
    return { chain, payer, payee, step, until, close };
  } catch (error) {
    await close();
    throw error;
  }
}
