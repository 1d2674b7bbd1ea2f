/** One purchase of the real `swap` program with a data directory of its own: killed, resumed, and looked at. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { z } from 'zod';

import { readEvidence, verifyEvidence } from '../../src/buyer/evidence.js';
import { readRecords } from '../../src/buyer/dataDir.js';
import { isFinal, type PurchaseRecord } from '../../src/buyer/record.js';
import type { Stage } from '../crash/stage.js';
import { startSwap, type SwapEnd, type SwapRun } from '../support/swapProgram.js';

const TIMEOUT_SECS = 60;
/** Resumptions until a purchase counts as stuck. */
const MOST_RESUMES = 5;
const AMOUNT = 2_500_000_000n;

export type Buying = {
  readonly dir: string;
  readonly traceFile: string;
  /** `swap buy`, armed. */
  readonly buy: (env?: Readonly<Record<string, string>>) => SwapRun;
  readonly resume: (env?: Readonly<Record<string, string>>) => SwapRun;
  readonly records: () => readonly PurchaseRecord[];
  /** Names of the failpoints that were hit, in order. */
  readonly trace: () => string[];
  /** Confirmed asset in the wallet of this data directory, asked with the program itself. */
  readonly asset: () => Promise<bigint>;
  readonly remove: () => void;
};

const balanceSchema = z.object({
  balances: z.array(z.object({ ticker: z.string().nullish(), confirmed: z.string() })),
});

export function newBuying(stage: Stage): Buying {
  const dir = mkdtempSync(join(tmpdir(), 'swap-kill-'));
  const traceFile = join(dir, 'trace');
  const common = ['--world', join(stage.world.dir, 'world.json'), '--data-dir', dir, '--json'];
  const timeout = ['--timeout', String(TIMEOUT_SECS)];
  return {
    dir,
    traceFile,
    buy: (env = {}) => startSwap(['buy', '--asset', 'USDT', '--amount', '25', ...timeout, ...common], env),
    resume: (env = {}) => startSwap(['buy', '--resume', ...timeout, ...common], env),
    records: () => readRecords(dir),
    trace: () => {
      try {
        return readFileSync(traceFile, 'utf8').trimEnd().split('\n');
      } catch {
        return [];
      }
    },
    asset: async () => {
      const { stdout, stderr, code } = await startSwap(['balance', ...common]).ended;
      if (code !== 0) throw new Error(`balance: ${stderr}`);
      const { balances } = balanceSchema.parse(JSON.parse(stdout));
      return BigInt(balances.find(({ ticker }) => ticker === 'USDT')?.confirmed ?? '0');
    },
    remove: () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Resumes as a person would, until nothing is open. @returns the last run. */
export async function resumeToEnd(buying: Buying): Promise<SwapEnd> {
  for (let tries = 1; ; tries += 1) {
    const end = await buying.resume().ended;
    const isOpen = buying.records().some(({ progress }) => !isFinal(progress.step));
    if (!isOpen || tries === MOST_RESUMES) return end;
  }
}

/** How the purchases of a data directory ended: `claimed`, `unpaid`, `none` (nothing was begun), or what is wrong. */
export const endOf = (buying: Buying): string =>
  buying
    .records()
    .map(({ progress }) => progress.step)
    .join(', ') || 'none';

/** What does not add up in a data directory that nobody works on any more. */
export async function problemsOf(buying: Buying, last: SwapEnd): Promise<string[]> {
  const records = buying.records();
  const claimed = records.filter(({ progress }) => progress.step === 'claimed');
  const open = records.filter(({ progress }) => progress.step !== 'claimed' && progress.step !== 'unpaid');
  const asset = await buying.asset();
  const expected = AMOUNT * BigInt(claimed.length);
  const evidence = claimed.filter(
    ({ number }) => verifyEvidence(readEvidence(buying.dir, number) ?? '').facts === undefined,
  );
  return [
    ...(records.length > 1 ? [`expected one purchase, found ${records.length}`] : []),
    ...open.map(({ progress }) => `expected it claimed or unpaid, found ${progress.step}: ${last.stderr}`),
    ...(asset === expected ? [] : [`expected ${expected} of the asset, found ${asset}`]),
    ...evidence.map(({ number }) => `expected evidence of purchase ${number} that holds`),
  ];
}
