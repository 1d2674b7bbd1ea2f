/** Commands that buy: quote, create, pay, claim, buy. */
import type { Command } from 'commander';
import { z } from 'zod';

import type { Buyer, ChainSide } from '../buyer/buyer.js';
import { BuyerError } from '../buyer/buyerError.js';
import { claimFromKit } from '../buyer/claimFromKit.js';
import { readClaimKit } from '../buyer/claimKit.js';
import { readPayoutWallet } from '../buyer/connect.js';
import { findRecord } from '../buyer/dataDir.js';
import { startPurchase, type Wishes } from '../buyer/purchase.js';
import { listOffers, requestQuote } from '../buyer/quote.js';
import { readQuote, storeQuote, type StoredQuote } from '../buyer/quoteFile.js';
import type { PurchaseRecord, Step } from '../buyer/record.js';
import type { SellerClient } from '../buyer/rpcClient.js';
import { withTimeout } from '../buyer/wait.js';
import { encodeAddress } from '../core/network.js';
import { assetAmount, msat, sat } from '../core/units.js';
import { SwapError } from '../errors.js';
import { parseAmount } from './amount.js';
import { findAsset } from './asset.js';
import { drive, resume, teller } from './drive.js';
import { EXIT, type ExitCode } from './exit.js';
import { confsOption, satOption, timeoutOption } from './options.js';
import { action, withBuyer, withChains, withSeller, type Run } from './run.js';
import { loggerOf } from './settings.js';
import { describeQuote } from './views.js';

const orderOptions = z.object({ asset: z.string(), amount: z.string() });
const driveOptions = z.object({ timeout: timeoutOption });
const wishOptions = z.object({
  confs: confsOption.optional(),
  maxPriceSat: satOption.optional(),
  maxFeeSat: satOption.optional(),
  payout: z.string().optional(),
});
const createOptions = driveOptions.extend(wishOptions.shape);
const buyOptions = createOptions.extend({
  asset: z.string().optional(),
  amount: z.string().optional(),
  resume: z.union([z.literal(true), z.string()]).optional(),
});

/** Adds the commands to the program. */
export function addBuyCommands(program: Command): void {
  const timeout = (command: Command): Command =>
    command.option('--timeout <secs>', 'stop after this many seconds; the purchase can be resumed (default: 900)');
  const wishes = (command: Command): Command =>
    timeout(command)
      .option('--confs <blocks>', "depth of the seller's funding before paying (default: the least the seller allows)")
      .option('--max-price-sat <sat>', 'refuse a higher price')
      .option('--max-fee-sat <sat>', 'most that Lightning routing may cost (default: 1 % and 10 sat)')
      .option('--payout <address>', "where the asset goes (default: this buyer's own wallet)");
  program
    .command('quote')
    .description('ask for a price and keep the quote')
    .requiredOption('--asset <name>', 'ticker or 64-digit asset id')
    .requiredOption('--amount <amount>', 'in whole units, e.g. 12.5')
    .action(action(orderOptions, quote));
  wishes(
    program.command('create').description('start a swap from a quote; pays nothing').argument('<quote-id>'),
  ).action(action(createOptions, create));
  timeout(program.command('pay').description('verify and pay a created swap').argument('<swap>')).action(
    action(driveOptions, pay),
  );
  timeout(
    program
      .command('claim')
      .description('claim a paid swap, or any HTLC from its claim kit')
      .argument('[swap]')
      .option('--kit <file>', 'claim-kit.json; needs no data directory'),
  ).action(action(driveOptions.extend({ kit: z.string().optional() }), claim));
  wishes(
    program
      .command('buy')
      .description('quote, create, verify, pay and claim in one go')
      .option('--asset <name>', 'ticker or 64-digit asset id')
      .option('--amount <amount>', 'in whole units, e.g. 12.5')
      .option('--resume [swap]', 'continue one purchase, or all that are open'),
  ).action(action(buyOptions, buy));
}

