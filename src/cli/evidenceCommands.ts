/** Commands about evidence: what the seller's node signed, shown and checked offline. */
import { readFileSync } from 'node:fs';

import type { Command } from 'commander';

import { BuyerError } from '../buyer/buyerError.js';
import { findRecord } from '../buyer/dataDir.js';
import { evidenceFile, readEvidence, verifyEvidence } from '../buyer/evidence.js';
import { SwapError } from '../errors.js';
import { describeAmount, describeMsat } from './amount.js';
import { EXIT, type ExitCode } from './exit.js';
import { examples } from './help.js';
import { noOptions } from './options.js';
import { fields } from './output.js';
import { action, type Run } from './run.js';
import { describeChecks } from './views.js';

/** Adds `evidence ...` to the program. */
export function addEvidenceCommands(program: Command): void {
  const evidence = examples(
    program.command('evidence').description("proof of what a seller's node signed and that it was paid"),
    'evidence show 0 > evidence.json',
    'evidence verify evidence.json',
  );
  examples(
    evidence
      .command('show')
      .description('print the evidence of a purchase')
      .argument('<swap>', 'number, swap id or request id'),
    'evidence show 0 > evidence.json',
  ).action(action(noOptions, show));
  examples(
    evidence
      .command('verify')
      .description('check evidence offline: no server, no seller')
      .argument('<file>', 'evidence.json'),
    'evidence verify evidence.json',
  ).action(action(noOptions, verify));
}

/** The file as it is, whether or not JSON was asked for. */
async function show({ settings }: Run, _options: object, args: readonly string[]): Promise<ExitCode> {
  const { number, progress } = findRecord(settings.dataDir, args[0] ?? '');
  const text = readEvidence(settings.dataDir, number);
  if (text === undefined) {
    const path = evidenceFile(settings.dataDir, number);
    throw new BuyerError('wrong_step', `expected evidence in ${path}, found none at step ${progress.step}`);
  }
  process.stdout.write(text);
  return await Promise.resolve(EXIT.done);
}

async function verify({ out, settings }: Run, _options: object, args: readonly string[]): Promise<ExitCode> {
  const report = verifyEvidence(readText(args[0] ?? ''));
  const { checks, facts } = report;
  out.result({ ok: facts !== undefined, checks, facts }, () => {
    if (facts === undefined) return describeChecks(checks, 'this evidence proves nothing');
    const { terms, fundingTxid, claimTxid } = facts;
    const known = settings.knownAssets.find(({ assetId }) => assetId === terms.assetId);
    const amount =
      known === undefined
        ? `${terms.assetAmount} smallest units`
        : describeAmount(terms.assetAmount, known.precision, known.ticker);
    return [
      describeChecks(checks, "the seller's node signed these terms, and the invoice was paid"),
      '',
      fields([
        ['swap', terms.swapId],
        ['seller node', terms.sellerNodeId],
        ['asset', terms.assetId],
        ['amount', amount],
        ['price', describeMsat(terms.priceMsat)],
        ['funding', fundingTxid],
        ['claim', claimTxid ?? 'none'],
      ]),
    ].join('\n');
  });
  return await Promise.resolve(facts === undefined ? EXIT.refused : EXIT.done);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const found = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no file';
    throw new SwapError('invalid_argument', `evidence ${path}: expected a readable file, found ${found}`, { cause });
  }
}
