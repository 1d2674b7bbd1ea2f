/** Errors that a caller of the node can act on; anything else is a bug. */

/** Travels in the trailing metadata `lnnode-error-code`; rpc/status.ts maps each to a gRPC status. */
export type NodeErrorCode =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'not_synced'
  | 'shutting_down'
  | 'peer_unreachable'
  | 'peer_not_connected'
  | 'peer_not_found'
  | 'peer_has_channels'
  | 'send_queue_full'
  | 'insufficient_funds'
  | 'channel_refused'
  | 'channel_not_found'
  | 'idempotency_key_reused'
  | 'transaction_not_found'
  | 'transaction_confirmed'
  | 'fee_rate_too_low'
  | 'payment_hash_reused'
  | 'invoice_not_found'
  | 'invoice_not_held'
  | 'invoice_canceled'
  | 'invoice_settled'
  | 'invoice_expired'
  | 'own_invoice'
  | 'payment_not_found'
  | 'too_slow';

/** One wrong field of a request: its path in snake_case and what was expected. */
export type FieldProblem = { readonly field: string; readonly description: string };

/** The message says what was expected and what was found, and holds no secret. */
export class NodeError extends Error {
  readonly code: NodeErrorCode;
  readonly problems: readonly FieldProblem[];

  constructor(
    code: NodeErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly problems?: readonly FieldProblem[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'NodeError';
    this.code = code;
    this.problems = options.problems ?? [];
  }
}
