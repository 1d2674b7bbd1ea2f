/** Answers of servers that a caller must not wait for long. */
import { setTimeout as delay } from 'node:timers/promises';

const WAIT_MS = 2_000;

/** What is answered in time, else undefined: what is stored can be shown without a server. */
export const soon = <T>(answer: Promise<T>): Promise<T | undefined> =>
  Promise.race([answer.catch(() => undefined), delay(WAIT_MS, undefined, { ref: false })]);
