/** Kills the seller at every failpoint of every path and judges what is left. */
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { errorChain } from '../../src/errors.js';
import { readBooks, type Books } from './books.js';
import { judge } from './judge.js';
import type { Path } from './paths.js';
import { readRows } from './sellerDatabase.js';
import type { Arming } from './sellerProcess.js';
import type { Stage, Theatre } from './stage.js';

/** How one case ended. */
export type CaseReport = {
  readonly path: string;
  /** Where the seller was killed; undefined: a run without a kill. */
  readonly failpoint: string | undefined;
  readonly kills: number;
  /** States of the swaps of this case. */
  readonly end: string;
  readonly verdict: 'ok' | 'lost' | 'double' | 'not reached';
  readonly problems: readonly string[];
  readonly seconds: number;
};

/** Hits of one failpoint in one run that are tried. */
const MOST_HITS = 4;

type Case = { readonly path: Path; readonly failpoint: string | undefined; readonly traceFile: string };

/** Plays one path on a freshly started seller that dies at the failpoint. */
async function play(
  stage: Stage,
  { path, failpoint, traceFile }: Case,
): Promise<{ kills: number; end: string; problems: string[] }> {
  const { seller } = stage;
  await seller.down();
  rmSync(traceFile, { force: true });
  const deathsBefore = seller.deaths().length;
  const deaths = (): readonly string[] => seller.deaths().slice(deathsBefore);
  const rearm = (): Arming => (deaths().length === 0 ? { ...armed(failpoint, traceFile), traceFile } : {});
  const idsBefore = new Set(readRows(stage.database).swaps.map((swap) => swap.swap_id));
  const problems: string[] = [];
  try {
    await seller.up(rearm());
    await path.play(stage, rearm);
  } catch (error) {
    problems.push(errorChain(error));
  }
  const swaps = readRows(stage.database).swaps.filter((swap) => !idsBefore.has(swap.swap_id));
  const ends = swaps.map(({ state, payment }) => `${state}/${payment}`);
  if (ends.join() !== path.end) problems.push(`expected ${path.end}, found ${ends.join() || 'no swap'}`);
  problems.push(...deathProblems(deaths(), failpoint, traceFile));
  return { kills: deaths().length, end: ends.join(), problems };
}

/** A path that starts the seller twice goes on counting the hits of `name:3` where the first process ended. */
function armed(failpoint: string | undefined, traceFile: string): Arming {
  if (failpoint === undefined) return {};
  const [name = failpoint, hit = '1'] = failpoint.split(':');
  const before = tracedNames(traceFile).filter((traced) => traced === name).length;
  return { failpoint: `${name}:${Math.max(1, Number.parseInt(hit, 10) - before)}` };
}

/** The one death must be the failpoint's: by SIGKILL, right after its name was traced. */
function deathProblems(deaths: readonly string[], failpoint: string | undefined, traceFile: string): string[] {
  const [first, ...more] = deaths;
  if (first === undefined) return [];
  const problems = more.map((death) => `died again: ${death}`);
  if (failpoint === undefined || first !== 'SIGKILL') return [`died: ${first}`, ...problems];
  const last = tracedNames(traceFile).at(-1);
  return last === failpoint.replace(/:\d+$/, '')
    ? problems
    : [`killed after "${last ?? 'nothing'}", not at the failpoint`, ...problems];
}

const tracedNames = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
};

/**
 * Every name of a trace, and `name:2`, `name:3` where it was hit again: each time something else lies behind it. How often
 * a call is repeated is chance, so the first one stands for all.
 */
function failpointsOf(hits: readonly string[]): string[] {
  return [...new Set(hits)].flatMap((name) => {
    const count = name.includes(' call ') ? 1 : Math.min(hits.filter((hit) => hit === name).length, MOST_HITS);
    return Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}:${i + 1}`));
  });
}

async function runCase(
  stage: Stage,
  before: Books,
  each: Case,
): Promise<{ report: CaseReport; books: Books | undefined }> {
  const startedAt = Date.now();
  const { kills, end, problems } = await play(stage, each);
  let lost = problems;
  let doubleFunded: readonly string[] = [];
  let books: Books | undefined;
  try {
    await stage.seller.ready();
    const verdict = await judge(stage, before);
    lost = [...problems, ...verdict.lost];
    ({ doubleFunded, books } = verdict);
  } catch (error) {
    lost = [...problems, `not judged: ${errorChain(error)}`];
  }
  const isBad = lost.length + doubleFunded.length > 0;
  const isReached = each.failpoint === undefined || kills > 0;
  const verdict = doubleFunded.length > 0 ? 'double' : isBad ? 'lost' : isReached ? 'ok' : 'not reached';
  const seconds = (Date.now() - startedAt) / 1000;
  const report = {
    path: each.path.name,
    failpoint: each.failpoint,
    kills,
    end,
    verdict,
    problems: [...doubleFunded, ...lost],
    seconds,
  } as const;
  return { report, books: isBad ? undefined : books };
}

/**
 * Plays a path once to learn its failpoints, then once more for each of them. A stage on which something went wrong is
 * not used again.
 *
 * @param options.failpoints only these, and nothing is learned.
 */
export async function runPath(
  theatre: Theatre,
  path: Path,
  options: { readonly failpoints?: readonly string[]; readonly onReport?: (report: CaseReport) => void } = {},
): Promise<readonly CaseReport[]> {
  const traceFile = join(tmpdir(), `failpoints-${process.pid}-${path.name.replaceAll(/\W/g, '-')}`);
  const reports: CaseReport[] = [];
  let books: Books | undefined;
  const next = async (failpoint: string | undefined): Promise<void> => {
    const stage = await theatre.stage();
    books ??= await readBooks(stage);
    const done = await runCase(stage, books, { path, failpoint, traceFile });
    ({ books } = done);
    reports.push(done.report);
    options.onReport?.(done.report);
    if (books === undefined) await theatre.discard();
  };
  const learn = async (): Promise<readonly string[]> => {
    await next(undefined);
    return failpointsOf(tracedNames(traceFile));
  };
  try {
    for (const failpoint of options.failpoints ?? (await learn())) await next(failpoint);
  } finally {
    rmSync(traceFile, { force: true });
  }
  return reports;
}
