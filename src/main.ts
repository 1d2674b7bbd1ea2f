#!/usr/bin/env node
/** swapd: the seller daemon. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { ServerCredentials } from '@grpc/grpc-js';
import { Command } from 'commander';

import { readOrCreateSecretFile } from './config.js';
import { seedFromMnemonic } from './core/keys.js';
import { LIQUID_NETWORKS } from './core/network.js';
import { startRegularBackups } from './engine/backup.js';
import { sweepChain, watchChain } from './engine/chainWatcher.js';
import type { EngineContext } from './engine/context.js';
import { compareWithFiles, fenceReason, tellFindings } from './engine/fence.js';
import { checkNode, followInvoices } from './engine/lightningWatcher.js';
import { inBackground, loop } from './engine/loop.js';
import { createReconciler, type Reconciler } from './engine/reconcile.js';
import { errorChain, SwapError } from './errors.js';
import { checkAtStart } from './lightning/fitness.js';
import { createMnemonicFile, readMnemonicFile } from './liquid/walletFile.js';
import { createLogger, type Logger } from './log.js';
import { addOfflineCommands, EXIT } from './offline.js';
import type { RpcContext } from './rpc/context.js';
import { currentOffers } from './rpc/offers.js';
import { adminServer, buyerServer, drain, type Listener } from './rpc/server.js';
import { checkConfig, type CheckedConfig, type SwapdConfig } from './swapdConfig.js';
import { openStore, readConfig, wire, type Options } from './wire.js';

const VERSION = readVersion();
const SWEEP_PAUSE_MS = 10_000;
const DRAIN_MS = 5_000;
/** Longest time that a timer takes. */
const FOREVER_MS = 2_147_483_647;
const FIRST_LOOK_MS = 10_000;

function readVersion(): string {
  const text: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof text === 'object' && text !== null && 'version' in text ? String(text.version) : 'unknown';
}

function openMnemonic(path: string, log: Logger): string {
  if (existsSync(path)) return readMnemonicFile(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const mnemonic = createMnemonicFile(path);
  log.warn(
    { file: path },
    'a new wallet was made: write the words in this file down, they are the only backup of the coins',
  );
  return mnemonic;
}

function rpcContext(
  ctx: EngineContext,
  parts: { config: SwapdConfig; checked: CheckedConfig; reconciler: Reconciler },
): RpcContext {
  const { limits, electrum } = parts.config;
  return {
    ...ctx,
    reconciler: parts.reconciler,
    offers: parts.checked.offers,
    limits: {
      maxInflightSwaps: limits.max_inflight_swaps,
      maxOpenUnpaidPerPrincipal: limits.max_open_unpaid_per_principal,
      maxAssetSharePerPrincipalPpm: limits.max_asset_share_per_principal_ppm,
      maxAssetSharePpm: limits.max_asset_share_ppm,
      createPerMinute: limits.create_per_minute,
      maxStreamsPerPrincipal: limits.max_streams_per_principal,
    },
    version: VERSION,
    startedAt: ctx.now(),
    trustsSingleElectrum: electrum.trust_single_electrum,
    shownHtlcs: new Map(),
  };
}

/** The engine on the configured database, which is compared with the files that tell whether it is an old copy. */
async function openEngine(config: SwapdConfig, { network }: CheckedConfig, log: Logger) {
  const store = openStore(config);
  const seed = seedFromMnemonic(openMnemonic(config.wallet.mnemonic_file, log));
  const engine = await wire(config, { network, store, seed, bundleDir: config.database.bundle_dir, log });
  const { ctx } = engine;
  ctx.health.fence = tellFindings(compareWithFiles(ctx));
  if (ctx.health.fence !== undefined)
    log.error({ findings: ctx.health.fence }, 'FENCED: this database may be an old copy');
  return engine;
}

/**
 * The first look at everything, so that the first caller is not told that the shop is empty, and that the database is
 * compared with chain and node. It never waits long.
 */
async function firstLook(ctx: EngineContext, reconciler: Reconciler): Promise<void> {
  const looked = new AbortController();
  const look = Promise.all([checkNode(ctx), sweepChain(ctx, reconciler)]).finally(() => {
    looked.abort();
  });
  await Promise.race([look, pauseUntil(FIRST_LOOK_MS, [looked.signal])]);
}

/** Watches the chain and the node until the signal aborts. */
function startLoops(
  ctx: EngineContext,
  parts: { readonly reconciler: Reconciler; readonly backupIntervalMinutes: number; readonly signal: AbortSignal },
): Promise<unknown> {
  const { reconciler, backupIntervalMinutes, signal } = parts;
  let wake = new AbortController();
  const stopWatching = watchChain(ctx, reconciler, () => {
    wake.abort();
  });
  const { log } = ctx;
  const sweeping = (async () => {
    while (!signal.aborted) {
      wake = new AbortController();
      await sweepChain(ctx, reconciler);
      await pauseUntil(SWEEP_PAUSE_MS, [signal, wake.signal]);
    }
    stopWatching();
  })();
  return Promise.all([
    sweeping,
    loop({ name: 'invoices', log, signal, pauseMs: 250, round: () => followInvoices(ctx, reconciler, signal) }),
    startRegularBackups({
      store: ctx.store,
      dir: ctx.bundleDir,
      intervalMinutes: backupIntervalMinutes,
      isFenced: () => fenceReason(ctx) !== undefined,
      log,
      signal,
    }),
    loop({ name: 'node', log, signal, pauseMs: 5_000, round: () => checkNode(ctx) }),
  ]);
}

/** Waits, or until one of the signals aborts. (AbortSignal.any is not used: Node 20 may collect it before it fires.) */
async function pauseUntil(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  await new Promise<void>((done) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    for (const signal of signals) signal.addEventListener('abort', end);
  });
}

