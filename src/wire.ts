/** The only place where the engine's parts are wired together: for the daemon, and for the commands that work without it. */
import { randomBytes, createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadConfig } from './config.js';
import { preimageFor, refundKey } from './core/keys.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from './core/network.js';
import { sat, satPerKvb, unixSecs, type UnixSecs } from './core/units.js';
import type { EngineContext } from './engine/context.js';
import { newComparison } from './engine/fence.js';
import { openGeneration } from './engine/generation.js';
import { createMutex } from './engine/mutex.js';
import { connectLightning as connectBackend } from './lightning/backend.js';
import type { LightningNode } from './lightning/node.js';
import { startBlindingWorker } from './liquid/blinding.js';
import { connectElectrumGroup } from './liquid/electrumGroup.js';
import { openWallet } from './liquid/wallet.js';
import { loadZkp } from './liquid/zkp.js';
import type { Logger } from './log.js';
import { Store } from './store/db.js';
import { findWalletOutput, saveWalletOutput } from './store/meta.js';
import { swapdSchema, type SwapdConfig } from './swapdConfig.js';

const MIGRATIONS = fileURLToPath(new URL('../migrations/swapd', import.meta.url));

/** What every command takes. */
export type Options = { readonly config?: string };

/** @throws SwapError `bad_config`. */
export function readConfig(options: Options): SwapdConfig {
  return loadConfig({ schema: swapdSchema, envPrefix: 'SWAPD', file: options.config, env: process.env });
}

/** The present moment. */
export const now = (): UnixSecs => unixSecs(Math.floor(Date.now() / 1000));

/** Opens the configured database, or makes it. @throws SwapError `bad_config`, also while another process has it. */
export function openStore({ database }: SwapdConfig): Store {
  mkdirSync(database.bundle_dir, { recursive: true, mode: 0o700 });
  return openStoreAt(database.path);
}

/** @throws SwapError `bad_config`. */
export function openStoreAt(path: string): Store {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return Store.open({ path, migrationsDir: MIGRATIONS });
}

/** Connects to the Lightning node, lazily. @throws SwapError `bad_config` if a file cannot be read. */
export function connectLightning({ lightning }: SwapdConfig, log: Logger): LightningNode {
  const { backend, address } = lightning;
  return connectBackend(
    {
      backend,
      address,
      tokenFile: lightning.token_file,
      macaroonFile: lightning.macaroon_file,
      tlsCertFile: lightning.tls_cert_file,
      holdExpiryDelta: lightning.hold_expiry_delta_blocks,
    },
    log,
  );
}

/**
 * Every part of the engine, connected to the servers that the configuration names.
 *
 * @param parts.bundleDir where recovery bundles and the generation's side file are; it exists.
 * @returns the context, and what frees it.
 */
export async function wire(
  config: SwapdConfig,
  parts: {
    readonly network: LiquidNetworkName;
    readonly store: Store;
    readonly seed: Buffer;
    readonly bundleDir: string;
    readonly log: Logger;
  },
): Promise<{ readonly ctx: EngineContext; readonly close: () => void }> {
  const { network, store, seed, bundleDir, log } = parts;
  const { genesis, policyAsset } = LIQUID_NETWORKS[network];
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
  const lightning = connectLightning(config, log);
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
    generation: openGeneration(store, bundleDir),
    serversNeeded: network === 'liquidv1' && !config.electrum.trust_single_electrum ? 2 : 1,
    bundleDir,
    feerateCeiling: satPerKvb(BigInt(config.limits.feerate_ceiling_sat_per_kvb)),
    feeReserveSatPerSwap: sat(BigInt(config.limits.fee_reserve_sats_per_open_swap)),
    now,
    log,
    walletSection: createMutex(),
    strangers: new Set(),
    htlcScripts: new Map(),
    health: {
      tip: undefined,
      degradedReason: 'starting',
      node: undefined,
      lightningProblem: 'starting',
      fence: undefined,
      alarms: [],
    },
    comparison: newComparison(),
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
