#!/usr/bin/env node
/**
 * lnnoded, a stand-alone Lightning node.
 *
 * Prints one JSON line on stdout when it is synced and listens; logs go to stderr. Exit codes: 0 stopped by a signal,
 * 2 wrong usage or configuration, 3 the operator must decide (an older database was put back), 70 a state that cannot be trusted (start again: the database is consistent), 75 planned
 * restart because the memory of LDK is nearly used up (start again).
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';

import { codeOf, loadConfig, readNamedFile, readOrCreateSecretFile, readSecretFile } from '../config.js';
import { SwapError, type ErrorCode } from '../errors.js';
import { createLogger, type Logger } from '../log.js';
import { connectBitcoind } from './chain/bitcoind.js';
import { connectEsplora } from './chain/esplora.js';
import { runCommand } from './commands.js';
import { configSchema, isLoopback, type LnnodedConfig } from './config.js';
import { openFiles } from './files.js';
import { gossipFromFile, gossipFromUrl } from './gossip/fetch.js';
import { EXIT_FATAL } from './ldk/turn.js';
import { addressProblem } from './listening.js';
import { ownCertificate } from './tls.js';

const USAGE = `Usage: lnnoded [run] --config FILE.toml     run the node
       lnnoded backup FILE --config FILE.toml       copy the database, also while the node runs
       lnnoded accept-restore --config FILE.toml    an older database counts: its channels are given up
       lnnoded seed [--restore] --config FILE.toml  show the 24 words of the seed, once; or read them from stdin
       lnnoded --version                            show the version
Any key also as LNNODED_SECTION__KEY in the environment.
`;
const EXIT_USAGE = 2;
const EXIT_DECIDE = 3;
const EXIT_OF_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  bad_config: EXIT_USAGE,
  invalid_argument: EXIT_USAGE,
  fenced: EXIT_DECIDE,
  forbidden: EXIT_DECIDE,
};
const EXIT_HEAP = 75;
/** Shorter invoices are for tests. */
const MIN_EXPIRY_SECS = 60;

const OPTIONS = {
  config: { type: 'string' },
  restore: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const;

function readFlags() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw new SwapError('bad_config', `${cause instanceof Error ? cause.message : String(cause)}\n${USAGE}`, { cause });
  }
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The one chain source of the configuration. */
function openSource({ bitcoind, esplora }: LnnodedConfig) {
  if (bitcoind !== undefined) {
    const password = readSecretFile('bitcoind.password_file', bitcoind.password_file);
    const { url, user, ca_file: caFile, poll_interval_ms: pollIntervalMs } = bitcoind;
    if (caFile !== undefined) readNamedFile('bitcoind.ca_file', caFile);
    return { source: connectBitcoind({ url, user, password, caFile }), pollIntervalMs };
  }
  if (esplora === undefined) throw new SwapError('bad_config', 'expected bitcoind or esplora, found neither');
  const { url, ca_file: caFile, poll_interval_ms: pollIntervalMs } = esplora;
  if (caFile !== undefined) readNamedFile('esplora.ca_file', caFile);
  return { source: connectEsplora({ url, caFile }), pollIntervalMs };
}

function openGossip({ gossip }: LnnodedConfig) {
  if (gossip === undefined) return undefined;
  const refreshMs = gossip.refresh_interval_secs * 1000;
  if (gossip.url !== undefined) return { source: gossipFromUrl(gossip.url), refreshMs };
  if (gossip.file !== undefined) return { source: gossipFromFile(gossip.file), refreshMs };
  throw new SwapError('bad_config', 'gossip: expected url or file, found neither');
}

/** What the configuration names, opened and locked. */
function openResources(config: LnnodedConfig) {
  const { close: closeFiles, ...files } = openFiles(config);
  const tokenFile = config.grpc.token_file;
  const token = readOrCreateSecretFile('grpc.token_file', tokenFile, () => randomBytes(32).toString('hex'));
  const { source, pollIntervalMs } = openSource(config);
  const close = (): void => {
    source.close();
    closeFiles();
  };
  return { ...files, token, tls: openTls(config), source, pollIntervalMs, close };
}

/** Undefined on loopback: plain text that never leaves the machine. */
function openTls({ node, grpc }: LnnodedConfig): { certFile: string; keyFile: string } | undefined {
  const { tls_cert_file: certFile, tls_key_file: keyFile } = grpc;
  if (certFile !== undefined && keyFile !== undefined) {
    const cert = readNamedFile('grpc.tls_cert_file', certFile);
    const key = readNamedFile('grpc.tls_key_file', keyFile);
    try {
      createSecureContext({ cert, key });
    } catch (cause) {
      const found = `expected the PEM key of the PEM certificate in ${certFile}, found ${codeOf(cause)}`;
      throw new SwapError('bad_config', `grpc.tls_key_file: ${found}`, { cause });
    }
    return { certFile, keyFile };
  }
  return isLoopback(grpc.listen.host) ? undefined : ownCertificate(node.data_dir, grpc.listen.host, grpc.tls_names);
}

