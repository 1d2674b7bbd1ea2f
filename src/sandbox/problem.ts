/** What can go wrong for the person at the keyboard, and the exit code that tells it to scripts. */
import { SwapError } from '../errors.js';
import { BitcoinRpcError } from './bitcoin/rpcError.js';

/** Machine-readable code of a {@link WorldError}. */
export type WorldErrorCode =
  'invalid_argument' | 'bad_config' | 'failed' | 'world_already_running' | 'world_unavailable' | 'process_failed';

/** An error with one clear message: what was expected, what was found, what to do. */
export class WorldError extends Error {
  readonly code: WorldErrorCode;

  constructor(code: WorldErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WorldError';
    this.code = code;
  }
}

const EXIT_CODES = {
  invalid_argument: 2,
  bad_config: 2,
  failed: 1,
  world_already_running: 1,
  process_failed: 1,
  world_unavailable: 4,
} as const satisfies Record<WorldErrorCode, number>;

/** 1 failed, 2 wrong usage or configuration, 4 unavailable. */
export const exitCodeOf = (code: WorldErrorCode): number => EXIT_CODES[code];

/** Sorts any error into a code and one line for a person. */
export function problemOf(error: unknown): { readonly code: WorldErrorCode; readonly message: string } {
  if (error instanceof WorldError) return { code: error.code, message: error.message };
  if (error instanceof SwapError) {
    const isUsage = error.code === 'bad_config' || error.code === 'invalid_argument';
    return { code: isUsage ? error.code : 'failed', message: error.message };
  }
  if (error instanceof BitcoinRpcError) return { code: 'invalid_argument', message: error.message };
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
}
