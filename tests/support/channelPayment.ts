/**
 * A chain and two Lightning nodes as programs, of whatever kind: over the port for money, and over a small wrapper of the
 * processes for what only an operator does.
 */
import type { Pubkey } from '../../src/core/units.js';
import type { LightningNode } from '../../src/lightning/node.js';
import { eventually } from './eventually.js';

const WAIT_MS = 120_000;
const TAIL_LINES = 20;
const TAIL_MARK = '--- the end of the log of';

/** A Bitcoin regtest chain. */
export type ChainProgram = {
  readonly name: string;
  /** Its JSON-RPC; the certificate for https. */
  readonly login: {
    readonly url: string;
    readonly user: string;
    readonly password: string;
    readonly caFile?: string | undefined;
  };
  /** Pays to an address, in the next block. */
  fund(address: string, sats: bigint): Promise<void>;
  mine(blocks: number): Promise<void>;
  tipHeight(): Promise<number>;
  /** Transactions that wait for a block. */
  waiting(): Promise<number>;
  log(): string;
  stop(): Promise<void>;
};

/** A Lightning node and the process behind it. */
export type NodeProgram = {
  readonly name: string;
  readonly nodeId: Pubkey;
  /** Another one after a restart. */
  readonly port: LightningNode;
  /** host:port for peers. */
  readonly peerAddress: string;
  newAddress(): Promise<string>;
  confirmedSats(): Promise<bigint>;
  connect(peer: NodeProgram): Promise<void>;
  openChannel(peer: NodeProgram, capacitySats: bigint): Promise<void>;
  hasUsableChannel(peer: NodeProgram): Promise<boolean>;
  /** Asks the peer to close the channel with it; returns when that is under way. */
  closeChannel(peer: NodeProgram): Promise<void>;
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  log(): string;
  stop(): Promise<void>;
};

export type ChannelPaymentStage = {
  readonly chain: ChainProgram;
  readonly payer: NodeProgram;
  readonly payee: NodeProgram;
};

/** An error that also shows the end of every program's log. */
export function withTails({ chain, payer, payee }: ChannelPaymentStage, message: string, cause: unknown): Error {
  if (message.includes(TAIL_MARK)) return new Error(message, { cause });
  const tails = [chain, payer, payee].map((program) => {
    const lines = program.log().trimEnd().split('\n').slice(-TAIL_LINES);
    return `${TAIL_MARK} ${program.name} ---\n${lines.join('\n')}`;
  });
  return new Error([message, ...tails].join('\n'), { cause });
}

/** What an error says; clients of lnd reject with an array. */
const wordsOf = (error: unknown): string =>
  error instanceof Error ? error.message : Array.isArray(error) ? error.slice(0, 2).join(' ') : String(error);

/** Waits with a deadline. @throws Error with the end of every program's log */
export async function awaitOnStage<T>(
  stage: ChannelPaymentStage,
  { what, ms = WAIT_MS }: { readonly what: string; readonly ms?: number },
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  let why: unknown;
  try {
    return await eventually(
      what,
      () =>
        probe().catch((error: unknown) => {
          why = error;
          return undefined;
        }),
      ms,
    );
  } catch (cause) {
    const last = why === undefined ? '' : `; the last answer: ${wordsOf(why)}`;
    throw withTails(stage, `not in time: ${what}${last}`, cause);
  }
}
