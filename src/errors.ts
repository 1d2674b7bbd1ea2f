/**
 * The errors a caller can act on. A bug stays a plain Error.
 *
 * A message says what was expected and what was found; it never holds a preimage, key or token.
 */

/** Machine-readable code; the table in rpc/status.ts maps each to a gRPC status. */
export type ErrorCode =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'forbidden'
  | 'offer_not_found'
  | 'quote_not_found'
  | 'swap_not_found'
  | 'principal_not_found'
  | 'quote_expired'
  | 'quote_used'
  | 'offer_changed'
  | 'insufficient_inventory'
  | 'timelock_too_short'
  | 'price_limit_exceeded'
  | 'feerate_too_high'
  | 'no_inbound_capacity'
  | 'paused'
  | 'request_id_reused'
  | 'payment_hash_reused'
  | 'too_many_open_swaps'
  | 'rate_limited'
  | 'version_conflict'
  | 'lightning_unavailable'
  | 'chain_unavailable'
  | 'history_too_long'
  | 'read_only'
  | 'fenced'
  | 'degraded'
  | 'bad_config';

/** One wrong field of a request: its path in snake_case and what was expected and found. */
export type FieldViolation = { readonly field: string; readonly description: string };

/** An error with a code that the caller can act on. */
export class SwapError extends Error {
  readonly code: ErrorCode;
  readonly violations: readonly FieldViolation[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly violations?: readonly FieldViolation[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SwapError';
    this.code = code;
    this.violations = options.violations ?? [];
  }
}

/** The messages of an error and its causes, outermost first, for logs. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && parts.length < 8) {
    parts.push(current.message);
    current = current.cause;
  }
  if (typeof current === 'string') parts.push(current);
  return parts.join(': ');
}
