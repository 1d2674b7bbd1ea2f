/** The one place where the node's errors become gRPC statuses. */
import { ServerError, Status, type CallContext, type ServerMiddleware } from 'nice-grpc-common';
import { BadRequest, RichServerError } from 'nice-grpc-error-details';

import { SwapError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { NodeError, type NodeErrorCode } from '../errors.js';

/** Name of the trailing metadata with the machine-readable code. */
const ERROR_CODE_KEY = 'lnnode-error-code';

const STATUS = {
  invalid_argument: Status.INVALID_ARGUMENT,
  unauthenticated: Status.UNAUTHENTICATED,
  not_synced: Status.UNAVAILABLE,
  shutting_down: Status.UNAVAILABLE,
  peer_unreachable: Status.UNAVAILABLE,
  peer_not_connected: Status.FAILED_PRECONDITION,
  peer_not_found: Status.NOT_FOUND,
  peer_has_channels: Status.FAILED_PRECONDITION,
  send_queue_full: Status.RESOURCE_EXHAUSTED,
  insufficient_funds: Status.FAILED_PRECONDITION,
  channel_refused: Status.FAILED_PRECONDITION,
  channel_not_found: Status.NOT_FOUND,
  idempotency_key_reused: Status.ALREADY_EXISTS,
  transaction_not_found: Status.NOT_FOUND,
  transaction_confirmed: Status.FAILED_PRECONDITION,
  fee_rate_too_low: Status.FAILED_PRECONDITION,
  payment_hash_reused: Status.ALREADY_EXISTS,
  invoice_not_found: Status.NOT_FOUND,
  invoice_not_held: Status.FAILED_PRECONDITION,
  invoice_canceled: Status.FAILED_PRECONDITION,
  invoice_settled: Status.FAILED_PRECONDITION,
  invoice_expired: Status.FAILED_PRECONDITION,
  own_invoice: Status.FAILED_PRECONDITION,
  payment_not_found: Status.NOT_FOUND,
  too_slow: Status.RESOURCE_EXHAUSTED,
} as const satisfies Record<NodeErrorCode, Status>;

function toServerError(error: unknown, context: CallContext, log: Logger): unknown {
  if (error instanceof NodeError) {
    context.trailer.set(ERROR_CODE_KEY, error.code);
    if (error.problems.length === 0) return new ServerError(STATUS[error.code], error.message);
    const details = [BadRequest.fromPartial({ fieldViolations: [...error.problems] })];
    return new RichServerError(STATUS[error.code], error.message, details);
  }
  // Branded constructors and the invoice reader refuse bad input with it.
  if (error instanceof SwapError && error.code === 'invalid_argument') {
    context.trailer.set(ERROR_CODE_KEY, 'invalid_argument');
    return new ServerError(Status.INVALID_ARGUMENT, error.message);
  }
  if (error instanceof ServerError || context.signal.aborted) return error;
  log.error({ err: error }, 'call failed');
  context.trailer.set(ERROR_CODE_KEY, 'internal');
  return new ServerError(Status.INTERNAL, 'internal error');
}

/** Turns what handlers throw into statuses. */
export const statusMiddleware = (log: Logger): ServerMiddleware =>
  async function* (call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      throw toServerError(error, context, log);
    }
  };

/** Lets in who shows the token; compared in constant time by `isToken`. */
export const authMiddleware = (isToken: (text: string) => boolean): ServerMiddleware =>
  async function* (call, context) {
    const [, token = ''] = /^Bearer (\S+)$/.exec(context.metadata.get('authorization') ?? '') ?? [];
    if (!isToken(token)) throw new NodeError('unauthenticated', 'authorization: expected a valid bearer token');
    return yield* call.next(call.request, context);
  };
