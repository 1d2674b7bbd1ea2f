/** Commands that buy: quote, create, pay, claim, buy. */
import { Option, type Command } from 'commander';
import { z } from 'zod';

import type { Buyer } from '../buyer/buyer.js';
import { BuyerError } from '../buyer/buyerError.js';
import { readPayoutWallet, whyCannotPay } from '../buyer/connect.js';
import { findRecord, readableRecords } from '../buyer/dataDir.js';
import { startPurchase, type Wishes } from '../buyer/purchase.js';
import { readQuote, storeQuote } from '../buyer/quoteFile.js';
import { isFinal, type PurchaseRecord, type Step } from '../buyer/record.js';
import { encodeAddress } from '../core/network.js';
import { decodePayout } from '../core/payout.js';
import { SwapError } from '../errors.js';
import { claimKit } from './claimKit.js';
import { drive, resume } from './drive.js';
import { dryRun } from './dryRun.js';
import { EXIT, type ExitCode } from './exit.js';
import { openExternalPayer } from './externalPayer.js';
import { examples } from './help.js';
import { timeoutOption } from './options.js';
import { limitsOf, order, wishOptions, type WishOptions } from './order.js';
import { action, withBuyer, withSeller, type Run } from './run.js';
import { loggerOf } from './settings.js';
import { describeQuote } from './views.js';

const orderOptions = z.object({ asset: z.string(), amount: z.string() });
const driveOptions = z.object({ timeout: timeoutOption });
const payOptions = driveOptions.extend({
  pay: z.enum(['node', 'external'], 'expected node (your Lightning node) or external (any wallet)').optional(),
});
const createOptions = driveOptions.extend(wishOptions.shape);
const claimOptions = driveOptions.extend({
  kit: z.string().optional(),
  preimageStdin: z.boolean().default(false),
});
const buyOptions = createOptions.extend(payOptions.shape).extend({
  asset: z.string().optional(),
  amount: z.string().optional(),
  resume: z.union([z.literal(true), z.string()]).optional(),
  dryRun: z.boolean().default(false),
});

/** Adds the commands to the program. */
export function addBuyCommands(program: Command): void {
  examples(
    program
      .command('buy')
      .description('quote, create, verify, pay and claim in one go')
      .option('--asset <name>', 'ticker or 64-digit asset id')
      .option('--amount <amount>', 'in whole units, e.g. 12.5')
      .option('--dry-run', 'show what would be done, and check all that can be checked now; stores and starts nothing')
      .option('--resume [swap]', 'continue one purchase, or all that are open')
      .addOption(payer())
      .addOption(timeout()),
    'buy --asset USDT --amount 25',
    'buy --asset USDT --amount 25 --dry-run',
    'buy --asset USDT --amount 25 --pay external --payout ADDRESS',
    'buy --resume',
  ).action(action(buyOptions, buy));
  examples(
    program
      .command('quote')
      .description('ask for a price and keep the quote')
      .requiredOption('--asset <name>', 'ticker or 64-digit asset id')
      .requiredOption('--amount <amount>', 'in whole units, e.g. 12.5'),
    'quote --asset USDT --amount 12.5',
  ).action(action(orderOptions, quote));
  examples(
    program
      .command('create')
      .description('start a swap from a quote; pays nothing')
      .argument('<quote-id>', '32 hex digits, as "quote" showed them')
      .addOption(timeout()),
    'create QUOTE_ID --max-price-sat 30000 --confs 2',
  ).action(action(createOptions, create));
  examples(
    program
      .command('pay')
      .description('verify and pay a created swap')
      .argument('<swap>', 'number, swap id or request id')
      .addOption(payer())
      .addOption(timeout()),
    'pay 0',
    'pay 0 --pay external',
  ).action(action(payOptions, pay));
  examples(
    program
      .command('claim')
      .description('claim a paid swap, or any HTLC from its claim kit')
      .argument('[swap]', 'number, swap id or request id')
      .option('--kit <file>', 'claim-kit.json; needs no data directory and no seller')
      .option('--preimage-stdin', 'with --kit: read the preimage from stdin (64 hex digits)')
      .addOption(timeout()),
    'claim 0',
    'claim --kit claim-kit.json --electrum ssl://electrum.example:50002',
    'claim --kit claim-kit.json --preimage-stdin < preimage.txt',
  ).action(action(claimOptions, claim));
  for (const command of program.commands.filter((each) => ['buy', 'create'].includes(each.name()))) addWishes(command);
}

const timeout = (): Option =>
  new Option('--timeout <secs>', 'stop after this many seconds; the purchase can be resumed (default: 900)');
const payer = (): Option =>
  new Option('--pay <who>', 'node: your own Lightning node; external: any wallet, you type its preimage');

function addWishes(command: Command): void {
  command
    .option('--confs <blocks>', "depth of the seller's funding before paying (default: the least the seller allows)")
    .option('--max-price-sat <sat>', 'refuse a higher price')
    .option('--max-fee-sat <sat>', 'most that Lightning routing may cost (default: 1 % and 10 sat)')
    .option('--payout <address>', "where the asset goes, confidential or not (default: this buyer's own wallet)");
}

async function quote(run: Run, options: z.output<typeof orderOptions>): Promise<ExitCode> {
  return await withSeller(run, async (client) => {
    const { ticker, precision, quote: answer } = await order(run, client, options);
    const stored = { ticker, precision, quote: answer };
    storeQuote(run.settings.dataDir, stored);
    run.out.result(stored, () => describeQuote(stored.quote, stored.ticker, stored.precision));
    run.out.progress(`next: swap create ${stored.quote.quoteId}`);
    return EXIT.done;
  });
}