/** Aborts at SIGTERM, SIGINT, or when the node asks for a restart. */
function stopSignal(): AbortController {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stopping.abort();
    });
  }
  return stopping;
}

async function run(config: LnnodedConfig, log: Logger): Promise<number> {
  const { node: settings, grpc, policy } = config;
  const stopping = stopSignal();
  let exitCode = 0;
  const { token, tls, close, reminder, ...resources } = openResources(config);
  const problem = await addressProblem(config);
  if (problem !== undefined) {
    process.stderr.write(`${problem}\n`);
    return EXIT_FATAL;
  }
  if (reminder !== undefined) log.info(reminder);
  // LDK is large: a wrong configuration is refused before it is loaded.
  const modules = [import('./node.js'), import('./rpc/server.js'), import('./metrics.js')] as const;
  const [{ startNode }, { serve }, { serveMetrics }] = await Promise.all(modules);
  const heapLimitBytes = settings.heap_limit_mib * 2 ** 20;
  const node = await startNode({
    ...resources,
    network: settings.network,
    policy: {
      minFundingDepth: policy.min_funding_depth,
      acceptsInbound: policy.accept_inbound_channels,
      forwardsToPrivate: policy.forward_to_private_channels,
      hasAnchors: policy.anchor_channels,
      anchorReserveSat: BigInt(policy.anchor_reserve_sats),
    },
    isDirectOnly: policy.direct_only,
    messageTypes: config.messages.types,
    gossip: openGossip(config),
    feeLimits: { floor: config.fees.floor_sat_per_kvb, ceiling: config.fees.ceiling_sat_per_kvb },
    p2pListen: settings.p2p_listen,
    log,
    heapLimitBytes,
    onHeapFull: () => {
      if (stopping.signal.aborted) return;
      log.warn('memory of LDK is nearly used up: planned restart');
      exitCode = EXIT_HEAP;
      stopping.abort();
    },
    signal: stopping.signal,
  });
  const p2pAddress = hostPort(settings.p2p_listen.host, node.p2pPort);
  const minInvoiceExpirySecs = settings.network === 'regtest' ? policy.min_invoice_expiry_secs : MIN_EXPIRY_SECS;
  const parts = { node, version: version(), alias: settings.alias, heapLimitBytes, p2pAddress, log };
  const rpc = await serve({ ...parts, ...grpc.listen, token, tls, minInvoiceExpirySecs });
  const metrics = await serveMetrics(config.metrics?.listen, { ...parts, db: resources.db });
  const grpcAddress = hostPort(grpc.listen.host, rpc.port);
  const ready = { ready: true, grpc: grpcAddress, p2p: p2pAddress, metrics_port: metrics.port, node_id: node.nodeId };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  await aborted(stopping.signal);
  node.releaseCallers();
  metrics.stop();
  await rpc.stop();
  await node.stop();
  close();
  return exitCode;
}

const hostPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });

async function main(): Promise<number> {
  process.umask(0o077);
  let log = createLogger('lnnoded');
  let isWithoutConfig = false;
  try {
    const { values: flags, positionals } = readFlags();
    if (flags.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    if (flags.version) {
      process.stdout.write(`${version()}\n`);
      return 0;
    }
    isWithoutConfig = flags.config === undefined;
    const config = loadConfig({ schema: configSchema, envPrefix: 'LNNODED', file: flags.config, env: process.env });
    isWithoutConfig = false;
    if (flags.restore || (positionals[0] ?? 'run') !== 'run' || positionals.length > 1) {
      process.stdout.write(runCommand(config, positionals, flags.restore));
      return 0;
    }
    log = createLogger('lnnoded', config.log.level);
    return await run(config, log);
  } catch (error) {
    const exitCode = error instanceof SwapError ? EXIT_OF_CODE[error.code] : undefined;
    if (error instanceof SwapError && exitCode !== undefined) {
      const hint = isWithoutConfig ? `no file was named, see --help: lnnoded --config FILE.toml\n` : '';
      process.stderr.write(`${error.message}\n${hint}`);
      return exitCode;
    }
    if (error instanceof Error && error.name === 'AbortError') return 0; // stopped during the start
    log.fatal({ err: error }, 'cannot go on');
    return EXIT_FATAL;
  }
}

process.exit(await main());
