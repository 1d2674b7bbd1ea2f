/** Invoices and payments of the Lightning node. */
import type { Command } from 'commander';
import { z } from 'zod';

import { BuyerError } from '../buyer/buyerError.js';
import { hex } from '../core/units.js';
import { InvoiceState, PaymentState, type Payment } from '../gen/lnnode/v1/lnnode.js';
import { describeMsat } from './amount.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { argument, withLnnode } from './lnnodeClient.js';
import {
  describeDecoded,
  describeInvoices,
  describePayment,
  describePayments,
  invoiceView,
  paymentView,
} from './lnnodeViews.js';
import { limitOption, noOptions, satOption, timeoutOption } from './options.js';
import { fields } from './output.js';
import { action, type Run } from './run.js';

const SLACK_MS = 10_000;
/** The node answers after this many seconds at most. */
const MAX_WAIT_SECS = 600;
const LEAST_FEE_LIMIT_MSAT = 10_000n;

const number = z
  .string()
  .regex(/^[0-9]{1,9}$/, 'expected an integer')
  .transform(Number);
const invoiceOptions = z.object({
  description: z.string().default(''),
  label: z.string().default(''),
  expirySecs: number.default(3600),
  wait: z.boolean().default(false),
});
const listOptions = z.object({ limit: limitOption.default(20) });
const invoicesOptions = listOptions.extend({ label: z.string().default('') });
const payOptions = z.object({
  maxFeeSats: satOption.optional(),
  maxCltv: number.default(1008),
  timeout: timeoutOption.default(60).refine((secs) => secs <= MAX_WAIT_SECS, `expected at most ${MAX_WAIT_SECS}`),
});

/** Adds the commands to `lnnode`. */
export function addLnnodePaymentCommands(node: Command): void {
  examples(
    node
      .command('invoice')
      .description('make an invoice that is settled as soon as it is paid')
      .argument('<sats>', 'amount')
      .option('--description <text>', 'what it is for')
      .option('--label <text>', 'to find it again')
      .option('--expiry-secs <secs>', 'life (default: 3600)')
      .option('--wait', 'until it is paid or expired'),
    'lnnode invoice 25000 --label rent --wait',
  ).action(action(invoiceOptions, invoice));
  examples(
    node
      .command('invoices')
      .description('invoices, newest first')
      .option('--label <text>', 'only those whose label starts with it')
      .option('--limit <n>', 'greatest number (default: 20)'),
    'lnnode invoices --label rent',
  ).action(action(invoicesOptions, invoices));
  examples(
    node
      .command('decode')
      .description('read an invoice: everything a payer must check')
      .argument('<bolt11>', 'the invoice'),
    'lnnode decode BOLT11',
  ).action(action(noOptions, decode));
  examples(
    node
      .command('pay')
      .description('pay an invoice; repeating it never pays twice')
      .argument('<bolt11>', 'the invoice')
      .option('--max-fee-sats <sats>', 'greatest routing fee (default: 1 %, at least 10 sat)')
      .option('--max-cltv <blocks>', 'greatest time the coins may be locked, Bitcoin blocks (default: 1008)')
      .option('--timeout <secs>', 'answer at the latest after this many seconds (default: 60)'),
    'lnnode pay BOLT11',
    'lnnode pay BOLT11 --max-fee-sats 20 --timeout 120',
  ).action(action(payOptions, pay));
  examples(
    node
      .command('payments')
      .description('payments, newest first')
      .option('--limit <n>', 'greatest number (default: 20)'),
    'lnnode payments',
  ).action(action(listOptions, payments));
}

async function invoice(
  run: Run,
  options: z.output<typeof invoiceOptions>,
  [sats]: readonly string[],
): Promise<ExitCode> {
  const amountMsat = argument('sats', satOption, sats) * 1000n;
  const { description, label, expirySecs } = options;
  return await withLnnode(run, async (client) => {
    const made = await client.createInvoice({ amountMsat, description, label, expirySecs });
    run.out.result(made, () =>
      fields([
        ['invoice', made.bolt11],
        ['payment hash', hex(made.paymentHash)],
      ]),
    );
    if (!options.wait) return EXIT.done;
    for (;;) {
      const request = { paymentHash: made.paymentHash, timeoutSecs: MAX_WAIT_SECS };
      const answer = await client.waitInvoiceSettled(request, { deadline: MAX_WAIT_SECS * 1000 + SLACK_MS });
      if (answer.invoice === undefined || answer.isTimedOut) continue;
      const now = answer.invoice;
      run.out.result(invoiceView(now), () => describeInvoices([now]));
      return now.state === InvoiceState.SETTLED ? EXIT.done : EXIT.unpaid;
    }
  });
}

async function invoices(run: Run, { label, limit }: z.output<typeof invoicesOptions>): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.listInvoices({ labelPrefix: label, limit });
    run.out.result({ invoices: answer.invoices.map(invoiceView) }, () => describeInvoices(answer.invoices));
    return EXIT.done;
  });
}

async function decode(run: Run, _options: object, [bolt11 = '']: readonly string[]): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const decoded = await client.decodeInvoice({ bolt11 });
    run.out.result(decoded, () => describeDecoded(decoded));
    return decoded.refusals.length === 0 ? EXIT.done : EXIT.refused;
  });
}

const EXIT_OF_PAYMENT: Readonly<Partial<Record<PaymentState, ExitCode>>> = {
  [PaymentState.SUCCEEDED]: EXIT.done,
  [PaymentState.FAILED]: EXIT.unpaid,
};

function show(run: Run, payment: Payment | undefined): ExitCode {
  if (payment === undefined) throw new Error('expected a payment in the answer, found none');
  run.out.result(paymentView(payment), () => describePayment(payment));
  return EXIT_OF_PAYMENT[payment.state] ?? EXIT.unknown;
}

async function pay(
  run: Run,
  options: z.output<typeof payOptions>,
  [bolt11 = '']: readonly string[],
): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const { amountMsat, payeeNodeId, refusals } = await client.decodeInvoice({ bolt11 });
    if (refusals.length > 0) throw new BuyerError('verification_refused', `nothing was paid: ${refusals.join(' ')}`);
    const percent = amountMsat / 100n;
    const usual = percent > LEAST_FEE_LIMIT_MSAT ? percent : LEAST_FEE_LIMIT_MSAT;
    const maxFeeMsat = options.maxFeeSats === undefined ? usual : options.maxFeeSats * 1000n;
    run.out.progress(
      `paying ${describeMsat(amountMsat)} to ${hex(payeeNodeId)}, fee at most ${describeMsat(maxFeeMsat)}`,
    );
    const request = { bolt11, maxFeeMsat, maxTotalCltvDelta: options.maxCltv, timeoutSecs: options.timeout };
    const { payment } = await client.payInvoice(request, { deadline: options.timeout * 1000 + SLACK_MS });
    return show(run, payment);
  });
}

async function payments(run: Run, { limit }: z.output<typeof listOptions>): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.listPayments({ limit });
    run.out.result({ payments: answer.payments.map(paymentView) }, () => describePayments(answer.payments));
    return EXIT.done;
  });
}
