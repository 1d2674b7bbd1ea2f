#!/usr/bin/env node
/** `swap`: the buyer's command line, and the operator's. */
import { Command, CommanderError } from 'commander';

import { addAdminCommands } from './adminCommands.js';
import { addBuyCommands } from './buyCommands.js';
import { describeFailure, EXIT, failureLine } from './exit.js';
import { addLnnodeCommands } from './lnnodeCommands.js';
import { addLookCommands } from './lookCommands.js';
import { colour } from './output.js';

const FOOTER = `
Settings: flags over environment (SWAP_SECTION__KEY) over --config FILE; --world FILE takes every address from world.json.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 verification refused, 4 unavailable or outcome unknown
(safe to run again), 5 ended unpaid or refunded.
In the repository's folder: npx --no swap COMMAND`;

function swapProgram(): Command {
  const program = new Command('swap')
    .description('Buys Liquid assets for Lightning and trusts nothing the seller says.')
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .addHelpText('after', FOOTER)
    .option('--world <file>', 'world.json of a sandbox')
    .option('--config <file>', 'TOML file')
    .option('--data-dir <dir>', 'mnemonic and purchases (default: ~/.ln-liquid-swap; with --world: buyer beside it)')
    .option('--network <name>', 'refuse servers of another network: liquidv1, liquidtestnet or regtest')
    .option('--seller <host:port>', "the seller's gRPC address")
    .option('--seller-token-file <file>', 'file with the bearer token')
    .option('--seller-tls-cert <file>', 'PEM certificate of the seller; plain text without it')
    .option('--seller-node-id <hex>', "the seller's Lightning node (default: pinned on first use)")
    .option('--electrum <url>', 'own server, ssl://host:port or tcp://host:port; repeatable', append)
    .option('--electrum-ca-file <file>', "PEM certificates to trust instead of the system's")
    .option('--trust-single-electrum', 'accept one server on mainnet')
    .option('--lightning-address <host:port>', 'own lnnoded')
    .option('--lightning-token-file <file>', "file with lnnoded's token")
    .option('--lightning-tls-cert <file>', 'PEM certificate of lnnoded')
    .option('--admin <host:port>', "the operator's listener, also unix:PATH")
    .option('--admin-token-file <file>', "file with the operator's token")
    .option('--admin-tls-cert <file>', "PEM certificate of the operator's listener")
    .option('--json', 'results as JSON on stdout; all other text on stderr')
    .option('--debug', 'logs and stack traces');
  addLookCommands(program);
  addBuyCommands(program);
  addAdminCommands(program);
  addLnnodeCommands(program);
  return program;
}

function append(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Prints a failure as one line (and as JSON if asked) and sets the exit code. */
function fail(error: unknown): void {
  const failure = describeFailure(error);
  const { exitCode, code, message, violations } = failure;
  process.exitCode = exitCode;
  process.stderr.write(`${colour('red', failureLine(failure), process.stderr)}\n`);
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: { code, message, violations } })}\n`);
  }
  if (process.argv.includes('--debug') && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

// A reader that goes away (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await swapProgram().parseAsync();
} catch (error) {
  const isHelp = error instanceof CommanderError && error.exitCode === 0;
  if (isHelp) process.exitCode = EXIT.done;
  else fail(error);
}
