/** Command line of the sandbox. Each control command is one request to the running world. */
import { resolve } from 'node:path';

import { Command, InvalidArgumentError, Option } from 'commander';

import { controlRequest, type ControlResult, MAX_BLOCKS, PROCESS_NAMES } from './control.js';
import { askWorld } from './controlClient.js';
import { describeResult } from './describe.js';
import { LIGHTNING_CHAINS, type LightningChain } from './world/layout.js';

const CHAINS = ['liquid', 'bitcoin'] as const;
const DEFAULT_DIR = '.world';
const DEFAULT_LIQUID_BLOCK_SECS = 5;
const DEFAULT_BITCOIN_BLOCK_SECS = 60;
const MAX_BLOCK_SECS = 86_400;

type CommonOptions = { dir: string; json?: true };
type RunOptions = CommonOptions & {
  liquidBlockSecs: number;
  bitcoinBlockSecs: number;
  lightningChain: LightningChain;
  swapd: boolean;
};

/** The whole command line. Its actions throw WorldError; wrong usage throws CommanderError after one line on stderr. */
export function sandboxProgram(): Command {
  const program = new Command('sandbox')
    .description('A regtest world: a Liquid and a Bitcoin chain, two Lightning nodes with a channel, and the seller.')
    .configureOutput({ writeErr: (text) => process.stderr.write(text), outputError: writeUsageError })
    .exitOverride()
    .addHelpText('after', HELP_END);
  addRun(program);
  addChainCommands(program);
  addMoneyCommands(program);
  addProcessCommands(program);
  return program;
}

const HELP_END = `
Amounts are whole units: "sandbox faucet ADDRESS 0.5" sends half a bitcoin.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 4 no world runs (safe to run again).
In the repository's folder: npx --no sandbox COMMAND`;

/** One line, then where to read on. */
function writeUsageError(text: string, write: (text: string) => void): void {
  write(
    `invalid_argument: ${text
      .trim()
      .replace(/^error: /, '')
      .replaceAll('\n', ' ')}; see --help\n`,
  );
}

/** The options that every command has. */
function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--dir <dir>', 'folder of the world', DEFAULT_DIR)
    .option('--json', 'one JSON object on stdout');
}

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`expected an integer ${least}..${most}, found "${text}"`);
  };
}

function addRun(program: Command): void {
  command(program, 'run', 'Starts a world, or continues one, until Ctrl-C.')
    .addOption(
      new Option('--liquid-block-secs <secs>', 'seconds between Liquid blocks; 0 = only on command')
        .argParser(integer(0, MAX_BLOCK_SECS))
        .default(DEFAULT_LIQUID_BLOCK_SECS),
    )
    .addOption(
      new Option('--bitcoin-block-secs <secs>', 'seconds between Bitcoin blocks; 0 = only on command')
        .argParser(integer(0, MAX_BLOCK_SECS))
        .default(DEFAULT_BITCOIN_BLOCK_SECS),
    )
    .addOption(
      new Option('--lightning-chain <source>', 'how the Lightning nodes follow the Bitcoin chain')
        .choices(LIGHTNING_CHAINS)
        .default('bitcoind'),
    )
    .option('--no-swapd', 'prepare the seller but do not start it (later: sandbox start swapd)')
    .action(async (options: RunOptions) => {
      const { runWorld } = await import('./run.js'); // the other commands need none of it, and shall be quick
      await runWorld({
        dir: resolve(options.dir),
        liquidBlockSecs: options.liquidBlockSecs,
        bitcoinBlockSecs: options.bitcoinBlockSecs,
        withSwapd: options.swapd,
        lightningChain: options.lightningChain,
        isJson: options.json === true,
      });
    });
}

/** Sends a request and prints the answer. */
async function ask(options: CommonOptions, request: unknown): Promise<void> {
  const result: ControlResult = await askWorld(resolve(options.dir), controlRequest(request));
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${describeResult(result)}\n`);
}

function addChainCommands(program: Command): void {
  const blocks = integer(1, MAX_BLOCKS);
  command(program, 'status', 'Heights, assets and processes.').action(async (options: CommonOptions) => {
    await ask(options, { command: 'status' });
  });
  command(program, 'mine', 'Mines blocks at once.')
    .addArgument(program.createArgument('<chain>', 'which chain').choices(CHAINS))
    .argument('<blocks>', 'how many', blocks)
    .action(async (chain: string, count: number, options: CommonOptions) => {
      await ask(options, { command: 'mine', chain, blocks: count });
    });
  command(program, 'reorg', 'Replaces the last blocks by one more; their transactions are mined again.')
    .addArgument(program.createArgument('<chain>', 'which chain').choices(CHAINS))
    .argument('<blocks>', 'how deep', blocks)
    .option('--drop', 'their transactions vanish (Liquid only)')
    .action(async (chain: string, count: number, options: CommonOptions & { drop?: true }) => {
      await ask(options, { command: 'reorg', chain, blocks: count, drop: options.drop });
    });
  command(program, 'auto', 'Changes how often blocks come by themselves.')
    .addArgument(program.createArgument('<chain>', 'which chain').choices(CHAINS))
    .argument('<secs>', 'seconds between blocks; 0 = only on command', integer(0, MAX_BLOCK_SECS))
    .action(async (chain: string, secs: number, options: CommonOptions) => {
      await ask(options, { command: 'auto', chain, block_secs: secs });
    });
  command(program, 'floor', "Sets the Liquid chain's least relay fee.")
    .argument('<sat-per-kvb>', 'satoshi per 1000 virtual bytes', integer(0, 1_000_000))
    .action(async (rate: number, options: CommonOptions) => {
      await ask(options, { command: 'floor', sat_per_kvb: rate });
    });
}

function addMoneyCommands(program: Command): void {
  command(program, 'faucet', 'Pays an address from nothing; the payment waits for the next block.')
    .argument('<address>', 'Liquid regtest address, confidential or not, or Bitcoin regtest address')
    .argument('<amount>', 'whole units, e.g. 0.5')
    .argument('[asset]', 'ticker or asset id; default: L-BTC or BTC, as the address says')
    .action(async (address: string, amount: string, asset: string | undefined, options: CommonOptions) => {
      await ask(options, { command: 'faucet', address, amount, asset });
    });
  command(program, 'issue', 'Issues a new asset, all of it to the faucet; the seller offers it when it starts next.')
    .argument('<ticker>', 'short name, e.g. GOLD')
    .argument('<amount>', 'whole units')
    .argument('[precision]', 'decimal places, 0 to 8', integer(0, 8), 8)
    .action(async (ticker: string, amount: string, precision: number, options: CommonOptions) => {
      await ask(options, { command: 'issue', ticker, amount, precision });
    });
}

function addProcessCommands(program: Command): void {
  const actions = {
    start: 'Starts a process that is stopped, and waits until it serves.',
    stop: 'Ends a process in order (SIGTERM).',
    kill: 'Ends a process at once (SIGKILL), as a crash would.',
  } as const;
  for (const [action, description] of Object.entries(actions)) {
    command(program, action, description)
      .addArgument(program.createArgument('<name>', 'which process').choices(PROCESS_NAMES))
      .action(async (name: string, options: CommonOptions) => {
        await ask(options, { command: action, name });
      });
  }
}
