/** The on-chain wallet of the Lightning node. */
import { randomUUID } from 'node:crypto';

import type { Command } from 'commander';
import { z } from 'zod';

import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { argument, txidArgument, withLnnode } from './lnnodeClient.js';
import { describeBalance, describeSent } from './lnnodeViews.js';
import { noOptions, satOption } from './options.js';
import { action, type Run } from './run.js';

const CHAIN_MS = 60_000;

const sendOptions = z.object({
  satPerKvb: satOption.default(0n),
  idempotencyKey: z.string().min(1).max(64, 'expected at most 64 characters').optional(),
});
const bumpOptions = z.object({ satPerKvb: satOption });

/** Adds the commands to `lnnode`. */
export function addLnnodeWalletCommands(node: Command): void {
  examples(node.command('address').description('a fresh address to send bitcoin to'), 'lnnode address').action(
    action(noOptions, address),
  );
  examples(
    node.command('balance').description('what the on-chain wallet holds'),
    'lnnode balance',
    'lnnode balance --json',
  ).action(action(noOptions, balance));
  examples(
    node
      .command('send')
      .description('pay on chain')
      .argument('<address>', "address of the node's network")
      .argument('<sats>', 'amount, or "all": everything but what anchor channels need')
      .option('--sat-per-kvb <rate>', 'satoshi per 1000 virtual bytes (default: for about 6 blocks)')
      .option('--idempotency-key <text>', 'repeat a payment whose outcome is unknown: it is made once'),
    'lnnode send ADDRESS 50000',
    'lnnode send ADDRESS all --sat-per-kvb 2000',
  ).action(action(sendOptions, send));
  examples(
    node
      .command('bump')
      .description('replace a payment that does not confirm by one with a higher fee')
      .argument('<txid>', '64 hex digits')
      .requiredOption('--sat-per-kvb <rate>', 'satoshi per 1000 virtual bytes'),
    'lnnode bump TXID --sat-per-kvb 20000',
  ).action(action(bumpOptions, bump));
}

async function address(run: Run): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.newAddress({});
    run.out.result(answer, () => answer.address);
    return EXIT.done;
  });
}

async function balance(run: Run): Promise<ExitCode> {
  return await withLnnode(run, async (client) => {
    const answer = await client.walletBalance({});
    run.out.result(answer, () => describeBalance(answer));
    return EXIT.done;
  });
}

async function send(
  run: Run,
  options: z.output<typeof sendOptions>,
  [to = '', text = '']: readonly string[],
): Promise<ExitCode> {
  const isAll = text === 'all';
  const amountSats = isAll ? 0n : argument('sats', satOption, text);
  const idempotencyKey = options.idempotencyKey ?? randomUUID();
  return await withLnnode(run, async (client) => {
    run.out.progress(`if the outcome stays unknown, repeat with --idempotency-key ${idempotencyKey}`);
    const request = { address: to, amountSats, isAll, feeRateSatPerKvb: options.satPerKvb, idempotencyKey };
    const answer = await client.sendToAddress(request, { deadline: CHAIN_MS });
    run.out.result({ ...answer, idempotencyKey }, () => describeSent(answer.txid, answer.feeSats));
    return EXIT.done;
  });
}

async function bump(run: Run, { satPerKvb }: { satPerKvb: bigint }, [text]: readonly string[]): Promise<ExitCode> {
  const txid = txidArgument(text);
  return await withLnnode(run, async (client) => {
    const answer = await client.bumpTransaction({ txid, feeRateSatPerKvb: satPerKvb }, { deadline: CHAIN_MS });
    run.out.result(answer, () => describeSent(answer.txid, answer.feeSats));
    return EXIT.done;
  });
}
