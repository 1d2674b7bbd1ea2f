/** Waits for a condition with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 10;
/** A deadline costs nothing while all is well; a machine may be busy with ten other things. */
const DEADLINE_MS = 40_000;

/** The first value that is not undefined or false. @throws Error naming `what` after `ms`. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  ms = DEADLINE_MS,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(POLL_MS);
  }
}
