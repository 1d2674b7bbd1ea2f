/** The operator's commands: clients of AdminService. */
import { randomUUID } from 'node:crypto';

import type { Command } from 'commander';
import { z } from 'zod';

import { printable } from '../buyer/printable.js';
import { listOffers } from '../buyer/quote.js';
import type { AdminClient } from '../buyer/rpcClient.js';
import { assetId, displayHex, hex } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { AssetBalance } from '../gen/ln_liquid_swap/v1/admin.js';
import { PaymentStatus, SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';
import { describeAmount, describeMsat, parseAmount } from './amount.js';
import { findAsset, type KnownAsset } from './asset.js';
import { EXIT, type ExitCode } from './exit.js';
import { enumName } from './json.js';
import { limitOption, noOptions, ppmOption, uint64Option } from './options.js';
import { fields, table } from './output.js';
import { action, withAdmin, withSeller, type Run } from './run.js';
import { describeOffers } from './views.js';

const withdrawOptions = z.object({
  asset: z.string(),
  amount: z.string(),
  address: z.string(),
  requestId: z.uuid().optional(),
});
const swapsOptions = z.object({ state: z.string().optional(), limit: limitOption.optional() });
const pauseOptions = z.object({ reason: z.string().max(200).default('by the operator') });
const offerSetOptions = z.object({
  asset: z.string(),
  priceMsatNumerator: uint64Option.optional(),
  priceDenominator: uint64Option.optional(),
  spreadPpm: ppmOption.optional(),
  minAmount: z.string().optional(),
  maxAmount: z.string().optional(),
});

/** Adds `admin ...` to the program. */
export function addAdminCommands(program: Command): void {
  const admin = program.command('admin').description("the seller's operator");
  admin.command('status').description('health of every part').action(action(noOptions, status));
  admin.command('balance').description('what the wallet holds').action(action(noOptions, balance));
  admin.command('address').description('a fresh address to send stock to').action(action(noOptions, address));
  admin
    .command('withdraw')
    .description('send an asset out of the wallet')
    .requiredOption('--asset <name>', 'ticker or 64-digit asset id')
    .requiredOption('--amount <amount>', 'in whole units')
    .requiredOption('--address <address>', 'where to')
    .option('--request-id <uuid>', 'repeat a withdrawal whose outcome is unknown')
    .action(action(withdrawOptions, withdraw));
  admin
    .command('swaps')
    .description('all swaps, newest first')
    .option('--state <status>', 'only this status, e.g. FUNDED')
    .option('--limit <count>', 'at most this many')
    .action(action(swapsOptions, swaps));
  admin
    .command('pause')
    .description('stop new quotes and swaps')
    .option('--reason <text>', 'shown in the status')
    .action(action(pauseOptions, pause));
  admin.command('resume').description('end a pause').action(action(noOptions, resume));
  const offer = admin.command('offer').description('what is for sale');
  offer.command('list').description('the offers as buyers see them').action(action(noOptions, offerList));
  offer
    .command('set')
    .description('change price or limits of an offer; stored')
    .requiredOption('--asset <name>', 'ticker or 64-digit asset id')
    .option('--price-msat-numerator <integer>', 'msat per smallest unit: numerator')
    .option('--price-denominator <integer>', 'msat per smallest unit: denominator')
    .option('--spread-ppm <ppm>', 'added to the price, parts per million')
    .option('--min-amount <amount>', 'least amount of a swap, whole units')
    .option('--max-amount <amount>', 'greatest amount of a swap, whole units')
    .action(action(offerSetOptions, offerSet));
}

async function status(run: Run): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const answer = await client.getStatus({});
    run.out.result(answer, () =>
      fields([
        ['version', answer.version],
        ['network', `${answer.network} ${displayHex(answer.genesisHash)}`],
        ['Liquid height', String(answer.liquidHeight)],
        ['modes', answer.modes.length === 0 ? 'all is well' : answer.modes.join(', ')],
        ...answer.modeReasons.map((reason): [string, string] => ['', printable(reason)]),
        ['Lightning', `${answer.isLightningReady ? 'ready' : 'NOT ready'} ${hex(answer.nodeId)}`],
        ['can receive', describeMsat(answer.inboundCapacityMsat)],
        ['open swaps', String(answer.openSwaps)],
        ['started', new Date(Number(answer.startedAtUnixSecs) * 1000).toISOString()],
        ['Electrum', answer.trustsSingleElectrum ? 'a single server is trusted' : ''],
        ...answer.alarms.map((alarm): [string, string] => ['ALARM', printable(alarm)]),
      ]),
    );
    return EXIT.done;
  });
}

const nameOf = ({ assetId: id, ticker, precision }: AssetBalance): KnownAsset => ({
  assetId: assetId(displayHex(id)),
  ticker: printable(ticker),
  precision,
});

