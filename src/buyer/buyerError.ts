/** Errors that only a buyer meets; everything else is a SwapError or comes from the seller as a RemoteError. */
import type { FieldViolation } from '../errors.js';

/** Machine-readable code. */
export type BuyerErrorCode =
  | 'not_initialized'
  | 'already_initialized'
  | 'not_connected'
  | 'unknown_network'
  | 'seller_answer_invalid'
  | 'seller_node_changed'
  | 'invoice_before_funding'
  | 'seller_state_backwards'
  | 'seller_swap_changed'
  | 'payer_changed'
  | 'quote_refused'
  | 'verification_refused'
  | 'unknown_asset'
  | 'unknown_swap'
  | 'unknown_quote'
  | 'wrong_step'
  | 'preimage_unknown';

/** The message says what was expected, what was found and what to do. */
export class BuyerError extends Error {
  readonly code: BuyerErrorCode;

  constructor(code: BuyerErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'BuyerError';
    this.code = code;
  }
}

/**
 * What a remote error means: `refused` nothing was stored and repeating does not help, `wrong_usage` the request or the
 * token is wrong, `unavailable` the outcome is unknown and repeating is safe, `failed` a fault or a limit of the server.
 */
export type RemoteOutcome = 'refused' | 'wrong_usage' | 'unavailable' | 'failed';

/** An error that a gRPC server answered with, or that kept its answer away. */
export class RemoteError extends Error {
  /** The server's `swap-error-code`, else the gRPC status in lower case. */
  readonly code: string;
  readonly outcome: RemoteOutcome;
  readonly violations: readonly FieldViolation[];

  constructor(options: {
    readonly code: string;
    readonly outcome: RemoteOutcome;
    readonly message: string;
    readonly violations: readonly FieldViolation[];
    readonly cause: unknown;
  }) {
    super(options.message, { cause: options.cause });
    this.name = 'RemoteError';
    this.code = options.code;
    this.outcome = options.outcome;
    this.violations = options.violations;
  }
}
