/** How runs end: exit codes, and one line for every error. */
import { CommanderError } from 'commander';

import { BuyerError, RemoteError, type BuyerErrorCode, type RemoteOutcome } from '../buyer/buyerError.js';
import type { Step } from '../buyer/record.js';
import { errorChain, SwapError, type ErrorCode } from '../errors.js';

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, unknown: 4, unpaid: 5 } as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const EXIT_OF_REMOTE = {
  refused: EXIT.failed,
  failed: EXIT.failed,
  wrong_usage: EXIT.usage,
  unavailable: EXIT.unknown,
} as const satisfies Record<RemoteOutcome, ExitCode>;

const EXIT_OF_BUYER_ERROR = {
  not_initialized: EXIT.usage,
  already_initialized: EXIT.usage,
  not_connected: EXIT.usage,
  unknown_network: EXIT.usage,
  unknown_asset: EXIT.failed,
  unknown_swap: EXIT.failed,
  unknown_quote: EXIT.failed,
  wrong_step: EXIT.failed,
  seller_answer_invalid: EXIT.refused,
  seller_node_changed: EXIT.refused,
  invoice_before_funding: EXIT.refused,
  seller_state_backwards: EXIT.refused,
  seller_swap_changed: EXIT.refused,
  payer_changed: EXIT.usage,
  quote_refused: EXIT.refused,
  verification_refused: EXIT.refused,
  preimage_unknown: EXIT.failed,
} as const satisfies Record<BuyerErrorCode, ExitCode>;

/** Errors of our own side; codes that only a daemon knows are failures. */
const EXIT_OF_SWAP_ERROR: Partial<Record<ErrorCode, ExitCode>> = {
  invalid_argument: EXIT.usage,
  bad_config: EXIT.usage,
  chain_unavailable: EXIT.unknown,
  lightning_unavailable: EXIT.unknown,
  version_conflict: EXIT.unknown,
};

/** How a purchase that stopped at this step ends its command. Every step that is not final is pending. */
export const EXIT_OF_STEP = {
  quoted: EXIT.unknown,
  created: EXIT.unknown,
  verified: EXIT.unknown,
  paying: EXIT.unknown,
  paid: EXIT.unknown,
  claiming: EXIT.unknown,
  claimed: EXIT.done,
  unpaid: EXIT.unpaid,
  lost: EXIT.failed,
} as const satisfies Record<Step, ExitCode>;

/** An error ready to print. */
export type Failure = {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
};

/** What to do about an outcome that is unknown. A second `swap buy` would buy twice; operators' commands buy nothing. */
const ADVICE = {
  buyer: '; try again, but a purchase that was begun with: swap buy --resume',
  operator: '; try again',
} as const;

/** What to tell about anything that was thrown. A plain Error is a bug and says so. */
export function describeFailure(error: unknown, who: keyof typeof ADVICE = 'buyer'): Failure {
  if (error instanceof RemoteError) {
    const advice = error.outcome === 'unavailable' ? ADVICE[who] : '';
    const message = `${error.message}${advice}`;
    return { exitCode: EXIT_OF_REMOTE[error.outcome], code: error.code, message, violations: error.violations };
  }
  if (error instanceof BuyerError) {
    return { exitCode: EXIT_OF_BUYER_ERROR[error.code], code: error.code, message: error.message, violations: [] };
  }
  if (error instanceof SwapError) {
    const exitCode = EXIT_OF_SWAP_ERROR[error.code] ?? EXIT.failed;
    const message = exitCode === EXIT.unknown ? `${errorChain(error)}${ADVICE[who]}` : error.message;
    return { exitCode, code: error.code, message, violations: error.violations };
  }
  if (error instanceof CommanderError) {
    const problem = error.code === 'commander.help' ? 'expected a command, found none' : error.message;
    const message = `${problem.replace(/^error: /, '')}; see --help`;
    return { exitCode: EXIT.usage, code: 'invalid_argument', message, violations: [] };
  }
  return { exitCode: EXIT.failed, code: 'internal', message: errorChain(error), violations: [] };
}

/** The one line of a failure: its parts in one line each become one line together. */
export function failureLine({ code, message, violations }: Failure): string {
  const details = violations
    .map(({ field, description }) => `${field}: ${description}`)
    .filter((detail) => !message.includes(detail))
    .join('; ');
  const text = details === '' ? message : `${message} (${details})`;
  return `${code}: ${text.replaceAll(/\s*\n\s*/g, ' · ')}`;
}
