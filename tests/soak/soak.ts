/** A soak: three real nodes A-B-C, payments from A to C and back while SIGKILL comes at random moments, then the books. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { eventually } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';
import { seededRandom } from '../support/seededRandom.js';
import { judge, readHoldings, type Verdict } from './judge.js';
import { keepKilling, killCount, newKills, NODES, type Kills } from './kills.js';
import { makePlans, newStory, play, type Run, type Story } from './traffic.js';

const CAPACITY_SATS = 10_000_000n;
const WORKERS = 8;
/** Blocks come now and then, far fewer than a held payment can wait for. */
const BLOCK_MS = 4_000;
const MAX_BLOCKS = 40;

export type SoakOptions = {
  readonly seed: number;
  readonly payments: number;
  /** Payments that are held from the first kill to the last. */
  readonly lasting: number;
  /** Kills go on until there were so many, however soon the payments are done. */
  readonly minKills: number;
};

export type SoakReport = Verdict & {
  readonly kills: Kills;
  readonly stories: readonly Story[];
  readonly seconds: number;
};

/** Opens A-B and B-C, half of the capacity on either side. */
async function openChain(): Promise<LightningWorld> {
  const world = await startLightningWorld(NODES);
  const pushMsat = (CAPACITY_SATS * 1000n) / 2n;
  await world.openChannel({ from: 'A', to: 'B', capacitySats: CAPACITY_SATS, pushMsat });
  await world.openChannel({ from: 'B', to: 'C', capacitySats: CAPACITY_SATS, pushMsat });
  return world;
}

async function mineNowAndThen(world: LightningWorld, stop: AbortSignal): Promise<void> {
  for (let blocks = 0; blocks < MAX_BLOCKS; blocks += 1) {
    await delay(BLOCK_MS, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return;
    world.chain.mine(1);
  }
}

/** Some payments at a time, until all were played. */
async function playAll(run: Run, stories: readonly Story[]): Promise<void> {
  const waiting = [...stories];
  const work = async (): Promise<void> => {
    for (let story = waiting.shift(); story !== undefined; story = waiting.shift()) await play(run, story);
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
}

/** Nodes that end in order say so. */
async function endInOrder(world: LightningWorld): Promise<string[]> {
  const codes = await Promise.all(NODES.map((name) => world.halt(name, 'SIGTERM')));
  return NODES.flatMap((name, at) => (codes[at] === 0 ? [] : [`${name} ended with ${String(codes[at])} at SIGTERM`]));
}

/** Runs one soak in a world of its own. */
export async function runSoak({ seed, payments, lasting, minKills }: SoakOptions): Promise<SoakReport> {
  const startedAt = Date.now();
  const random = seededRandom(seed);
  const stories = makePlans(random, payments, lasting).map(newStory);
  const [stop, release, abandon] = [new AbortController(), new AbortController(), new AbortController()];
  const world = await openChain();
  const run: Run = { world, released: once(release.signal, 'abort'), abandoned: abandon.signal };
  try {
    const before = await readHoldings(world);
    const kept = stories.slice(0, lasting);
    const keeping = Promise.all(kept.map((story) => play(run, story)));
    await eventually('the lasting payments are held', () => kept.every(({ isHeld }) => isHeld), 60_000);
    const kills = newKills();
    const killing = keepKilling(world, { random, stories, kills, stop: stop.signal, abandon });
    const mining = mineNowAndThen(world, stop.signal);
    await playAll(run, stories.slice(lasting));
    await eventually('enough kills', () => abandon.signal.aborted || killCount(kills) >= minKills, 20_000 * minKills);
    stop.abort();
    await Promise.all([killing, mining]);
    release.abort();
    await keeping;
    const verdict = await judge(world, before, stories);
    const problems = [...kills.problems, ...verdict.problems, ...(await endInOrder(world))];
    return { ...verdict, problems, kills, stories, seconds: (Date.now() - startedAt) / 1000 };
  } finally {
    stop.abort();
    release.abort();
    abandon.abort();
    await world.close();
  }
}
