/** Commands about this buyer's own keys, coins and purchases: init, history, balance, address. */
import type { Command } from 'commander';
import { z } from 'zod';

import { readPayoutWallet } from '../buyer/connect.js';
import { initDataDir, readableRecords, readSeed, restoreDataDir } from '../buyer/dataDir.js';
import { encodeAddress, LIQUID_NETWORKS } from '../core/network.js';
import type { AssetId } from '../core/units.js';
import { describeAmount } from './amount.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { chooseRecords, describeHistory, historyView } from './history.js';
import { readLine } from './input.js';
import { limitOption, noOptions } from './options.js';
import { fields } from './output.js';
import { action, initWorldBuyer, withChains, type Run } from './run.js';
import { loggerOf } from './settings.js';

const initOptions = z.object({ restore: z.boolean().default(false) });
const historyOptions = z.object({
  open: z.boolean().default(false),
  asset: z.string().optional(),
  limit: limitOption.optional(),
});

/** Adds the commands to the program. */
export function addWalletCommands(program: Command): void {
  examples(
    program
      .command('init')
      .description("make this buyer's mnemonic and show it once")
      .option('--restore', 'read the words of a lost data directory from stdin instead'),
    'init',
    'init --restore < words.txt',
  ).action(action(initOptions, init));
  examples(
    program
      .command('history')
      .description('all purchases of this buyer, with totals')
      .option('--open', 'only those that are not final')
      .option('--asset <name>', 'only this ticker or asset id')
      .option('--limit <count>', 'only the newest'),
    'history',
    'history --open',
    'history --asset USDT --limit 10 --json',
  ).action(action(historyOptions, history));
  examples(
    program.command('balance').description("what this buyer's own wallet holds"),
    'balance',
    'balance --json',
  ).action(action(noOptions, balance));
  examples(
    program.command('address').description("a fresh address of this buyer's own wallet, confidential"),
    'address',
  ).action(action(noOptions, address));
}

async function init(run: Run, options: z.output<typeof initOptions>): Promise<ExitCode> {
  if (options.restore) return await restore(run);
  const { settings, out } = run;
  const mnemonic = initDataDir(settings.dataDir);
  out.result({ dataDir: settings.dataDir, mnemonic }, () =>
    [
      `Made a new mnemonic in ${settings.dataDir}. Write it down; it is not shown again:`,
      '',
      ...numbered(mnemonic.split(' ')),
      '',
      'Whoever knows these words owns what this buyer claims. They are all that brings it back on another machine',
      '(swap init --restore). Claim kits in the same folder hold keys too: keep the folder private.',
    ].join('\n'),
  );
  return EXIT.done;
}

const WORDS_A_LINE = 6;

/** Words with their places, in lines that are easy to copy by hand. */
function numbered(words: readonly string[]): string[] {
  const cells = words.map((word, i) => `${(i + 1).toString().padStart(2)} ${word.padEnd(8)}`);
  const starts = cells.flatMap((_cell, i) => (i % WORDS_A_LINE === 0 ? [i] : []));
  return starts.map(
    (at) =>
      `  ${cells
        .slice(at, at + WORDS_A_LINE)
        .join('  ')
        .trimEnd()}`,
  );
}

/** The words come from stdin, never from the command line, where others could read them. */
async function restore({ settings, out }: Run): Promise<ExitCode> {
  if (process.stdin.isTTY)
    out.progress('Type the words in their order, in one line, and press Enter. They are not shown:');
  const words = await readLine('the words of a mnemonic');
  const firstNumber = numberOfDay(new Date());
  restoreDataDir(settings.dataDir, words, firstNumber);
  out.result({ dataDir: settings.dataDir, firstNumber }, () =>
    [
      `Restored ${settings.dataDir}. What was claimed to this wallet is there again: swap balance`,
      `Purchases are numbered from ${firstNumber} on, so that no claim key is used twice.`,
      'A purchase that was paid and not claimed needs its claim kit: swap claim --kit FILE',
    ].join('\n'),
  );
  return EXIT.done;
}

/** Higher than any number that the lost directory can have used by counting, and different every day: yymmdd00. */
const numberOfDay = (now: Date): number =>
  Number.parseInt(`${now.toISOString().slice(2, 10).replaceAll('-', '')}00`, 10);

async function history({ settings, out }: Run, options: z.output<typeof historyOptions>): Promise<ExitCode> {
  const { records: all, damaged } = readableRecords(settings.dataDir);
  for (const { number, error } of damaged) out.progress(`#${number} cannot be read: ${error.message}`);
  const records = chooseRecords(all, options);
  out.result(historyView(records), () => describeHistory(records));
  return await Promise.resolve(EXIT.done);
}

async function balance(run: Run): Promise<ExitCode> {
  initWorldBuyer(run);
  const { settings, out } = run;
  const seed = readSeed(settings.dataDir);
  return await withChains(run, async (side) => {
    const wallet = await readPayoutWallet(side, settings.dataDir, seed, loggerOf(settings));
    const known = [...settings.knownAssets, ...purchasedAssets(settings.dataDir)];
    const policy = { assetId: LIQUID_NETWORKS[side.network].policyAsset, ticker: 'L-BTC', precision: 8 };
    const named = (id: AssetId) =>
      [policy, ...known].find((asset) => asset.assetId === id) ?? { assetId: id, ticker: '', precision: 0 };
    const balances = wallet.balances.map((each) => ({ ...each, ...named(each.assetId) }));
    const plain = encodeAddress({ scriptPubKey: wallet.scriptPubKey }, side.network);
    out.result({ balances, address: plain, confidentialAddress: wallet.address }, () => {
      const rows = balances.map(({ ticker, assetId, confirmed, unconfirmed, precision }): [string, string] => {
        const pending = unconfirmed === 0n ? '' : `, unconfirmed ${describeAmount(unconfirmed, precision, ticker)}`;
        return [assetId, describeAmount(confirmed, precision, ticker) + pending];
      });
      return fields([...(rows.length === 0 ? [['empty', '0'] as const] : rows), ['next address', plain]]);
    });
    return EXIT.done;
  });
}

async function address(run: Run): Promise<ExitCode> {
  initWorldBuyer(run);
  const { settings, out } = run;
  const seed = readSeed(settings.dataDir);
  return await withChains(run, async (side) => {
    const wallet = await readPayoutWallet(side, settings.dataDir, seed, loggerOf(settings));
    const plain = encodeAddress({ scriptPubKey: wallet.scriptPubKey }, side.network);
    out.result({ address: wallet.address, plainAddress: plain }, () => wallet.address);
    return EXIT.done;
  });
}

const purchasedAssets = (dir: string): { assetId: AssetId; ticker: string; precision: number }[] =>
  readableRecords(dir).records.map(({ deal, ticker, precision }) => ({ assetId: deal.assetId, ticker, precision }));
