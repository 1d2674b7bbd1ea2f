/** Kills `swap buy` at failpoints or at random moments, resumes it, and judges what is left. */
import { setTimeout as delay } from 'node:timers/promises';

import { buyerMoney } from '../../src/demo/balances.js';
import { errorChain } from '../../src/errors.js';
import { createLogger } from '../../src/log.js';
import type { Stage } from '../crash/stage.js';
import type { SwapRun } from '../support/swapProgram.js';
import { eventually } from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';
import { endOf, newBuying, problemsOf, resumeToEnd, type Buying } from './purchase.js';

/** How one case ended. */
export type KillReport = {
  readonly name: string;
  readonly kills: number;
  /** Step of the purchase; `none` if it was killed before anything was begun. */
  readonly end: string;
  readonly problems: readonly string[];
  readonly seconds: number;
};

/** Hits of one failpoint that are tried: each time something else lies behind it. How often a call is repeated is chance. */
const MOST_HITS = 3;
/** Purchases at the same time. */
const AT_ONCE = 3;
/** Kills of one purchase at random moments, each within this time. */
const MOST_RANDOM_KILLS = 3;
const RANDOM_MS = 4_000;

const log = createLogger('buyer-kills', 'silent');

/** What the buyer's node can send. */
async function lightningMsat(stage: Stage): Promise<bigint> {
  const { lnnoded } = stage.world.file();
  return (await buyerMoney(stage.buyer.buyer, stage.assets, lnnoded.buyer, log)).lightningMsat;
}

type Play = (buying: Buying) => Promise<{ readonly kills: number; readonly problems: readonly string[] }>;
type Case = { readonly name: string; readonly play: Play };

async function runCase(stage: Stage, { name, play }: Case): Promise<{ report: KillReport; paidMsat: bigint }> {
  const startedAt = Date.now();
  const buying = newBuying(stage);
  try {
    const { kills, problems } = await play(buying);
    const last = await resumeToEnd(buying);
    const found = [...problems, ...(await problemsOf(buying, last))];
    const claimed = buying.records().filter(({ progress }) => progress.step === 'claimed');
    const paidMsat = claimed.reduce((sum, { deal }) => sum + deal.priceMsat, 0n);
    const seconds = (Date.now() - startedAt) / 1000;
    return { report: { name, kills, end: endOf(buying), problems: found, seconds }, paidMsat };
  } catch (error) {
    const report = { name, kills: 0, end: endOf(buying), problems: [errorChain(error)], seconds: 0 };
    return { report, paidMsat: 0n };
  } finally {
    buying.remove();
  }
}

/** All at once; the books of the buyer's node must then add up to what was claimed: nothing twice, nothing for nothing. */
async function runTogether(stage: Stage, cases: readonly Case[]): Promise<KillReport[]> {
  const before = await lightningMsat(stage);
  const done = await whileMining(stage.world, Promise.all(cases.map((each) => runCase(stage, each))));
  const reports = done.map(({ report }) => report);
  const expected = before - done.reduce((sum, { paidMsat }) => sum + paidMsat, 0n);
  let found = 0n;
  try {
    await eventually('the books to add up', async () => {
      found = await lightningMsat(stage);
      return found === expected ? true : undefined;
    });
  } catch {
    const problem = `expected ${expected} msat at the buyer's node, found ${found}`;
    return reports.map((report) => ({ ...report, problems: [...report.problems, problem] }));
  }
  return reports;
}

async function runAll(
  stage: Stage,
  cases: readonly Case[],
  onReport: (report: KillReport) => void,
): Promise<KillReport[]> {
  const reports: KillReport[] = [];
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    const some = await runTogether(stage, cases.slice(at, at + AT_ONCE));
    some.forEach(onReport);
    reports.push(...some);
  }
  return reports;
}

/** Killed at one failpoint, by the point itself. */
const atFailpoint = (name: string): Case => ({
  name,
  play: async (buying) => {
    const { signal, stderr } = await buying.buy({ FAILPOINT: name, FAILPOINT_TRACE: buying.traceFile }).ended;
    const [last] = buying.trace().slice(-1);
    const isThere = signal === 'SIGKILL' && last === name.replace(/:\d+$/, '');
    return { kills: 1, problems: isThere ? [] : [`not killed there but after "${last ?? 'nothing'}": ${stderr}`] };
  },
});

/** A purchase that nobody kills tells the failpoints on its way. */
export async function learnFailpoints(stage: Stage): Promise<string[]> {
  const buying = newBuying(stage);
  try {
    const run = buying.buy({ FAILPOINT_TRACE: buying.traceFile }).ended;
    const { code, stderr } = await whileMining(stage.world, run);
    if (code !== 0) throw new Error(`a purchase without kills ended ${code ?? 'by a signal'}: ${stderr}`);
    const hits = buying.trace();
    return [...new Set(hits)].flatMap((name) => {
      const count = name.includes(' call ') ? 1 : Math.min(hits.filter((hit) => hit === name).length, MOST_HITS);
      return Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}:${i + 1}`));
    });
  } finally {
    buying.remove();
  }
}

/** One purchase for each failpoint. */
export const killAtFailpoints = async (
  stage: Stage,
  names: readonly string[],
  onReport: (report: KillReport) => void = () => undefined,
): Promise<KillReport[]> => await runAll(stage, names.map(atFailpoint), onReport);

/** The program has its quote, or goes on: what it does before moves nothing. */
const begun = (run: SwapRun): Promise<unknown> =>
  Promise.race([
    run.ended,
    eventually('the beginning', () => Promise.resolve(/quote|#\d/.test(run.stderr()) ? true : undefined)),
  ]);

/** Killed again and again, also while it resumes. */
const atRandom = (name: string, random: () => number): Case => {
  const waits = Array.from({ length: 1 + Math.floor(random() * MOST_RANDOM_KILLS) }, () => random() * RANDOM_MS);
  return {
    name: `${name}: ${waits.map((wait) => wait.toFixed(0)).join(', ')} ms`,
    play: async (buying) => {
      let kills = 0;
      for (const [at, wait] of waits.entries()) {
        const run = at === 0 ? buying.buy() : buying.resume();
        await begun(run);
        await Promise.race([delay(wait), run.ended]);
        if (run.child.kill('SIGKILL')) kills += 1;
        await run.ended;
      }
      return { kills, problems: [] };
    },
  };
};

/** Purchases killed at moments that a random source chooses. */
export const killAtRandom = async (
  stage: Stage,
  options: { readonly random: () => number; readonly purchases: number },
  onReport: (report: KillReport) => void = () => undefined,
): Promise<KillReport[]> =>
  await runAll(
    stage,
    Array.from({ length: options.purchases }, (_, at) => atRandom(`random ${at + 1}`, options.random)),
    onReport,
  );

/** One line of the table. */
export const killRow = ({ name, kills, end, problems, seconds }: KillReport): string =>
  [
    name.padEnd(34),
    String(kills),
    end.padEnd(8),
    problems.length === 0 ? 'ok' : 'STUCK OR LOST',
    `${seconds.toFixed(1)} s`,
  ]
    .concat(problems.map((problem) => `\n    ${problem.trimEnd().replaceAll('\n', '\n    ')}`))
    .join(' ');

/** The last line. */
export function killSummary(reports: readonly KillReport[]): string {
  const kills = reports.reduce((sum, report) => sum + report.kills, 0);
  const bad = reports.filter(({ problems }) => problems.length > 0).length;
  return `${reports.length} purchases of swap buy, ${kills} kills: ${bad} stuck or lost`;
}
