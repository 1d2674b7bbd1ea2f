/** The commands of swapd that work on its files while the daemon is stopped. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { swapId, type PaymentHash, type SwapId } from './core/units.js';
import { backupTo } from './engine/backup.js';
import { compareWithFiles } from './engine/fence.js';
import { openGeneration } from './engine/generation.js';
import type { Outcome } from './engine/recovery.js';
import { acceptPaymentRisk, acceptRestore, sayNodeIsGone } from './engine/restore.js';
import { errorChain, SwapError } from './errors.js';
import { createLogger } from './log.js';
import { recoverBundles, RISK_MEANS } from './recover.js';
import { tokenHash } from './rpc/auth.js';
import { deletePrincipal, savePrincipal } from './store/meta.js';
import { findSwap } from './store/swaps.js';
import type { SwapdConfig } from './swapdConfig.js';
import { connectLightning, now, openStore, readConfig, type Options } from './wire.js';

/** Exit codes of swapd: docs/operations.md. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, unknown: 4 } as const;

const ACCEPTING_MEANS = `Accepting this database means:
  - What it does not know stays unknown to it. Swaps of the lost time are refunded from their bundles:
    swapd recover --bundles DIR
  - Every swap that is still open is marked as restored: only the Lightning node's own report that its payment was
    canceled allows its refund. A node that does not know an invoice, or is gone, allows nothing.
  - Keys of the lost time are not used again.
If a newer database exists, do not accept: stop here and put that one back.`;

const NODE_GONE_MEANS =
  'Saying that the Lightning node is gone for ever means: the swap counts as unpaid, and is refunded from its refund height ' +
  'on. That is right only if its payment was being canceled and its preimage never left this daemon, as its records show, and ' +
  'if these records are the newest: with the node gone nothing shows that a snapshot of the whole machine was put back.';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Adds them to the program. */
export function addOfflineCommands(program: Command, configured: (command: Command) => Command): void {
  configured(program.command('backup <file>').description('copy the database; the daemon must be stopped')).action(
    (file: string, options: Options) => {
      backupTo(openStore(readConfig(options)), resolve(file));
    },
  );
  const token = program.command('token').description("buyers' tokens; the daemon must be stopped");
  configured(token.command('add <name>').description('make a token and print it once')).action(tokenAdd);
  configured(token.command('revoke <name>').description('forget a token')).action(tokenRevoke);
  configured(
    program
      .command('accept-restore')
      .description('FENCED: let an older database count from now on; the daemon must be stopped')
      .option('--yes', 'the findings were read and are accepted'),
  ).action(acceptOldDatabase);
  configured(
    program
      .command('recover')
      .description('refund without the database, or without the Lightning node; the daemon must be stopped')
      .option('--bundles <dir>', 'refund from the wallet words and the recovery bundles in this folder')
      .option('--wait', 'with --bundles: go on until the refunds are confirmed')
      .option('--node-gone <swap_id>', 'the Lightning node is gone for ever: the canceled swap is unpaid')
      .option('--accept-payment-risk <swap_id...>', 'refund although the node does not report the payment as canceled')
      .option('--yes', 'with --accept-payment-risk and without --bundles: the risk was read and is accepted'),
  ).action(recover);
}

function tokenAdd(name: string, options: Options): void {
  const store = openStore(readConfig(options));
  const token = randomBytes(32).toString('hex');
  store.tx(() => {
    savePrincipal(store, name, tokenHash(token), now());
  });
  say(token);
}

function tokenRevoke(name: string, options: Options): void {
  const store = openStore(readConfig(options));
  const isFound = store.tx(() => deletePrincipal(store, name));
  if (!isFound) throw new SwapError('bad_config', `expected the name of a token, found ${name}`);
}

/** The database with what is beside it, compared as at the daemon's start. */
function openParts(config: SwapdConfig) {
  const store = openStore(config);
  const bundleDir = config.database.bundle_dir;
  const log = createLogger('swapd', config.log.level);
  const parts = { store, bundleDir, generation: openGeneration(store, bundleDir), now, log };
  return { ...parts, findings: compareWithFiles(parts) };
}

