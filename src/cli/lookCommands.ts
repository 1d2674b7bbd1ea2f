/** Commands that look at the seller and at swaps, and change nothing: offers, show, watch, verify. */
import type { Command } from 'commander';
import { z } from 'zod';

import { nowSecs } from '../buyer/buyer.js';
import { BuyerError } from '../buyer/buyerError.js';
import { findRecord, readableRecords } from '../buyer/dataDir.js';
import { outlook } from '../buyer/outlook.js';
import { listOffers } from '../buyer/quote.js';
import { handoverOf, verifyHandover } from '../buyer/verifyHandover.js';
import { swapId, type SwapId } from '../core/units.js';
import { SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { noOptions, timeoutOption } from './options.js';
import { fields } from './output.js';
import { action, withChains, withSeller, type Run } from './run.js';
import {
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
  examples(
    program.command('offers').description('what the seller sells'),
    'offers --seller shop.example:9835 --seller-tls-cert shop.pem',
    'offers --json',
  ).action(action(noOptions, offers));
  examples(
    program
      .command('show')
      .description("a swap: the seller's word, and our own record of it")
      .argument('<swap>', 'number, swap id or request id; a beginning is enough'),
    'show 0',
  ).action(action(noOptions, show));
  examples(
    program
      .command('watch')
      .description('print every change of a swap until it is final')
      .argument('<swap>', 'number, swap id or request id')
      .option('--timeout <secs>', 'stop after this many seconds (default: 900)'),
    'watch 0 --timeout 3600',
  ).action(action(z.object({ timeout: timeoutOption }), watch));
  examples(
    program
      .command('verify')
      .description('check a funded swap on our own servers, and say what comes next; pays nothing')
      .argument('<swap>', 'number, swap id or request id'),
    'verify 0',
    'verify 0 --json',
  ).action(action(noOptions, verify));
}

async function offers(run: Run): Promise<ExitCode> {
  return await withSeller(run, async (client) => {
    const answer = await listOffers(client);
    run.out.result(answer, () =>
      [
        describeOffers(answer.offers, run.settings.knownAssets),
        '',
        fields([
          ['seller node', answer.sellerNodeId],
          ['genesis', answer.genesis],
          ['state', answer.isPaused ? 'paused: no new swaps' : 'open'],
        ]),
        run.settings.knownAssets.length === 0
          ? "Tickers are the seller's own words: compare the asset id, or keep a list of your own (--assets)."
          : '"known" is what your own list of assets says; of everything else compare the asset id.',
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
  const record = readableRecords(run.settings.dataDir).records.find((each) => swapIdOf(each) === id);
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
    const signal = run.interruptible(() => 'Watching changes nothing: it is safe to leave.');
    const call = { deadline: options.timeout * 1000, signal };
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
  const next = outlook(report, nowSecs(), progress.step);
  run.out.result({ swapId: id, ...reportView(report, next) }, () => describeReport(report, next));
  return report.facts === undefined ? EXIT.refused : EXIT.done;
}
