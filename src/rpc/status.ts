/** Errors to gRPC: one table; the machine code also travels in the trailing metadata `swap-error-code`. */
import { randomUUID } from 'node:crypto';

import { Metadata, ServerError, Status, type CallContext, type ServerMiddleware } from 'nice-grpc-common';
import { BadRequest, RichServerError } from 'nice-grpc-error-details';

import { errorChain, SwapError, type ErrorCode } from '../errors.js';
import type { Logger } from '../log.js';

export const STATUS_OF_CODE = {
  invalid_argument: Status.INVALID_ARGUMENT,
  unauthenticated: Status.UNAUTHENTICATED,
  forbidden: Status.PERMISSION_DENIED,
  offer_not_found: Status.NOT_FOUND,
  quote_not_found: Status.NOT_FOUND,
  swap_not_found: Status.NOT_FOUND,
  principal_not_found: Status.NOT_FOUND,
  quote_expired: Status.FAILED_PRECONDITION,
  quote_used: Status.FAILED_PRECONDITION,
  offer_changed: Status.FAILED_PRECONDITION,
  insufficient_inventory: Status.FAILED_PRECONDITION,
  timelock_too_short: Status.FAILED_PRECONDITION,
  price_limit_exceeded: Status.FAILED_PRECONDITION,
  feerate_too_high: Status.FAILED_PRECONDITION,
  no_inbound_capacity: Status.FAILED_PRECONDITION,
  paused: Status.FAILED_PRECONDITION,
  request_id_reused: Status.ALREADY_EXISTS,
  payment_hash_reused: Status.ALREADY_EXISTS,
  too_many_open_swaps: Status.RESOURCE_EXHAUSTED,
  rate_limited: Status.RESOURCE_EXHAUSTED,
  version_conflict: Status.ABORTED,
  lightning_unavailable: Status.UNAVAILABLE,
  chain_unavailable: Status.UNAVAILABLE,
  history_too_long: Status.UNAVAILABLE,
  read_only: Status.UNAVAILABLE,
  fenced: Status.UNAVAILABLE,
  degraded: Status.UNAVAILABLE,
  bad_config: Status.INTERNAL,
} as const satisfies Record<ErrorCode, Status>;

/** Trailing metadata key of the machine code. */
const ERROR_CODE_KEY = 'swap-error-code';

/** Turns what a handler throws into a gRPC status. Anything unknown is a bug: logged, and hidden from the caller. */
export function errorMiddleware(log: Logger): ServerMiddleware {
  return async function* mapErrors(call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      if (error instanceof ServerError || context.signal.aborted) throw error;
      throw toServerError(error, context, { log, path: call.method.path });
    }
  };
}

function toServerError(error: unknown, context: CallContext, call: { log: Logger; path: string }): ServerError {
  if (error instanceof SwapError) {
    context.trailer.set(ERROR_CODE_KEY, error.code);
    const fieldViolations = error.violations.map((each) => ({ field: each.field, description: each.description }));
    const details = fieldViolations.length === 0 ? [] : [BadRequest.fromPartial({ fieldViolations })];
    return new RichServerError(STATUS_OF_CODE[error.code], error.message, details);
  }
  const requestId = randomUUID();
  call.log.error(
    { requestId, path: call.path, cause: errorChain(error), stack: error instanceof Error ? error.stack : undefined },
    'bug',
  );
  context.trailer.set(ERROR_CODE_KEY, 'internal');
  return new ServerError(Status.INTERNAL, `internal error, request id ${requestId}`);
}

/** The bearer token of a call, or undefined. */
export function bearerToken(metadata: Metadata): string | undefined {
  const header = metadata.get('authorization');
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length).trim() : undefined;
}