async function balance(run: Run): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const answer = await client.getBalance({});
    run.out.result(answer, () =>
      table([
        ['ASSET', 'AVAILABLE', 'RESERVED', 'LOCKED', 'PENDING'],
        ...answer.balances.map((each) => {
          const { assetId: id, ticker, precision } = nameOf(each);
          const amounts = [each.availableAmount, each.reservedAmount, each.lockedAmount, each.pendingAmount];
          return [id, ...amounts.map((units) => describeAmount(units, precision, ticker))];
        }),
      ]),
    );
    return EXIT.done;
  });
}

async function address(run: Run): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const answer = await client.newAddress({});
    run.out.result(answer, () => answer.address);
    return EXIT.done;
  });
}

async function assetNamed(run: Run, client: AdminClient, name: string): Promise<KnownAsset> {
  const { balances } = await client.getBalance({});
  return findAsset(name, balances.map(nameOf), run.settings.worldAssets);
}

const internal = (asset: KnownAsset): Buffer => Buffer.from(asset.assetId, 'hex').reverse();

async function withdraw(run: Run, options: z.output<typeof withdrawOptions>): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const asset = await assetNamed(run, client, options.asset);
    const assetAmount = parseAmount('--amount', options.amount, asset.precision);
    const requestId = options.requestId ?? randomUUID();
    run.out.progress(`if the outcome stays unknown, repeat with --request-id ${requestId}`);
    const request = { requestId, address: options.address, assetId: internal(asset), assetAmount };
    const answer = await client.withdraw(request, { deadline: 60_000 });
    run.out.result({ ...answer, requestId }, () =>
      fields([
        ['sent', describeAmount(assetAmount, asset.precision, asset.ticker)],
        ['transaction', displayHex(answer.txid)],
        ['fee', describeAmount(answer.feeSats, 8, 'L-BTC')],
      ]),
    );
    return EXIT.done;
  });
}

function statusNamed(name: string | undefined): SwapStatus {
  if (name === undefined) return SwapStatus.UNSPECIFIED;
  const wanted = name.toUpperCase();
  const found = Object.entries(SwapStatus).find(([each, value]) => each === wanted && value > 0);
  if (found !== undefined) return found[1];
  const known = Object.entries(SwapStatus).filter(([, value]) => value > 0);
  const expected = known.map(([each]) => each).join(', ');
  throw new SwapError('invalid_argument', `--state: expected one of ${expected}, found "${name.slice(0, 40)}"`);
}

async function swaps(run: Run, options: z.output<typeof swapsOptions>): Promise<ExitCode> {
  const wanted = statusNamed(options.state);
  return await withAdmin(run, async (client) => {
    const answer = await client.listSwaps({ status: wanted, limit: options.limit ?? 0 });
    run.out.result(answer, () =>
      table([
        ['SWAP', 'STATE', 'PAYMENT', 'UNITS', 'PRICE', 'BUYER', 'REASON'],
        ...answer.swaps.map(({ swap, internalState, principal }) => [
          hex(swap?.swapId ?? Buffer.alloc(0)),
          internalState,
          enumName(PaymentStatus, swap?.paymentStatus ?? 0),
          String(swap?.assetAmount ?? 0n),
          describeMsat(swap?.priceMsat ?? 0n),
          printable(principal),
          printable(swap?.reason ?? ''),
        ]),
      ]),
    );
    return EXIT.done;
  });
}

async function pause(run: Run, options: z.output<typeof pauseOptions>): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    await client.pause({ reason: options.reason });
    run.out.result({ paused: true, reason: options.reason }, () => `paused: ${options.reason}`);
    return EXIT.done;
  });
}

async function resume(run: Run): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    await client.resume({});
    run.out.result({ paused: false }, () => 'open for business');
    return EXIT.done;
  });
}

async function offerList(run: Run): Promise<ExitCode> {
  return await withSeller(run, async (client) => {
    const { offers } = await listOffers(client);
    run.out.result({ offers }, () => describeOffers(offers));
    return EXIT.done;
  });
}

async function offerSet(run: Run, options: z.output<typeof offerSetOptions>): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const asset = await assetNamed(run, client, options.asset);
    const limit = (name: string, text: string | undefined): bigint | undefined =>
      text === undefined ? undefined : parseAmount(name, text, asset.precision);
    const answer = await client.setOffer({
      assetId: internal(asset),
      priceMsatNumerator: options.priceMsatNumerator,
      priceDenominator: options.priceDenominator,
      spreadPpm: options.spreadPpm,
      minAssetAmount: limit('--min-amount', options.minAmount),
      maxAssetAmount: limit('--max-amount', options.maxAmount),
    });
    run.out.result(answer, () => `offer of ${asset.ticker} ${asset.assetId} changed`);
    return EXIT.done;
  });
}
