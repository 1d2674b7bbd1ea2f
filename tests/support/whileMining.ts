/** Blocks for whoever waits for them, and no more: every block brings the refund nearer for all. */
import { setTimeout as delay } from 'node:timers/promises';

import { liquidMempool, type TestWorld } from './testWorld.js';

/** Looks at the mempool this often. */
const LOOK_MS = 100;
/** Blocks on top of the last transaction that was mined, and the pause before each. */
const DEEPENING_BLOCKS = 2;
const DEEPENING_MS = 400;
/** A block all the same after this time, for what waits for a height. */
const NUDGE_MS = 3_000;

/**
 * Mines what comes into the mempool, and makes it deep, until the work is over. However slow the machine is, a swap does
 * not come near its refund height by this.
 */
export async function whileMining<T>(world: TestWorld, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const end = (): void => {
    over.abort();
  };
  work.then(end, end);
  let missing = 0;
  let minedAt = Date.now();
  while (!over.signal.aborted) {
    const isFilled = (await liquidMempool(world)) > 0;
    const isDue = Date.now() - minedAt > (missing > 0 ? DEEPENING_MS : NUDGE_MS);
    if (isFilled || isDue) {
      await world.mine(1);
      missing = isFilled ? DEEPENING_BLOCKS : Math.max(missing - 1, 0);
      minedAt = Date.now();
    }
    await delay(LOOK_MS);
  }
  return await work;
}