async function order(run: Run, client: SellerClient, wanted: { asset: string; amount: string }): Promise<StoredQuote> {
  const { offers } = await listOffers(client);
  const asset = findAsset(wanted.asset, offers, run.settings.worldAssets);
  const amount = assetAmount(parseAmount('--amount', wanted.amount, asset.precision));
  const answer = await requestQuote(client, { assetId: asset.assetId, assetAmount: amount });
  return { ticker: asset.ticker, precision: asset.precision, quote: answer };
}

async function quote(run: Run, options: z.output<typeof orderOptions>): Promise<ExitCode> {
  return await withSeller(run, async (client) => {
    const stored = await order(run, client, options);
    storeQuote(run.settings.dataDir, stored);
    run.out.result(stored, () => describeQuote(stored.quote, stored.ticker, stored.precision));
    return EXIT.done;
  });
}

async function wishesOf(run: Run, buyer: Buyer, options: z.output<typeof wishOptions>): Promise<Wishes> {
  return {
    minFundingConfs: options.confs,
    maxPriceMsat: options.maxPriceSat === undefined ? undefined : msat(options.maxPriceSat * 1000n),
    maxFeeSat: options.maxFeeSat === undefined ? undefined : sat(options.maxFeeSat),
    payoutAddress: options.payout ?? (await ownAddress(run, buyer)),
  };
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

async function pay(run: Run, options: z.output<typeof driveOptions>, args: readonly string[]): Promise<ExitCode> {
  const record = findRecord(run.settings.dataDir, args[0] ?? '');
  expectStep(record, ['created', 'verified', 'paying', 'paid'], 'see: swap history');
  return await withBuyer(
    run,
    async (buyer) => await drive(run, buyer, record, { until: 'paid', timeoutSecs: options.timeout }),
  );
}

async function claim(
  run: Run,
  options: z.output<typeof driveOptions> & { kit?: string | undefined },
  args: readonly string[],
): Promise<ExitCode> {
  const [name] = args;
  if ((name === undefined) === (options.kit === undefined)) {
    throw new SwapError('invalid_argument', 'expected a swap or --kit FILE, found neither or both');
  }
  if (name === undefined) return await claimKit(run, options.kit ?? '', options.timeout);
  const record = findRecord(run.settings.dataDir, name);
  expectStep(record, ['paid', 'claiming', 'claimed'], 'a swap is claimed after it is paid: swap pay');
  return await withBuyer(run, async (buyer) => await drive(run, buyer, record, { timeoutSecs: options.timeout }));
}

/** Works with nothing but the kit and Electrum servers: the kit's own if none are given. */
async function claimKit(run: Run, path: string, timeoutSecs: number): Promise<ExitCode> {
  const signal = withTimeout(run.signal, timeoutSecs * 1000);
  const body = async (side: ChainSide): Promise<ExitCode> => {
    const end = await claimFromKit(side, path, { signal, onEvent: teller(run) });
    run.out.result(end, () => (end.kind === 'pending' ? 'claim: pending' : `${end.kind}: ${end.txid}`));
    if (end.kind === 'pending') return EXIT.unknown;
    return end.kind === 'claimed' ? EXIT.done : EXIT.failed;
  };
  return await withChains(run, body, readClaimKit(path).electrum);
}

async function buy(run: Run, options: z.output<typeof buyOptions>): Promise<ExitCode> {
  const { asset, amount, resume: which } = options;
  if (which !== undefined) {
    return await withBuyer(run, async (buyer) => await resume(run, buyer, which, options.timeout));
  }
  if (asset === undefined || amount === undefined) {
    throw new SwapError('invalid_argument', 'expected --asset NAME and --amount AMOUNT, or --resume; found less');
  }
  return await withBuyer(run, async (buyer) => {
    const wishes = await wishesOf(run, buyer, options);
    const stored = await order(run, buyer.seller, { asset, amount });
    run.out.progress(describeQuote(stored.quote, stored.ticker, stored.precision));
    const record = await startPurchase(buyer, stored.quote, stored, wishes);
    return await drive(run, buyer, record, { timeoutSecs: options.timeout });
  });
}
