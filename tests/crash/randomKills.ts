/** Kills the seller at random moments while several buyers trade at once, and judges after every round. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain } from '../../src/errors.js';
import { readBooks, type Books } from './books.js';
import { judge } from './judge.js';
import type { CaseReport } from './matrix.js';
import { isEnded, readSwap } from './sellerDatabase.js';
import { buy, drive, mineToEnd, mineToRefundHeight, mineUntil, swapOf, type Stage, type Theatre } from './stage.js';

/** One kill in so many comes while the seller starts, within this time; the others within that time of its work. */
const EARLY_ONE_IN = 4;
const EARLY_MS = 1_000;
const WORK_MS = 2_500;
/** One swap in so many is never paid. */
const UNPAID_ONE_IN = 4;
/** All purchases of a round, each of which has a shorter deadline of its own. */
const TRADING_MS = 300_000;
/** Blocks after which nobody may pay a funding of this profile any more, and a margin. */
const UNTIL_UNPAYABLE = 32;

type Random = () => number;

/** Mulberry32: numbers in [0, 1) that a seed repeats. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Kills again and again until it is stopped or so many kills were made. @returns how many, when it has stopped. */
async function keepKilling(
  { seller }: Stage,
  options: { readonly random: Random; readonly most: number; readonly stop: AbortSignal },
): Promise<number> {
  const { random, most, stop } = options;
  let kills = 0;
  while (kills < most) {
    const starts = seller.starts();
    const isEarly = random() * EARLY_ONE_IN < 1;
    if (!isEarly) await seller.ready();
    await delay(random() * (isEarly ? EARLY_MS : WORK_MS));
    if (stop.aborted) break;
    seller.kill();
    kills += 1;
    while (seller.starts() === starts) await delay(5);
  }
  return kills;
}

/** All swaps of a round at once; the unpaid ones end after the others, for blocks are the same for all. */
async function round(stage: Stage, options: { readonly swaps: number; readonly random: Random }): Promise<string[]> {
  const wishes = Array.from({ length: options.swaps }, () => options.random() * UNPAID_ONE_IN >= 1);
  const ids: string[] = [];
  const buying = wishes.map(async (isPaying) => {
    const record = await buy(stage);
    const id = swapOf(record);
    ids.push(id);
    if (!isPaying) return;
    const { progress } = await drive(stage, record, 'claimed');
    // Blocks come for all: a buyer whom the kills held up for too long may find its swap canceled, and pays nothing.
    if (progress.step === 'lost') throw new Error('a buyer paid and got nothing');
  });
  const trading = Promise.all(buying);
  let isTraded = false;
  trading
    .finally(() => {
      isTraded = true;
    })
    .catch(() => undefined); // awaited below
  await Promise.all([trading, mineUntil(stage, ids, () => isTraded, TRADING_MS)]);
  await endUnpaid(stage, ids);
  await mineToEnd(stage, ids);
  return ids;
}

async function endUnpaid(stage: Stage, ids: readonly string[]): Promise<void> {
  await mineUntil(stage, ids, (swaps) => swaps.every((swap) => isEnded(swap) || swap.state === 'FUNDED'));
  const open = ids.filter((id) => readSwap(stage.database, id)?.state === 'FUNDED');
  if (open.length === 0) return;
  await stage.world.mine(UNTIL_UNPAYABLE);
  // A claim that a dying seller had not seen yet ends its swap here.
  await mineUntil(stage, open, (swaps) => swaps.every((swap) => isEnded(swap) || swap.payment === 'CANCELED'));
  for (const id of open) {
    const swap = readSwap(stage.database, id);
    if (swap !== undefined && !isEnded(swap)) await mineToRefundHeight(stage, swap);
  }
}

type Plan = { readonly random: Random; readonly swaps: number; readonly most: number };

/** One round under the knife, and its judgement. */
async function killRound(stage: Stage, before: Books, plan: Plan): Promise<{ report: CaseReport; books: Books }> {
  const startedAt = Date.now();
  const deathsBefore = stage.seller.deaths().length;
  const stop = new AbortController();
  const killing = keepKilling(stage, { ...plan, stop: stop.signal });
  const problems: string[] = [];
  let ids: string[] = [];
  try {
    ids = await round(stage, plan);
  } catch (error) {
    problems.push(errorChain(error));
  }
  stop.abort();
  const kills = await killing;
  await stage.seller.ready();
  const deaths = stage.seller.deaths().slice(deathsBefore);
  problems.push(...deaths.map((death) => `died by itself: ${death}`));
  const { lost, doubleFunded, books } = await judge(stage, before);
  problems.push(...lost);
  const ends = ids.map((id) => readSwap(stage.database, id)?.state ?? 'none');
  const report: CaseReport = {
    path: `${plan.swaps} swaps at once`,
    failpoint: `${kills} random moments`,
    kills,
    end: [...new Set(ends)].map((state) => `${ends.filter((end) => end === state).length} ${state}`).join(', '),
    verdict: doubleFunded.length > 0 ? 'double' : problems.length > 0 ? 'lost' : 'ok',
    problems: [...doubleFunded, ...problems],
    seconds: (Date.now() - startedAt) / 1000,
  };
  return { report, books };
}

/** Rounds of swaps under kills until so many kills were made, or until something went wrong. */
export async function runRandomKills(
  theatre: Theatre,
  options: {
    readonly seed: number;
    readonly kills: number;
    readonly swaps: number;
    readonly onReport?: (report: CaseReport) => void;
  },
): Promise<readonly CaseReport[]> {
  const random = seededRandom(options.seed);
  const reports: CaseReport[] = [];
  const stage = await theatre.stage();
  let books = await readBooks(stage);
  for (let left = options.kills; left > 0;) {
    const done = await killRound(stage, books, { random, swaps: options.swaps, most: left });
    ({ books } = done);
    left -= done.report.kills;
    reports.push(done.report);
    options.onReport?.(done.report);
    if (done.report.verdict !== 'ok') {
      await theatre.discard();
      break;
    }
  }
  return reports;
}
