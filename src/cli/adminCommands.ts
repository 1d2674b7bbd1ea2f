/** The operator's commands: clients of AdminService. */
import { randomUUID } from 'node:crypto';

import type { Command } from 'commander';
import { z } from 'zod';

import { printable } from '../buyer/printable.js';
import { listOffers } from '../buyer/quote.js';
import type { AdminClient } from '../buyer/rpcClient.js';
import { assetId, displayHex, hex } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { AssetBalance, GetStatusResponse } from '../gen/ln_liquid_swap/v1/admin.js';
import { addAdminBuyerCommands } from './adminBuyerCommands.js';
import { addAdminExamples } from './adminExamples.js';
import { addAdminSwapCommands } from './adminSwapCommands.js';
import { describeAmount, describeMsat, parseAmount } from './amount.js';
import { findAsset, type KnownAsset } from './asset.js';
import { EXIT, type ExitCode } from './exit.js';
import { noOptions, partsArgument, ppmOption, uint64Option } from './options.js';
import { fields, table } from './output.js';
import { action, withAdmin, withSeller, type Run } from './run.js';
import { describeOffers } from './views.js';

const withdrawOptions = z.object({
  asset: z.string(),
  amount: z.string(),
  address: z.string(),
  requestId: z.uuid().optional(),
});
const splitOptions = z.object({ requestId: z.uuid().optional() });
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
    .command('split')
    .description('make equal coins of an asset, so that swaps can start side by side')
    .argument('<asset>', 'ticker or 64-digit asset id')
    .argument('<parts>', 'how many coins, 2 to 20')
    .option('--request-id <uuid>', 'repeat a split whose outcome is unknown')
    .action(action(splitOptions, split));
  addAdminSwapCommands(admin);
  addAdminBuyerCommands(admin);
  admin
    .command('backup')
    .description('copy the database while the daemon runs')
    .argument('<file>', "absolute path on the daemon's machine at which nothing is yet")
    .action(action(noOptions, backup));
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
  addAdminExamples(admin);
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
        ['can receive', describeMsat(answer.inboundCapacityMsat) + whyNothing(answer)],
        ['open swaps', String(answer.openSwaps)],
        ['started', new Date(Number(answer.startedAtUnixSecs) * 1000).toISOString()],
        ['Electrum', answer.trustsSingleElectrum ? 'a single server is trusted' : ''],
        ...answer.alarms.map((alarm): [string, string] => ['ALARM', printable(alarm)]),
      ]),
    );
    return EXIT.done;
  });
}

/** A node that is well and has no channel sells nothing, which the figure alone does not say. */
const whyNothing = ({ isLightningReady, inboundCapacityMsat }: GetStatusResponse): string =>
  isLightningReady && inboundCapacityMsat === 0n
    ? ': nothing can be sold; no usable channel can receive anything, somebody has to open one to the node'
    : '';

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
        ['ASSET', 'AVAILABLE', 'RESERVED', 'LOCKED', 'PENDING', 'KEPT'],
        ...answer.balances.map((each) => {
          const { assetId: id, ticker, precision } = nameOf(each);
          const amounts = [
            each.availableAmount,
            each.reservedAmount,
            each.lockedAmount,
            each.pendingAmount,
            each.keptAmount,
          ];
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
  return findAsset(name, balances.map(nameOf), run.settings.knownAssets);
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

async function split(
  run: Run,
  options: z.output<typeof splitOptions>,
  [name = '', parts = '']: readonly string[],
): Promise<ExitCode> {
  const count = partsArgument.safeParse(parts);
  if (!count.success)
    throw new SwapError('invalid_argument', `parts: expected an integer 2..20, found "${parts.slice(0, 40)}"`);
  return await withAdmin(run, async (client) => {
    const asset = await assetNamed(run, client, name);
    const requestId = options.requestId ?? randomUUID();
    run.out.progress(`if the outcome stays unknown, repeat with --request-id ${requestId}`);
    const request = { requestId, assetId: internal(asset), parts: count.data };
    const answer = await client.splitCoins(request, { deadline: 60_000 });
    run.out.result({ ...answer, requestId }, () =>
      fields([
        ['split', `${asset.ticker} ${asset.assetId} into ${count.data} coins`],
        ['transaction', displayHex(answer.txid)],
        ['fee', describeAmount(answer.feeSats, 8, 'L-BTC')],
      ]),
    );
    return EXIT.done;
  });
}

async function backup(run: Run, _options: object, [path = '']: readonly string[]): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    await client.backup({ path }, { deadline: 600_000 });
    run.out.result({ path }, () => `copied to ${path} on the daemon's machine`);
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
