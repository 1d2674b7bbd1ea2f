/** Kills nodes at random moments of their work and of their start. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain } from '../../src/errors.js';
import { eventually } from '../support/eventually.js';
import type { LightningWorld } from '../support/lightningWorld.js';
import type { Random } from '../support/seededRandom.js';
import type { Story } from './traffic.js';

export const NODES = ['A', 'B', 'C'] as const;
export type NodeName = (typeof NODES)[number];

/** Between two kills, so long at most; one gap in so many begins only when every channel is usable again. */
const GAP_MS = 3_000;
const QUIET_ONE_IN = 2;
/** One in so many dies again during its start, within this time. */
const EARLY_ONE_IN = 5;
const EARLY_MS = 1_200;
/** One kill in so many hits two nodes at once. */
const PAIR_ONE_IN = 5;
const LOOK_MS = 30_000;

export type Kills = {
  readonly counts: Record<NodeName, number>;
  /** Among them, during the start of a node. */
  early: number;
  /** Among them, two nodes at once. */
  pairs: number;
  /** How often a held payment was asked for after a kill. */
  heldLooks: number;
  readonly problems: string[];
};

export const newKills = (): Kills => ({ counts: { A: 0, B: 0, C: 0 }, early: 0, pairs: 0, heldLooks: 0, problems: [] });

export const killCount = ({ counts }: Kills): number => NODES.reduce((sum, name) => sum + counts[name], 0);

type Options = {
  readonly random: Random;
  readonly stories: readonly Story[];
  readonly kills: Kills;
  readonly stop: AbortSignal;
  /** Aborted when a node does not come back: nothing can end well then. */
  readonly abandon: AbortController;
};

/** Kills until it is stopped; every node runs again then. */
export async function keepKilling(world: LightningWorld, options: Options): Promise<void> {
  try {
    await killAgainAndAgain(world, options);
    await world.allUsable();
  } catch (error) {
    options.kills.problems.push(errorChain(error));
    options.abandon.abort();
  }
}

async function killAgainAndAgain(world: LightningWorld, { random, stories, kills, stop }: Options): Promise<void> {
  const pick = (): NodeName => NODES[Math.floor(random() * NODES.length)] ?? 'B';
  for (;;) {
    if (random() * QUIET_ONE_IN < 1) await world.allUsable();
    await delay(random() * GAP_MS);
    if (stop.aborted) return;
    const victims = new Set([pick()]);
    if (random() * PAIR_ONE_IN < 1) victims.add(pick());
    if (victims.size > 1) kills.pairs += 1;
    const held = stories.filter(({ isHeld }) => isHeld);
    await Promise.all([...victims].map((name) => killAndResume(world, name, { random, kills })));
    await lookForHeld(world, held, kills);
  }
}

async function killAndResume(
  world: LightningWorld,
  name: NodeName,
  { random, kills }: { readonly random: Random; readonly kills: Kills },
): Promise<void> {
  const kill = async (): Promise<void> => {
    kills.counts[name] += 1;
    const code = await world.halt(name, 'SIGKILL');
    if (code !== null) kills.problems.push(`${name} had ended by itself with ${code}`);
  };
  await kill();
  if (random() * EARLY_ONE_IN < 1) {
    kills.early += 1;
    const starting = world.resume(name).catch(() => undefined);
    await delay(random() * EARLY_MS);
    await kill();
    await starting;
  }
  await world.resume(name);
}

/** A payment that was held before a kill, and about which nobody has decided since, is held after it. */
async function lookForHeld(world: LightningWorld, held: readonly Story[], kills: Kills): Promise<void> {
  for (const story of held) {
    const { plan, paymentHash } = story;
    if (paymentHash === undefined) continue;
    const [invoice, payment] = await eventually(
      'both ends answer',
      () =>
        Promise.all([
          world.peer(plan.payee).port.lookupInvoice(paymentHash),
          world.peer(plan.payer).port.lookupPayment(paymentHash),
        ]).catch(() => undefined),
      LOOK_MS,
    );
    if (!story.isHeld) continue;
    kills.heldLooks += 1;
    const found = `${invoice?.state ?? 'unknown'}/${String(invoice?.isHtlcPending)}/${payment?.state ?? 'unknown'}`;
    if (found !== 'HELD/true/IN_FLIGHT') kills.problems.push(`held payment ${plan.index}: ${found} after a kill`);
  }
}
