/** The commands and options of `swap`. */
import { Command } from 'commander';

import { addAdminCommands } from './adminCommands.js';
import { addBuyCommands } from './buyCommands.js';
import { addEvidenceCommands } from './evidenceCommands.js';
import { addLnnodeCommands } from './lnnodeCommands.js';
import { addLookCommands } from './lookCommands.js';
import { addWalletCommands } from './walletCommands.js';

const FOOTER = `
Examples:
  swap init
  swap offers
  swap buy --asset USDT --amount 25 --dry-run
  swap buy --asset USDT --amount 25
  swap buy --resume
"swap COMMAND --help" has more, with every option of the command.

Settings: flags over environment (SWAP_SECTION__KEY) over --config FILE; --world FILE takes every address from world.json.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 verification refused, 4 unavailable or outcome unknown
(safe to run again), 5 ended unpaid or refunded.
In the repository's folder: npx --no swap COMMAND`;

/** The program with every command. */
export function swapProgram(): Command {
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
    .option('--lightning-backend <kind>', 'lnnoded or lnd (default: lnnoded)')
    .option('--lightning-address <host:port>', 'gRPC of the own Lightning node')
    .option('--lightning-token-file <file>', "file with lnnoded's token")
    .option('--lightning-macaroon-file <file>', "file with lnd's macaroon")
    .option('--lightning-tls-cert <file>', 'PEM certificate of the Lightning node')
    .option('--admin <host:port>', "the operator's listener, also unix:PATH")
    .option('--admin-token-file <file>', "file with the operator's token")
    .option('--admin-tls-cert <file>', "PEM certificate of the operator's listener")
    .option('--assets <file>', 'own list of assets (JSON or TOML): what a ticker means, and its decimals')
    .option('--json', 'results as JSON on stdout; all other text on stderr')
    .option('--debug', 'logs and stack traces');
  addWalletCommands(program);
  addLookCommands(program);
  addBuyCommands(program);
  addEvidenceCommands(program);
  addAdminCommands(program);
  addLnnodeCommands(program);
  return program;
}

function append(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