function acceptOldDatabase(options: Options & { readonly yes?: true }): void {
  const parts = openParts(readConfig(options));
  const { findings } = parts;
  if (findings.length === 0) {
    throw new SwapError('bad_config', 'expected a database that is FENCED, found nothing to accept');
  }
  say(`This database may be an old copy (${findings.length} findings):`);
  for (const { text } of findings) say(`  ${text}`);
  say(`\n${ACCEPTING_MEANS}\n`);
  if (options.yes !== true) throw new SwapError('bad_config', 'expected --yes after reading this, found no flag');
  const swaps = acceptRestore(parts);
  say(`Accepted. ${swaps} open swaps are marked as restored. Start the daemon.`);
}

type RecoverOptions = Options & {
  readonly bundles?: string;
  readonly wait?: true;
  readonly nodeGone?: string;
  readonly acceptPaymentRisk?: readonly string[];
  readonly yes?: true;
};

async function recover(options: RecoverOptions): Promise<void> {
  const { bundles, nodeGone } = options;
  const risks = (options.acceptPaymentRisk ?? []).map(idOf);
  const ways = [bundles, nodeGone, bundles === undefined ? risks[0] : undefined].filter((way) => way !== undefined);
  const config = readConfig(options);
  if (ways.length !== 1) {
    throw new SwapError(
      'bad_config',
      `expected one of --bundles DIR, --node-gone SWAP_ID, --accept-payment-risk SWAP_ID, found ${ways.length}`,
    );
  }
  if (nodeGone !== undefined) await nodeIsGone(config, idOf(nodeGone));
  else if (bundles === undefined) await takeRisks(config, risks, options.yes === true);
  else {
    if (risks.length > 0) say(RISK_MEANS);
    const recovery = { dir: resolve(bundles), risks: new Set(risks), isWaiting: options.wait === true, say };
    tellEnd(await recoverBundles(config, recovery));
  }
}

function idOf(text: string): SwapId {
  try {
    return swapId(text);
  } catch (cause) {
    throw new SwapError('bad_config', `expected a swap id of 32 hex digits, found ${text}`, { cause });
  }
}

function tellEnd(outcomes: readonly Outcome[]): void {
  const count = (...kinds: readonly Outcome['kind'][]): number =>
    outcomes.filter(({ kind }) => kinds.includes(kind)).length;
  const [refused, open] = [count('refused'), count('soon', 'confirming', 'later')];
  say(`${count('done')} done, ${open} not yet, ${refused} refused.`);
  if (refused > 0) say(RISK_MEANS);
  if (open > 0) say('Run this again; it is safe at any time.');
  process.exitCode = open > 0 ? EXIT.unknown : refused > 0 ? EXIT.refused : EXIT.done;
}

async function nodeIsGone(config: SwapdConfig, id: SwapId): Promise<void> {
  const parts = openParts(config);
  say(NODE_GONE_MEANS);
  await requireNoReport(config, findSwap(parts.store, id)?.paymentHash);
  sayNodeIsGone(parts, id);
  say(`Swap ${id} is CANCELED. Start the daemon: it refunds it.`);
}

async function takeRisks(config: SwapdConfig, ids: readonly SwapId[], isAccepted: boolean): Promise<void> {
  const parts = openParts(config);
  say(RISK_MEANS);
  if (!isAccepted) throw new SwapError('bad_config', 'expected --yes after reading this, found no flag');
  for (const id of ids) {
    await requireNoReport(config, findSwap(parts.store, id)?.paymentHash);
    acceptPaymentRisk(parts, id);
    say(`Swap ${id} is CANCELED. Start the daemon: it refunds it.`);
  }
}

/** A node that reports the payment is not gone, and what it reports counts more than what anybody says. */
async function requireNoReport(config: SwapdConfig, hash: PaymentHash | undefined): Promise<void> {
  if (hash === undefined) return;
  const log = createLogger('swapd', 'silent');
  try {
    const lightning = connectLightning(config, log);
    const invoice = await lightning.lookupInvoice(hash).finally(() => {
      lightning.close();
    });
    if (invoice === undefined) return;
    const found = `the node reports the payment as ${invoice.state}`;
    throw new SwapError('forbidden', `expected a Lightning node that is gone, found: ${found}; start the daemon`);
  } catch (error) {
    if (error instanceof SwapError && error.code === 'forbidden') throw error;
    say(`The Lightning node does not answer: ${errorChain(error)}`);
  }
}
