#!/usr/bin/env node
/** `swap`: the buyer's command line, and the operator's. */
import { CommanderError, type Command } from 'commander';

import { describeFailure, EXIT, failureLine } from './exit.js';
import { colour } from './output.js';
import { swapProgram } from './program.js';

const OPERATOR_COMMANDS = ['lnnode', 'admin'];

/** True as soon as a command of an operator runs. */
let isOperator = false;

function isOfOperator({ parent }: Command): boolean {
  if (parent === null) return false;
  return OPERATOR_COMMANDS.includes(parent.name()) || isOfOperator(parent);
}

/** Prints a failure as one line (and as JSON if asked) and sets the exit code. */
function fail(error: unknown): void {
  const failure = describeFailure(error, isOperator ? 'operator' : 'buyer');
  const { exitCode, code, message, violations } = failure;
  process.exitCode = exitCode;
  process.stderr.write(`${colour('red', failureLine(failure), process.stderr)}\n`);
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: { code, message, violations } })}\n`);
  }
  if (process.argv.includes('--debug') && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

// Libraries speak to their developers with these, not to who runs a command.
process.noDeprecation = true;

// A reader that goes away (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  const program = swapProgram().hook('preAction', (_program, command) => {
    isOperator = isOfOperator(command);
  });
  await program.parseAsync();
} catch (error) {
  const isHelp = error instanceof CommanderError && error.exitCode === 0;
  if (isHelp) process.exitCode = EXIT.done;
  else fail(error);
}
