/**
 * The servers of a group: who is asked, and what each said.
 *
 * A server that is away is not asked. One that failed a question by silence, nonsense or a dropped connection is asked
 * again only when it has answered that question: otherwise it would delay every caller anew after each reconnect.
 */
import { errorChain, SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import type { ChainChange, LiquidChain } from './chain.js';
import { ElectrumError } from './electrumConnection.js';

/** A question; it may be asked again. */
type Question<T> = (chain: LiquidChain) => Promise<T>;

type Answer<T> = { readonly server: string; readonly kind: 'answered'; readonly value: T };

type Failure<Kind> = { readonly server: string; readonly kind: Kind; readonly error: SwapError };

/** `refused`: the server answered, but not with what was asked for. `away`: no usable answer came. */
type Reply<T> = Answer<T> | Failure<'refused'> | Failure<'away'>;

type Member = {
  readonly server: string;
  readonly chain: LiquidChain;
  /** `probed`: connected, but it still owes an answer. */
  state: 'away' | 'probed' | 'up';
  /** The question that it failed last. */
  owed: Question<unknown> | undefined;
};

function isRefusal({ code, cause }: SwapError): boolean {
  return (
    code !== 'chain_unavailable' || cause === undefined || (cause instanceof ElectrumError && cause.kind === 'server')
  );
}

export class ElectrumMembers {
  readonly #members: readonly Member[];
  readonly #waitMs: number;
  readonly #log: Logger;
  readonly #onChange: (change: ChainChange) => void;
  /** Told of every arrival, and of the end. */
  readonly #waiting = new Set<() => void>();
  /** Settles when all servers were reached, or had the time for it. */
  readonly #started: Promise<void>;
  #isClosed = false;

  constructor(options: {
    readonly servers: readonly string[];
    readonly connect: (server: string) => LiquidChain;
    /** How long the first questions wait for all servers, and later ones for any. */
    readonly waitMs: number;
    readonly log: Logger;
    /** Told what the servers that are asked tell; a server is `connected` when it is asked from now on. */
    readonly onChange: (change: ChainChange) => void;
  }) {
    this.#waitMs = options.waitMs;
    this.#log = options.log;
    this.#onChange = options.onChange;
    this.#members = options.servers.map((server) => ({
      server,
      chain: options.connect(server),
      state: 'away',
      owed: undefined,
    }));
    for (const member of this.#members) {
      member.chain.onChange((change) => {
        this.#onMemberChange(member, change);
      });
    }
    this.#started = this.#until(() => this.#members.every(({ state }) => state !== 'away'));
  }

  /** Every server's chain, be it there or not. */
  chains(): readonly LiquidChain[] {
    return this.#members.map(({ chain }) => chain);
  }

  /** The chains of all servers that have a connection; of all servers if none gets one within the wait. */
  async present(): Promise<readonly LiquidChain[]> {
    return (await this.#present()).map(({ chain }) => chain);
  }

  /** Asks all that can be asked, in parallel. Never rejects for what servers do. */
  async ask<T>(question: Question<T>): Promise<Reply<T>[]> {
    return await Promise.all(await this.#pending(question));
  }

  /**
   * Like {@link ask}, but only the answers, at least one.
   *
   * @throws SwapError `chain_unavailable`, or `history_too_long` if a server refused for that.
   */
  async answers<T>(question: Question<T>): Promise<Answer<T>[]> {
    const replies = await this.ask(question);
    const answers = replies.filter((reply) => reply.kind === 'answered');
    if (answers.length === 0) throw failureOf(replies);
    return answers;
  }

  /**
   * The first answer that fits, else any other than undefined, else undefined if that is what was answered.
   *
   * @throws like {@link answers}.
   */
  async first<T>(question: Question<T | undefined>, fits: (value: T) => boolean = () => true): Promise<T | undefined> {
    const pending = await this.#pending(question);
    const isFound = (reply: Reply<T | undefined>): boolean =>
      reply.kind === 'answered' && reply.value !== undefined && fits(reply.value);
    const found = await firstFitting(pending, isFound);
    if (found?.kind === 'answered') return found.value;
    const replies = await Promise.all(pending);
    const answers = replies.filter((reply) => reply.kind === 'answered');
    if (answers.length === 0) throw failureOf(replies);
    return answers.find(({ value }) => value !== undefined)?.value;
  }

  close(): void {
    this.#isClosed = true;
    for (const { chain } of this.#members) chain.close();
    this.#wakeWaiting();
  }

  async #pending<T>(question: Question<T>): Promise<Promise<Reply<T>>[]> {
    const present = await this.#present();
    const up = present.filter(({ state }) => state === 'up');
    return (up.length > 0 ? up : present).map(async (member) => await askMember(member, question));
  }

  async #present(): Promise<readonly Member[]> {
    await this.#started;
    const isAnyThere = (): boolean => this.#members.some(({ state }) => state !== 'away');
    if (!isAnyThere()) await this.#until(isAnyThere);
    const present = this.#members.filter(({ state }) => state !== 'away');
    // Those that are away fail at once, and say why.
    return present.length > 0 ? present : this.#members;
  }

  #onMemberChange(member: Member, change: ChainChange): void {
    const wasUp = member.state === 'up';
    if (change.kind === 'connected') {
      this.#admit(member);
      return;
    }
    if (change.kind === 'disconnected') member.state = 'away';
    if (wasUp) this.#onChange(change);
  }

  #admit(member: Member): void {
    const { owed } = member;
    member.state = owed === undefined ? 'up' : 'probed';
    this.#wakeWaiting();
    if (owed === undefined) this.#onChange({ kind: 'connected' });
    else {
      this.#probe(member, owed).catch((error: unknown) => {
        this.#log.error({ server: member.server, error: errorChain(error) }, 'an electrum server could not be probed');
      });
    }
  }

  async #probe(member: Member, owed: Question<unknown>): Promise<void> {
    const { kind } = await askMember(member, owed);
    if (kind === 'away' || member.state !== 'probed') return;
    member.owed = undefined;
    member.state = 'up';
    this.#onChange({ kind: 'connected' });
  }

  #wakeWaiting(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when the condition holds, when the time is over, or when the group is closed. */
  async #until(condition: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const wake = (): void => {
        if (this.#isClosed || condition()) end();
      };
      const timer = setTimeout(end, this.#waitMs);
      this.#waiting.add(wake);
      wake();
    });
  }
}

