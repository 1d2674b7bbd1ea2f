/** Blocks for whoever waits for them, and no more: every block brings the refund nearer for all. */
import { setTimeout as delay } from 'node:timers/promises';

import { liquidStatus, type Stage } from '../crash/stage.js';

/** Looks at the mempool this often. */
const LOOK_MS = 100;
/** Blocks on top of the last transaction that was mined, and the pause before each. */
const DEEPENING_BLOCKS = 2;
const DEEPENING_MS = 400;

/** Mines what comes into the mempool, and makes it deep, until the work is over. */
export async function whileMining<T>(stage: Stage, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const end = (): void => {
    over.abort();
  };
  work.then(end, end);
  let missing = 0;
  let minedAt = 0;
  while (!over.signal.aborted) {
    const isFilled = (await liquidStatus(stage)).mempool > 0;
    const isDue = missing > 0 && Date.now() - minedAt > DEEPENING_MS;
    if (isFilled || isDue) {
      await stage.world.mine(1);
      missing = isFilled ? DEEPENING_BLOCKS : missing - 1;
      minedAt = Date.now();
    }
    await delay(LOOK_MS);
  }
  return await work;
}
