/** One call to lnd with its answer checked; every error becomes one of the port's. */
import type { z } from 'zod';

import { meaningOf, unavailable } from './errors.js';
import type { LndMethod, LndRpc } from './rpc.js';

/** @throws SwapError `lightning_unavailable`. */
export async function ask<T>(rpc: LndRpc, method: LndMethod, request: object, answer: z.ZodType<T>): Promise<T> {
  try {
    return answer.parse(await rpc.call(method, request));
  } catch (error) {
    throw unavailable(method, error);
  }
}

/** As `ask`; undefined only if lnd itself says that it does not know what was asked for. */
export async function askFor<T>(
  rpc: LndRpc,
  method: LndMethod,
  request: object,
  answer: z.ZodType<T>,
): Promise<T | undefined> {
  try {
    return answer.parse(await rpc.call(method, request));
  } catch (error) {
    if (meaningOf(method, error) === 'absent') return undefined;
    throw unavailable(method, error);
  }
}