async function listen(listener: Listener, address: string, credentials: ServerCredentials): Promise<string> {
  if (address.startsWith('unix:')) {
    await listener.server.listen(address, credentials);
    chmodSync(address.slice('unix:'.length), 0o600);
    return address;
  }
  const port = await listener.server.listen(address, credentials);
  return `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
}

function credentialsOf({ grpc }: SwapdConfig): ServerCredentials {
  if (grpc.tls_cert_file === undefined || grpc.tls_key_file === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: readFileSync(grpc.tls_cert_file), private_key: readFileSync(grpc.tls_key_file) };
  return ServerCredentials.createSsl(null, [pair], false);
}

/** The operator's live changes win over the file; a difference is told once, at start. */
function logOfferChanges(ctx: RpcContext): void {
  currentOffers(ctx).forEach((offer, i) => {
    const configured = ctx.offers[i];
    if (configured === undefined || isDeepStrictEqual(offer, configured)) return;
    const { ticker, priceMsatNumerator, priceDenominator } = offer;
    ctx.log.warn(
      { ticker, priceMsatNumerator: priceMsatNumerator.toString(), priceDenominator: priceDenominator.toString() },
      'this offer was changed by "swap admin offer set"; the values of the configuration do not count',
    );
  });
}

/** What keeps the Lightning node from serving is told at start, too, where an operator looks. */
async function tellLightningProblem({ lightning, network, log }: EngineContext): Promise<void> {
  const { bitcoinNetwork } = LIQUID_NETWORKS[network];
  const problem = await checkAtStart(lightning, { role: 'seller', network: bitcoinNetwork });
  if (problem !== undefined) log.warn({ problem }, 'nobody can pay yet');
}

async function run(options: Options): Promise<void> {
  const config = readConfig(options);
  const checked = checkConfig(config);
  const log = createLogger('swapd', config.log.level);
  const adminToken = readOrCreateSecretFile('admin.token_file', config.admin.token_file, () =>
    randomBytes(32).toString('hex'),
  );
  const { ctx, close } = await openEngine(config, checked, log);
  const reconciler = createReconciler(ctx);
  const rpc = rpcContext(ctx, { config, checked, reconciler });
  logOfferChanges(rpc);
  const buyers = buyerServer(rpc, { auth: config.grpc.auth });
  const operator = adminServer(rpc, { token: adminToken });
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      log.info({ signal: name }, 'stopping');
      stop.abort();
    });
  }
  await firstLook(ctx, reconciler);
  inBackground(log, 'start check', tellLightningProblem(ctx));
  const backupIntervalMinutes = config.database.backup_interval_minutes;
  const loops = startLoops(ctx, { reconciler, backupIntervalMinutes, signal: stop.signal });
  const grpc = await listen(buyers, config.grpc.listen, credentialsOf(config));
  const admin = await listen(operator, config.admin.listen, ServerCredentials.createInsecure());
  process.stdout.write(`${JSON.stringify({ ready: true, grpc, admin })}\n`);
  log.info({ grpc, admin, network: checked.network, version: VERSION }, 'ready');
  await Promise.race([loops, pauseUntil(FOREVER_MS, [stop.signal])]);
  await Promise.all([drain(buyers, DRAIN_MS), drain(operator, DRAIN_MS)]);
  // A server that is silent must not keep the daemon: whatever is under way may be done again after the next start.
  const done = new AbortController();
  const ending = Promise.all([loops, reconciler.idle()]).finally(() => {
    done.abort();
  });
  await Promise.race([ending, pauseUntil(DRAIN_MS, [done.signal])]);
  close();
  log.info('stopped');
}

async function main(): Promise<void> {
  const program = new Command('swapd').description('Sells assets on Liquid for Lightning payments.').version(VERSION);
  const configured = (command: Command): Command =>
    command.option('--config <file>', 'TOML file; every key also by SWAPD_SECTION__KEY');
  configured(program.command('run', { isDefault: true }).description('run the daemon')).action(run);
  configured(program.command('print-config').description('show the configuration with its defaults')).action(
    (options: Options) => {
      const config = readConfig(options);
      checkConfig(config);
      process.stdout.write(
        `${JSON.stringify(config, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value), 2)}\n`,
      );
    },
  );
  addOfflineCommands(program, configured);
  await program.parseAsync();
}

/** Exit codes: docs/operations.md. */
function exitCodeOf(error: unknown): number {
  if (!(error instanceof SwapError)) return EXIT.failed;
  switch (error.code) {
    case 'bad_config':
    case 'swap_not_found':
      return EXIT.usage;
    case 'forbidden':
    case 'fenced':
      return EXIT.refused;
    case 'chain_unavailable':
    case 'lightning_unavailable':
      return EXIT.unknown;
    default:
      return EXIT.failed;
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`swapd: ${errorChain(error)}\n`);
  // Loops of a half-started daemon must not live on without a listener.
  process.exit(exitCodeOf(error));
}
