/** swapd as a process on lnnoded or on lnd, configured as an operator would, and stocked. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { getChannels } from 'lightning';
import { parse, stringify } from 'smol-toml';

import { openAdmin, type AdminClient } from '../../../src/buyer/rpcClient.js';
import { hex } from '../../../src/core/units.js';
import { sellerConfig, writeSellerSecrets, type SellerFiles } from '../../../src/sandbox/world/configs.js';
import { layoutOf, PORT_NAMES, type Ports } from '../../../src/sandbox/world/layout.js';
import { stockSeller } from '../../../src/sandbox/world/stock.js';
import { startElectrumProxy, type ElectrumProxy } from '../../crash/electrumProxy.js';
import { readSwap, type SwapRow } from '../../crash/sellerDatabase.js';
import { sellerProcess, type SellerProcess } from '../../crash/sellerProcess.js';
import { lastingPort } from '../freePort.js';
import type { LnnodedProgram } from '../lnnodedPrograms.js';
import type { NodeProgram, Place } from '../programStage.js';
import { bakeMacaroon } from './bakedMacaroon.js';
import { tailOf } from './child.js';
import type { LndProgram } from './lndProgram.js';
import type { LiquidWorld } from './swapWorld.js';

const LOG_LINES = 200;
const STOCK_ASSET = 8_000_000_000_000n;
const STOCK_LBTC = 80_000_000n;

export type SwapNode = LnnodedProgram | LndProgram;

export type SwapSeller = {
  readonly node: SwapNode;
  readonly process: SellerProcess;
  /** Between swapd and its Electrum server. */
  readonly proxy: ElectrumProxy;
  /** host:port for buyers. */
  readonly address: string;
  readonly admin: AdminClient;
  /** Flags of `swap admin`. */
  readonly adminFlags: readonly string[];
  readonly swap: (id: string) => SwapRow | undefined;
  /** What the seller owns in its channels with a payer, msat. */
  readonly ownedMsat: (payer: NodeProgram) => Promise<bigint>;
};

export const isLnd = (node: SwapNode): node is LndProgram => 'rpcAddress' in node.process;

/** The section `[lightning]` for a node, with the macaroon that the docs tell to bake for its role. */
export async function lightningSection(
  node: SwapNode,
  macaroon: 'swapd.macaroon' | 'swap.macaroon',
): Promise<Readonly<Record<string, string>>> {
  if (!isLnd(node)) {
    const { ready, tokenFile } = node.process;
    return { backend: 'lnnoded', address: ready.grpc, token_file: tokenFile };
  }
  const { rpcAddress, tlsCertFile } = node.process;
  const macaroonFile = await bakeMacaroon(node.process, macaroon);
  return { backend: 'lnd', address: rpcAddress, macaroon_file: macaroonFile, tls_cert_file: tlsCertFile };
}

export type SellerPlace = { readonly files: SellerFiles; readonly ports: Ports };

/** Writes the configuration of a seller on a Lightning node. */
export async function configureSeller(
  dir: string,
  { electrum, asset, chain }: LiquidWorld,
  lightning: Readonly<Record<string, string>>,
): Promise<SellerPlace> {
  mkdirSync(dir, { recursive: true });
  const files = writeSellerSecrets(layoutOf(dir));
  const none = Object.fromEntries(PORT_NAMES.map((name) => [name, 0])) as Ports;
  const own = { swapd_grpc: await lastingPort(), swapd_admin: await lastingPort() };
  const ports = { ...none, ...own, electrum: electrum.port };
  const assets = { USDT: { id: asset, precision: 8 } };
  const text = sellerConfig(files, { ports, assets, lnnodeTokenFile: '', policyAsset: chain.policyAsset });
  writeFileSync(files.config, stringify({ ...parse(text), lightning }), { mode: 0o600 });
  return { files, ports };
}

/** Starts swapd and gives it coins. */
export async function startSwapSeller(
  { dir, started }: Place,
  liquid: LiquidWorld,
  node: SwapNode,
): Promise<SwapSeller> {
  const { files, ports } = await configureSeller(dir, liquid, await lightningSection(node, 'swapd.macaroon'));
  const proxy = await startElectrumProxy(liquid.electrum);
  const logFile = join(dir, 'swapd.log');
  const process = sellerProcess({ config: files.config, electrumUrl: proxy.url, logFile });
  const adminAddress = `127.0.0.1:${ports.swapd_admin}`;
  const admin = openAdmin({ address: adminAddress, token: readFileSync(files.tokenFile, 'utf8').trim() });
  started({
    log: () => tailOf(logFile, LOG_LINES),
    stop: async () => {
      await process.down();
      admin.close();
      proxy.close();
    },
  });
  await process.up();
  await stockSeller(liquid.chain, { address: adminAddress, tokenFile: files.tokenFile }, [
    { assetId: liquid.asset, amount: STOCK_ASSET },
    { assetId: liquid.chain.policyAsset, amount: STOCK_LBTC },
  ]);
  return {
    node,
    process,
    proxy,
    address: `127.0.0.1:${ports.swapd_grpc}`,
    admin: admin.client,
    adminFlags: ['--admin', adminAddress, '--admin-token-file', files.tokenFile],
    swap: (id) => readSwap(files.database, id),
    ownedMsat: (payer) => ownedMsat(node, payer),
  };
}

async function ownedMsat(node: SwapNode, { nodeId }: NodeProgram): Promise<bigint> {
  if (isLnd(node)) {
    const { channels } = await getChannels({ lnd: node.process.lnd });
    const mutual = channels.filter(({ partner_public_key: id }) => id === nodeId);
    return mutual.reduce((sum, each) => sum + BigInt(each.local_balance) * 1000n, 0n);
  }
  const { client, close } = node.process.connect();
  try {
    const { channels } = await client.listChannels({});
    const mutual = channels.filter((each) => hex(each.nodeId) === nodeId);
    return mutual.reduce((sum, each) => sum + each.outboundCapacityMsat, 0n);
  } finally {
    close();
  }
}
