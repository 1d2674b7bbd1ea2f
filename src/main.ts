#!/usr/bin/env node
/** swapd: the seller daemon. The only place where its parts are wired together. */
import { randomBytes, createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

import { ServerCredentials } from '@grpc/grpc-js';
import { Command } from 'commander';

import { loadConfig, readOrCreateSecretFile } from './config.js';
import { preimageFor, refundKey, seedFromMnemonic } from './core/keys.js';
import { LIQUID_NETWORKS } from './core/network.js';
import { sat, satPerKvb, unixSecs } from './core/units.js';
import { backupTo } from './engine/backup.js';
import { sweepChain, watchChain } from './engine/chainWatcher.js';
import type { EngineContext } from './engine/context.js';
import { checkNode, followInvoices } from './engine/lightningWatcher.js';
import { loop } from './engine/loop.js';
import { openGeneration } from './engine/generation.js';
import { createMutex } from './engine/mutex.js';
import { createReconciler, type Reconciler } from './engine/reconcile.js';
import { errorChain, SwapError } from './errors.js';
import { connectLnnoded } from './lightning/lnnoded.js';
import { startBlindingWorker } from './liquid/blinding.js';
import { connectElectrumGroup } from './liquid/electrumGroup.js';
import { openWallet } from './liquid/wallet.js';
import { createMnemonicFile, readMnemonicFile } from './liquid/walletFile.js';
import { loadZkp } from './liquid/zkp.js';
import { createLogger, type Logger } from './log.js';
import { tokenHash } from './rpc/auth.js';
import type { RpcContext } from './rpc/context.js';
import { currentOffers } from './rpc/offers.js';
import { adminServer, buyerServer, drain, type Listener } from './rpc/server.js';
import { Store } from './store/db.js';
import { deletePrincipal, findWalletOutput, savePrincipal, saveWalletOutput } from './store/meta.js';
import { checkConfig, swapdSchema, type CheckedConfig, type SwapdConfig } from './swapdConfig.js';

const MIGRATIONS = fileURLToPath(new URL('../migrations/swapd', import.meta.url));
const VERSION = readVersion();
const SWEEP_PAUSE_MS = 10_000;
const DRAIN_MS = 5_000;
const FIRST_LOOK_MS = 10_000;
/** Exit codes: docs. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

type Options = { readonly config?: string };

function readVersion(): string {
  const text: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof text === 'object' && text !== null && 'version' in text ? String(text.version) : 'unknown';
}

function readConfig(options: Options): SwapdConfig {
  return loadConfig({ schema: swapdSchema, envPrefix: 'SWAPD', file: options.config, env: process.env });
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

function openStore(config: SwapdConfig): Store {
  mkdirSync(dirname(config.database.path), { recursive: true, mode: 0o700 });
  mkdirSync(config.database.bundle_dir, { recursive: true, mode: 0o700 });
  return Store.open({ path: config.database.path, migrationsDir: MIGRATIONS });
}

/** Every part of the engine, connected. */
async function wire(config: SwapdConfig, checked: CheckedConfig, log: Logger) {
  const { network } = checked;
  const { genesis, policyAsset } = LIQUID_NETWORKS[network];
  const store = openStore(config);
  const seed = seedFromMnemonic(openMnemonic(config.wallet.mnemonic_file, log));
  const chain = connectElectrumGroup({
    servers: config.electrum.servers,
    log,
    expectedGenesis: genesis,
    ...(config.electrum.ca_file === undefined ? {} : { caFile: config.electrum.ca_file }),
  });
  const worker = startBlindingWorker();
  const wallet = openWallet({
    seed,
    network,
    chain,
    worker,
    log,
    cache: {
      get: (key) => findWalletOutput(store, key),
      put: (key, output) => {
        store.tx(() => {
          saveWalletOutput(store, key, output);
        });
      },
    },
  });
  const lightning = connectLnnoded({
    address: config.lightning.address,
    log,
    ...(config.lightning.token_file === undefined ? {} : { tokenFile: config.lightning.token_file }),
    ...(config.lightning.tls_cert_file === undefined ? {} : { tlsCertFile: config.lightning.tls_cert_file }),
  });
  const fingerprint = createHash('sha256')
    .update(refundKey(seed, network, 0).pubkey, 'hex')
    .digest('hex')
    .slice(0, 16);
  const ctx: EngineContext = {
    store,
    chain,
    wallet,
    lightning,
    zkp: await loadZkp(),
    randomBytes: (length) => randomBytes(length),
    blind: (spec) => worker.buildTransaction(spec),
    keys: { preimageFor: (id) => preimageFor(seed, id), refundKey: (index) => refundKey(seed, network, index) },
    network,
    genesis,
    policyAsset,
    labelPrefix: `ln-liquid-swap/${fingerprint}/`,
    generation: openGeneration(store, config.database.bundle_dir),
    serversNeeded: network === 'liquidv1' && !config.electrum.trust_single_electrum ? 2 : 1,
    bundleDir: config.database.bundle_dir,
    feerateCeiling: satPerKvb(BigInt(config.limits.feerate_ceiling_sat_per_kvb)),
    feeReserveSatPerSwap: sat(BigInt(config.limits.fee_reserve_sats_per_open_swap)),
    now: () => unixSecs(Math.floor(Date.now() / 1000)),
    log,
    walletSection: createMutex(),
    strangers: new Set(),
    health: { tip: undefined, degradedReason: 'starting', node: undefined, lightningProblem: 'starting', fence: undefined, alarms: [] },
    changes: new EventEmitter(),
  };
  ctx.changes.setMaxListeners(0);
  const close = (): void => {
    lightning.close();
    chain.close();
    worker.close();
    store[Symbol.dispose]();
  };
  return { ctx, close };
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

/** The first look at everything, so that the first caller is not told that the shop is empty. It never waits long. */
async function firstLook(ctx: EngineContext, reconciler: Reconciler): Promise<void> {
  const looked = new AbortController();
  const look = Promise.all([checkNode(ctx), sweepChain(ctx, reconciler)]).finally(() => {
    looked.abort();
  });
  await Promise.race([look, pauseUntil(FIRST_LOOK_MS, [looked.signal])]);
}

/** Watches the chain and the node until the signal aborts. */
function startLoops(ctx: EngineContext, reconciler: Reconciler, signal: AbortSignal): Promise<unknown> {
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

async function run(options: Options): Promise<void> {
  const config = readConfig(options);
  const checked = checkConfig(config);
  const log = createLogger('swapd', config.log.level);
  const adminToken = readOrCreateSecretFile('admin.token_file', config.admin.token_file, () =>
    randomBytes(32).toString('hex'),
  );
  const { ctx, close } = await wire(config, checked, log);
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
  const loops = startLoops(ctx, reconciler, stop.signal);
  const grpc = await listen(buyers, config.grpc.listen, credentialsOf(config));
  const admin = await listen(operator, config.admin.listen, ServerCredentials.createInsecure());
  process.stdout.write(`${JSON.stringify({ ready: true, grpc, admin })}\n`);
  log.info({ grpc, admin, network: checked.network, version: VERSION }, 'ready');
  await loops;
  await Promise.all([drain(buyers, DRAIN_MS), drain(operator, DRAIN_MS)]);
  await reconciler.idle();
  close();
  log.info('stopped');
}

function tokenAdd(name: string, options: Options): void {
  const store = openStore(readConfig(options));
  const token = randomBytes(32).toString('hex');
  store.tx(() => {
    savePrincipal(store, name, tokenHash(token), unixSecs(Math.floor(Date.now() / 1000)));
  });
  process.stdout.write(`${token}\n`);
}

function tokenRevoke(name: string, options: Options): void {
  const store = openStore(readConfig(options));
  const isFound = store.tx(() => deletePrincipal(store, name));
  if (!isFound) throw new SwapError('bad_config', `expected the name of a token, found ${name}`);
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
  configured(program.command('backup <file>').description('copy the database; the daemon must be stopped')).action(
    (file: string, options: Options) => {
      backupTo(openStore(readConfig(options)), resolve(file));
    },
  );
  const token = program.command('token').description("buyers' tokens; the daemon must be stopped");
  configured(token.command('add <name>').description('make a token and print it once')).action(tokenAdd);
  configured(token.command('revoke <name>').description('forget a token')).action(tokenRevoke);
  await program.parseAsync();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`swapd: ${errorChain(error)}\n`);
  // Loops of a half-started daemon must not live on without a listener.
  process.exit(error instanceof SwapError && error.code === 'bad_config' ? EXIT_USAGE : EXIT_FAILED);
}
