/** The operator's commands about swaps: list, show, pause, resume, drain. */
import type { Command } from 'commander';
import { z } from 'zod';

import { printable } from '../buyer/printable.js';

import { displayHex, hex, swapId } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { OwnTransaction, ShowSwapResponse, SwapEvent } from '../gen/ln_liquid_swap/v1/admin.js';
import { NextAction, PaymentStatus, SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';
import { describeAmount, describeMsat } from './amount.js';
import { EXIT, type ExitCode } from './exit.js';
import { enumName } from './json.js';
import { limitOption, noOptions } from './options.js';
import { fields, table } from './output.js';
import { action, withAdmin, type Run } from './run.js';
import { describeSwap } from './views.js';

const NO_BYTES = Buffer.alloc(0);

const swapsOptions = z.object({ state: z.string().optional(), limit: limitOption.optional() });
const reason = z.string().max(200, 'expected at most 200 characters');
const pauseOptions = z.object({ reason: reason.default('by the operator') });
const drainOptions = z.object({ reason: reason.default('') });

/** Adds them to `admin`. */
export function addAdminSwapCommands(admin: Command): void {
  admin
    .command('swaps')
    .description('all swaps, newest first')
    .option('--state <status>', 'only this status, e.g. FUNDED')
    .option('--limit <count>', 'at most this many')
    .action(action(swapsOptions, swaps));
  admin
    .command('show')
    .description('everything stored of a swap, with its history and transactions')
    .argument('<swap-id>', '32 hex digits')
    .action(action(noOptions, show));
  admin
    .command('pause')
    .description('stop new quotes and swaps')
    .option('--reason <text>', 'shown in the status')
    .action(action(pauseOptions, pause));
  admin.command('resume').description('end a pause').action(action(noOptions, resume));
  admin
    .command('drain')
    .description('pause, and list what is still open; the daemon goes on')
    .option('--reason <text>', 'shown in the status')
    .action(action(drainOptions, drain));
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
          hex(swap?.swapId ?? NO_BYTES),
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

const time = (secs: bigint): string => (secs === 0n ? '' : new Date(Number(secs) * 1000).toISOString());
const yes = (fact: boolean): string => (fact ? 'yes' : '');

const eventRow = (event: SwapEvent): string[] => [
  time(event.createdAtUnixSecs),
  event.kind,
  event.fromState === event.toState ? event.toState : `${event.fromState} -> ${event.toState}`,
  event.fromPayment === event.toPayment ? event.toPayment : `${event.fromPayment} -> ${event.toPayment}`,
  printable(event.detail),
];

const txRow = (own: OwnTransaction): string[] => [
  time(own.createdAtUnixSecs),
  `${own.kind} ${own.version}`,
  own.state,
  displayHex(own.txid),
  describeAmount(own.feeSats, 8, 'L-BTC'),
  own.signedHeight === 0 ? '' : `signed at height ${own.signedHeight}`,
];

function describeStored({ swap, ...stored }: ShowSwapResponse): string {
  const { events, transactions } = stored;
  return [
    ...(swap?.swap === undefined ? [] : [describeSwap({ ...swap.swap, bolt11: '' })]),
    fields([
      ['internal state', swap?.internalState ?? ''],
      ['buyer', printable(swap?.principal ?? '')],
      ['profile', stored.profile],
      ['refund key', `index ${stored.keyIndex}`],
      ['claim key', hex(stored.claimPubkey)],
      ['seller node', hex(stored.sellerNodeId)],
      ['funded by', time(stored.fundByUnixSecs)],
      ['invoice', printable(stored.bolt11)],
      ['invoice expires', time(stored.invoiceExpiresAtUnixSecs)],
      ['held', stored.heldMsat === 0n ? '' : describeMsat(stored.heldMsat)],
      ['preimage released', yes(stored.isPreimageReleased)],
      ['restored', yes(stored.isRestored)],
      ['subsidy to refund', yes(stored.isSubsidyOpen)],
    ]),
    '',
    table([['TIME', 'EVENT', 'STATE', 'PAYMENT', 'DETAIL'], ...events.map(eventRow)]),
    '',
    transactions.length === 0
      ? 'no transactions yet'
      : table([['TIME', 'TRANSACTION', 'STATE', 'TXID', 'FEE', ''], ...transactions.map(txRow)]),
  ].join('\n');
}

async function show(run: Run, _options: object, [id = '']: readonly string[]): Promise<ExitCode> {
  const wanted = swapId(id.toLowerCase());
  return await withAdmin(run, async (client) => {
    const answer = await client.showSwap({ swapId: Buffer.from(wanted, 'hex') });
    run.out.result(answer, () => describeStored(answer));
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

async function drain(run: Run, options: z.output<typeof drainOptions>): Promise<ExitCode> {
  return await withAdmin(run, async (client) => {
    const answer = await client.drain({ reason: options.reason });
    const { openSwaps } = answer;
    run.out.result({ paused: true, ...answer }, () =>
      [
        `paused: ${printable(answer.reason)}`,
        openSwaps.length === 0
          ? 'nothing is open: the daemon can be stopped for good'
          : table([
              ['SWAP', 'STATE', 'PAYMENT', 'NEXT', 'REFUND FROM', 'BUYER'],
              ...openSwaps.map((swap) => [
                hex(swap.swapId),
                swap.internalState,
                enumName(PaymentStatus, swap.paymentStatus),
                enumName(NextAction, swap.nextAction),
                swap.refundHeight === 0 ? '-' : String(swap.refundHeight),
                printable(swap.principal),
              ]),
            ]),
      ].join('\n'),
    );
    return EXIT.done;
  });
}