/** The first value to arrive that fits; undefined when all have arrived and none fits. */
export async function firstFitting<T>(
  pending: readonly Promise<T>[],
  fits: (value: T) => boolean,
): Promise<T | undefined> {
  return await new Promise((resolve, reject) => {
    const looked = pending.map(async (promise) => {
      const value = await promise;
      if (fits(value)) resolve(value);
    });
    Promise.all(looked).then(() => {
      resolve(undefined);
    }, reject);
  });
}

async function askMember<T>(member: Member, question: Question<T>): Promise<Reply<T>> {
  const { server, chain } = member;
  try {
    return { server, kind: 'answered', value: await question(chain) };
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    // Being away is no failure of the question; a connection that it ended is.
    if (error.cause instanceof ElectrumError && error.cause.kind !== 'server') member.owed = question;
    return isRefusal(error) ? { server, kind: 'refused', error } : { server, kind: 'away', error };
  }
}

/** Why nobody answered. */
function failureOf(replies: readonly Reply<unknown>[]): SwapError {
  const failures = replies.flatMap((reply) => (reply.kind === 'answered' ? [] : [reply]));
  const tooLong = failures.find(({ error }) => error.code === 'history_too_long');
  if (tooLong !== undefined) return tooLong.error;
  const [first] = failures;
  return new SwapError('chain_unavailable', `none of ${failures.length} Electrum servers answered`, {
    cause: first?.error,
  });
}