async function wishesOf(run: Run, buyer: Buyer, options: WishOptions): Promise<Wishes> {
  if (options.payout !== undefined) decodePayout(options.payout, buyer.network);
  return { ...limitsOf(options), payoutAddress: options.payout ?? (await ownAddress(run, buyer)) };
}

/** Plain, not confidential: the HTLC has shown asset and amount, and a blinded claim costs several times the fee. */
async function ownAddress(run: Run, buyer: Buyer): Promise<string> {
  const { scriptPubKey } = await readPayoutWallet(buyer, buyer.dir, buyer.seed, loggerOf(run.settings));
  return encodeAddress({ scriptPubKey }, buyer.network);
}

async function create(run: Run, options: z.output<typeof createOptions>, args: readonly string[]): Promise<ExitCode> {
  const stored = readQuote(run.settings.dataDir, args[0] ?? '');
  return await withBuyer(run, async (buyer) => {
    const record = await startPurchase(buyer, stored.quote, stored, await wishesOf(run, buyer, options));
    return await drive(run, buyer, record, { until: 'created', timeoutSecs: options.timeout });
  });
}

function expectStep(record: PurchaseRecord, allowed: readonly Step[], advice: string): void {
  const { step } = record.progress;
  if (allowed.includes(step)) return;
  const expected = allowed.join(', ');
  throw new BuyerError('wrong_step', `expected purchase #${record.number} at ${expected}, found ${step}; ${advice}`);
}

/** Runs with a person who pays, if that was asked for or if he may have paid already. */
async function withPayer(
  run: Run,
  who: 'node' | 'external' | undefined,
  records: readonly PurchaseRecord[],
  body: (buyer: Buyer) => Promise<ExitCode>,
): Promise<ExitCode> {
  const mayHavePaid = records.some(({ progress }) => progress.step === 'paying' && progress.payer?.kind === 'external');
  if (who !== 'external' && (who === 'node' || !mayHavePaid)) return await withBuyer(run, body);
  const { payer: person, close } = openExternalPayer(run.out);
  try {
    return await withBuyer(run, body, person);
  } finally {
    close();
  }
}

async function pay(run: Run, options: z.output<typeof payOptions>, args: readonly string[]): Promise<ExitCode> {
  const record = findRecord(run.settings.dataDir, args[0] ?? '');
  expectStep(record, ['created', 'verified', 'paying', 'paid'], 'see: swap history');
  const body = async (buyer: Buyer): Promise<ExitCode> =>
    await drive(run, buyer, record, { until: 'paid', timeoutSecs: options.timeout });
  return await withPayer(run, options.pay, [record], body);
}

async function claim(run: Run, options: z.output<typeof claimOptions>, args: readonly string[]): Promise<ExitCode> {
  const [name] = args;
  if ((name === undefined) === (options.kit === undefined)) {
    throw new SwapError('invalid_argument', 'expected a swap or --kit FILE, found neither or both');
  }
  if (name === undefined) return await claimKit(run, options.kit ?? '', options);
  if (options.preimageStdin) {
    throw new SwapError('invalid_argument', '--preimage-stdin: expected --kit FILE beside it, found none');
  }
  const record = findRecord(run.settings.dataDir, name);
  expectStep(record, ['paid', 'claiming', 'claimed'], 'a swap is claimed after it is paid: swap pay');
  return await withBuyer(run, async (buyer) => await drive(run, buyer, record, { timeoutSecs: options.timeout }));
}

/**
 * The purchase whose payer may be a person. Of several at once nobody could tell whose preimage is typed, and those that
 * a node pays must not become another wallet's: they are resumed one by one.
 */
function resumedByPerson(run: Run, which: true | string, who: 'node' | 'external' | undefined): PurchaseRecord[] {
  const { dataDir } = run.settings;
  if (which !== true) return [findRecord(dataDir, which)];
  const open = readableRecords(dataDir).records.filter(({ progress }) => !isFinal(progress.step));
  if (who === 'external' && open.length > 1) {
    const numbers = open.map(({ number }) => number).join(', ');
    throw new SwapError(
      'invalid_argument',
      `--pay external: expected --resume NUMBER, found ${open.length} open: ${numbers}`,
    );
  }
  return [];
}

/** Before the seller locks anything for a payment that could not be made. @throws SwapError `lightning_unavailable`. */
async function requirePayer({ lightning, external, network }: Buyer): Promise<void> {
  if (lightning === undefined || external !== undefined) return;
  const problem = await whyCannotPay(lightning, network);
  if (problem !== undefined) throw new SwapError('lightning_unavailable', problem);
}

async function buy(run: Run, options: z.output<typeof buyOptions>): Promise<ExitCode> {
  const { asset, amount, resume: which } = options;
  if (which !== undefined) {
    return await withPayer(
      run,
      options.pay,
      resumedByPerson(run, which, options.pay),
      async (buyer) => await resume(run, buyer, which, options.timeout),
    );
  }
  if (asset === undefined || amount === undefined) {
    throw new SwapError('invalid_argument', 'expected --asset NAME and --amount AMOUNT, or --resume; found less');
  }
  if (options.dryRun) return await dryRun(run, { ...options, asset, amount });
  return await withPayer(run, options.pay, [], async (buyer) => {
    await requirePayer(buyer);
    const wishes = await wishesOf(run, buyer, options);
    const stored = await order(run, buyer.seller, { asset, amount });
    run.out.progress(describeQuote(stored.quote, stored.ticker, stored.precision));
    const record = await startPurchase(buyer, stored.quote, stored, wishes);
    return await drive(run, buyer, record, { timeoutSecs: options.timeout });
  });
}
