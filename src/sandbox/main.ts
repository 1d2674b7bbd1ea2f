#!/usr/bin/env node
/** The program `sandbox`: a regtest world in one process, and the commands that control it from another terminal. */
import { CommanderError } from 'commander';

import { sandboxProgram } from './cli.js';
import { exitCodeOf, problemOf } from './problem.js';

/** @returns the exit code. */
async function run(): Promise<number> {
  try {
    await sandboxProgram().parseAsync(process.argv);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // its line is on stderr already
    const { code, message } = problemOf(error);
    process.stderr.write(`${code}: ${message}\n`);
    return exitCodeOf(code);
  }
}

const exitCode = await run();
process.exit(exitCode); // a world that was interrupted while it came up may have timers left
