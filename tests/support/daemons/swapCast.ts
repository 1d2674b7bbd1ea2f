/** One swap for every pair of seller and payer, all at the same time. */
import { setTimeout as delay } from 'node:timers/promises';

import { errorChain } from '../../../src/errors.js';
import type { SwapRow } from '../../crash/sellerDatabase.js';
import { order, PAYERS, type LncliEnd, type Pair, type Purchase } from './swapBuyer.js';
import { BACKENDS, type SwapWorld } from './swapWorld.js';

export const PAIRS: readonly Pair[] = BACKENDS.flatMap((seller) => PAYERS.map((payer) => ({ seller, payer })));

/** Between two looks: each opens a database. */
const LOOK_MS = 150;
const DEEPENING_MS = 300;
/** Everything is looked up again at every block. */
const NUDGE_MS = 3_000;
const MOST_NUDGES = 15;
const NEEDS_DEPTH = ['CLAIM_SEEN', 'REFUND_SEEN'];
export const DEADLINE_MS = 150_000;

export type Role = Purchase & { lncli?: Promise<LncliEnd> };

/** The swaps of one play. Who failed takes no part in the next steps. */
export type Cast = {
  readonly world: SwapWorld;
  readonly pairs: readonly Pair[];
  readonly roles: readonly Role[];
  readonly failures: Map<Pair, Error>;
  readonly alive: () => readonly Role[];
  readonly each: (what: string, act: (role: Role) => Promise<void>) => Promise<void>;
  readonly until: (what: string, probe: (role: Role, row: SwapRow) => boolean | Promise<boolean>) => Promise<void>;
};

/** A question that is asked less often than others. */
export const slowly = (probe: () => Promise<boolean>) => async (): Promise<boolean> =>
  (await probe()) || (await delay(LOOK_MS, false));

const asError = (cause: unknown, what: string): Error => new Error(`${what}: ${errorChain(cause)}`, { cause });

/** One swap for each of these pairs, made and funded; the programs of buyers stand still until they are thawed. */
export async function assemble(world: SwapWorld, name: string, pairs: readonly Pair[]): Promise<Cast> {
  const failures = new Map<Pair, Error>();
  const roles: Role[] = [];
  await Promise.all(
    pairs.map(async (pair) => {
      try {
        const purchase = await order(world, pair, name);
        purchase.run.child.kill('SIGSTOP');
        roles.push(purchase);
      } catch (error) {
        failures.set(pair, asError(error, 'the order'));
      }
    }),
  );
  const alive = (): readonly Role[] => roles.filter(({ pair }) => !failures.has(pair));
  const each: Cast['each'] = async (what, act) => {
    const acting = alive().map(async (role) => {
      await act(role).catch((error: unknown) => {
        const row = role.seller.swap(role.id);
        failures.set(role.pair, asError(error, `${what}, at ${row?.state ?? 'no swap'}/${row?.payment ?? ''}`));
      });
    });
    await Promise.all(acting);
  };
  const until: Cast['until'] = (what, probe) =>
    each(what, async (role) => {
      const isThere = async (): Promise<boolean> => {
        const row = role.seller.swap(role.id);
        return row !== undefined && (await probe(role, row));
      };
      await world.programs.until({ what, ms: DEADLINE_MS }, slowly(isThere));
    });
  const cast = { world, pairs, roles, failures, alive, each, until };
  await whileMining(
    cast,
    until('funded', (_, { state }) => state === 'FUNDED'),
  );
  return cast;
}

/** Makes Liquid blocks for what waits for one, and a few more, until the work is done. */
export async function whileMining<T>({ world, alive }: Pick<Cast, 'world' | 'alive'>, work: Promise<T>): Promise<T> {
  const { chain } = world.liquid;
  const done = new AbortController();
  const working = work.finally(() => {
    done.abort();
  });
  working.catch(() => undefined); // thrown at the end
  let minedAt = Date.now();
  let nudges = 0;
  while (!done.signal.aborted) {
    const age = Date.now() - minedAt;
    const isDeepening = alive().some(({ seller, id }) => NEEDS_DEPTH.includes(seller.swap(id)?.state ?? ''));
    const isNudge = age > NUDGE_MS && nudges < MOST_NUDGES;
    if (chain.mempoolSize() > 0 || (isDeepening && age > DEEPENING_MS) || isNudge) {
      if (chain.mempoolSize() === 0 && !isDeepening) nudges += 1;
      chain.mine(1);
      minedAt = Date.now();
    }
    await delay(LOOK_MS);
  }
  return await working;
}
