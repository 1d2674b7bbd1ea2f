/** Commands that look and change nothing: init, offers, show, watch, verify, history, balance. */
import type { Command } from 'commander';
import { z } from 'zod';

import { BuyerError } from '../buyer/buyerError.js';
import { readPayoutWallet } from '../buyer/connect.js';
import { findRecord, initDataDir, readRecords, readSeed } from '../buyer/dataDir.js';
import { listOffers } from '../buyer/quote.js';
import { handoverOf, verifyHandover } from '../buyer/verifyHandover.js';
import { encodeAddress, LIQUID_NETWORKS } from '../core/network.js';
import { swapId, type AssetId, type SwapId } from '../core/units.js';
import { SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { describeAmount } from './amount.js';
import { EXIT, type ExitCode } from './exit.js';
import { noOptions, timeoutOption } from './options.js';
import { fields } from './output.js';
import { action, initWorldBuyer, withChains, withSeller, type Run } from './run.js';
import { loggerOf } from './settings.js';
import {
  describeHistory,
  describeOffers,
  describePurchase,
  describeReport,
  describeSwap,
  describeSwapLine,
  purchaseView,
  reportView,
  swapIdOf,
} from './views.js';

/** Adds the commands to the program. */
export function addLookCommands(program: Command): void {
  program.command('init').description("make this buyer's mnemonic and show it once").action(action(noOptions, init));
  program.command('offers').description('what the seller sells').action(action(noOptions, offers));
  program
    .command('show')
    .description("a swap: the seller's word, and our own record of it")
    .argument('<swap>', 'number, swap id or request id; a beginning is enough')
    .action(action(noOptions, show));
  program
    .command('watch')
    .description('print every change of a swap until it is final')
    .argument('<swap>', 'number, swap id or request id')
    .option('--timeout <secs>', 'stop after this many seconds (default: 900)')
    .action(action(z.object({ timeout: timeoutOption }), watch));
  program
    .command('verify')
    .description('check a funded swap on our own servers; pays nothing')
    .argument('<swap>', 'number, swap id or request id')
    .action(action(noOptions, verify));
  program.command('history').description('all purchases of this buyer').action(action(noOptions, history));
  program.command('balance').description("what this buyer's own wallet holds").action(action(noOptions, balance));
}

async function init({ settings, out }: Run): Promise<ExitCode> {
  const mnemonic = initDataDir(settings.dataDir);
  out.result({ dataDir: settings.dataDir, mnemonic }, () =>
    [
      `Made a new mnemonic in ${settings.dataDir}. Write it down; it is not shown again:`,
      '',
      `  ${mnemonic}`,
      '',
      'Whoever knows these words owns what this buyer claims. Claim kits in the same folder hold keys too.',
    ].join('\n'),
  );
  return await Promise.resolve(EXIT.done);
}

async function offers(run: Run): Promise<ExitCode> {
  return await withSeller(run, async (client) => {
    const answer = await listOffers(client);
    run.out.result(answer, () =>
      [
        describeOffers(answer.offers),
        '',
        fields([
          ['seller node', answer.sellerNodeId],
          ['genesis', answer.genesis],
          ['state', answer.isPaused ? 'paused: no new swaps' : 'open'],
        ]),
        "Tickers are the seller's own words: compare the asset id.",
      ].join('\n'),
    );
    return EXIT.done;
  });
}

/** A full swap id works without a record of our own. */
function swapIdNamed(run: Run, name: string): SwapId {
  if (/^[0-9a-f]{32}$/.test(name)) return swapId(name);
  const record = findRecord(run.settings.dataDir, name);
  const id = swapIdOf(record);
  if (id !== undefined) return swapId(id);
  throw new BuyerError('wrong_step', `expected a swap that exists at the seller, found step ${record.progress.step}`);
}

async function show(run: Run, _options: object, args: readonly string[]): Promise<ExitCode> {
  const id = swapIdNamed(run, args[0] ?? '');
  const record = readRecords(run.settings.dataDir).find((each) => swapIdOf(each) === id);
  return await withSeller(run, async (client) => {
    const { swap } = await client.getSwap({ swapId: Buffer.from(id, 'hex') });
    if (swap === undefined) throw new BuyerError('seller_answer_invalid', 'expected a swap, found an empty answer');
    const own = record === undefined ? undefined : purchaseView(record);
    run.out.result({ swap, purchase: own }, () =>
      [describeSwap(swap), ...(record === undefined ? [] : ['', describePurchase(record)])].join('\n'),
    );
    return EXIT.done;
  });
}

/** How a swap that is final ends a `watch`; undefined while it is open. */
function exitOfStatus(status: Swap['status']): ExitCode | undefined {
  if (status === SwapStatus.CLAIMED) return EXIT.done;
  if (status === SwapStatus.REFUNDED || status === SwapStatus.FAILED) return EXIT.unpaid;
  return status === SwapStatus.OWED ? EXIT.failed : undefined;
}

async function watch(run: Run, options: { timeout: number }, args: readonly string[]): Promise<ExitCode> {
  const id = swapIdNamed(run, args[0] ?? '');
  return await withSeller(run, async (client) => {
    const call = { deadline: options.timeout * 1000, signal: run.signal };
    for await (const { swap } of client.watchSwap({ swapId: Buffer.from(id, 'hex') }, call)) {
      if (swap === undefined) continue;
      run.out.result(swap, () => describeSwapLine(swap));
      const end = exitOfStatus(swap.status);
      if (end !== undefined) return end;
    }
    return EXIT.unknown;
  });
}

async function verify(run: Run, _options: object, args: readonly string[]): Promise<ExitCode> {
  const { dataDir } = run.settings;
  const record = findRecord(dataDir, args[0] ?? '');
  const id = swapId(swapIdOf(record) ?? '');
  const swap = await withSeller(run, async (client) => (await client.getSwap({ swapId: Buffer.from(id, 'hex') })).swap);
  if (swap === undefined || swap.fundingTxid.length === 0) {
    throw new BuyerError('wrong_step', 'expected a funding to verify, found none yet; see: swap watch');
  }
  const { progress } = record;
  // Once it can no longer be paid the seller hides the invoice; our own copy is the one that was judged.
  const bolt11 = swap.bolt11 === '' && 'htlc' in progress ? progress.htlc.bolt11 : swap.bolt11;
  const handover = handoverOf(id, { ...swap, bolt11 });
  const report = await withChains(
    run,
    async (side) => await verifyHandover({ ...side, dir: dataDir }, record.deal, handover),
  );
  run.out.result({ swapId: id, ...reportView(report) }, () => describeReport(report));
  return report.facts === undefined ? EXIT.refused : EXIT.done;
}

async function history({ settings, out }: Run): Promise<ExitCode> {
  const records = readRecords(settings.dataDir);
  out.result({ purchases: records.map(purchaseView) }, () => describeHistory(records));
  return await Promise.resolve(EXIT.done);
}

async function balance(run: Run): Promise<ExitCode> {
  initWorldBuyer(run);
  const { settings, out } = run;
  const seed = readSeed(settings.dataDir);
  return await withChains(run, async (side) => {
    const wallet = await readPayoutWallet(side, settings.dataDir, seed, loggerOf(settings));
    const known = [...settings.worldAssets, ...purchasedAssets(settings.dataDir)];
    const policy = { assetId: LIQUID_NETWORKS[side.network].policyAsset, ticker: 'L-BTC', precision: 8 };
    const named = (id: AssetId) =>
      [policy, ...known].find((asset) => asset.assetId === id) ?? { assetId: id, ticker: '', precision: 0 };
    const balances = wallet.balances.map((each) => ({ ...each, ...named(each.assetId) }));
    const address = encodeAddress({ scriptPubKey: wallet.scriptPubKey }, side.network);
    out.result({ balances, address, confidentialAddress: wallet.address }, () => {
      const rows = balances.map(({ ticker, assetId, confirmed, unconfirmed, precision }): [string, string] => {
        const pending = unconfirmed === 0n ? '' : `, unconfirmed ${describeAmount(unconfirmed, precision, ticker)}`;
        return [assetId, describeAmount(confirmed, precision, ticker) + pending];
      });
      return fields([...(rows.length === 0 ? [['empty', '0'] as const] : rows), ['next address', address]]);
    });
    return EXIT.done;
  });
}

const purchasedAssets = (dir: string): { assetId: AssetId; ticker: string; precision: number }[] =>
  readRecords(dir).map(({ deal, ticker, precision }) => ({ assetId: deal.assetId, ticker, precision }));
