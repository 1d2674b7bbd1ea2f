/** Configuration files of the programs, written at every start: ports and assets may have changed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { generateMnemonic } from 'bip39';
import { stringify } from 'smol-toml';

import type { ProcessName } from '../control.js';
import { BITCOIN_PRECISION } from '../units.js';
import { randomSecret, readOrCreate, type WorldAsset, writePrivateFile } from './files.js';
import { HOST, type Layout, type LightningChain, type Ports, programDir } from './layout.js';

export const BITCOIN_RPC_USER = 'sandbox';
const WRITTEN_BY = '# Written by the sandbox; changes are lost when it starts again.\n';
/** How often a node looks for blocks: they come in bursts here. */
const POLL_MS = 100;

/** Files of a program that others use too. */
export type ProgramFiles = { readonly config: string; readonly tokenFile: string };

const address = (port: number): string => `${HOST}:${port}`;

/** What both Lightning nodes of a world need. */
export type LnnodeSetup = { readonly layout: Layout; readonly ports: Ports; readonly lightningChain: LightningChain };

/** Writes the config and token of a Lightning node. */
export function writeLnnodeFiles(side: 'seller' | 'buyer', setup: LnnodeSetup): ProgramFiles {
  const { layout, ports } = setup;
  const name: ProcessName = `lnnoded-${side}`;
  const dir = programDir(layout, name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const tokenFile = join(dir, 'token');
  readOrCreate(tokenFile, randomSecret);
  const config = join(dir, 'lnnoded.toml');
  const text = stringify({
    node: {
      network: 'regtest',
      data_dir: join(dir, 'data'),
      p2p_listen: address(ports[`${side}_p2p`]),
      alias: `sandbox ${side}`,
    },
    grpc: { listen: address(ports[`${side}_grpc`]), token_file: tokenFile },
    ...chainSection(setup),
  });
  writePrivateFile(config, WRITTEN_BY + text);
  return { config, tokenFile };
}

function chainSection({ layout, ports, lightningChain }: LnnodeSetup): Record<string, Record<string, string | number>> {
  if (lightningChain === 'esplora') {
    return { esplora: { url: `http://${address(ports.bitcoin_esplora)}`, poll_interval_ms: POLL_MS } };
  }
  return {
    bitcoind: {
      url: `http://${address(ports.bitcoin_rpc)}`,
      user: BITCOIN_RPC_USER,
      password_file: layout.rpcPasswordFile,
      poll_interval_ms: POLL_MS,
    },
  };
}

/** Paths of the seller daemon. `tokenFile` is the admin's. */
export type SellerFiles = ProgramFiles & {
  readonly database: string;
  readonly bundles: string;
  readonly mnemonicFile: string;
};

/** Makes the folder, wallet words and admin token of the seller. */
export function writeSellerSecrets(layout: Layout): SellerFiles {
  const dir = programDir(layout, 'swapd');
  const bundles = join(dir, 'bundles');
  mkdirSync(bundles, { recursive: true, mode: 0o700 });
  const [mnemonicFile, tokenFile] = [join(dir, 'mnemonic'), join(dir, 'admin.token')];
  readOrCreate(mnemonicFile, () => generateMnemonic());
  readOrCreate(tokenFile, randomSecret);
  return { config: join(dir, 'swapd.toml'), tokenFile, database: join(dir, 'swapd.sqlite'), bundles, mnemonicFile };
}

/** What the seller sells, and from where it pays. */
export type SellerSetup = {
  readonly ports: Ports;
  readonly lnnodeTokenFile: string;
  readonly assets: Readonly<Record<string, WorldAsset>>;
  readonly policyAsset: string;
};

/** The text of the seller's configuration. */
export function sellerConfig(files: SellerFiles, setup: SellerSetup): string {
  const { ports } = setup;
  const text = stringify({
    grpc: { listen: address(ports.swapd_grpc), auth: 'none' },
    admin: { listen: address(ports.swapd_admin), token_file: files.tokenFile },
    network: { name: 'regtest' },
    electrum: { servers: [`tcp://${address(ports.electrum)}`] },
    lightning: { backend: 'lnnoded', address: address(ports.seller_grpc), token_file: setup.lnnodeTokenFile },
    wallet: { mnemonic_file: files.mnemonicFile },
    database: { path: files.database, bundle_dir: files.bundles },
    offer: offers(setup),
  });
  return WRITTEN_BY + text;
}

/** Ten whole units are the least that is sold, a thousand the most; one costs 1000 sat whatever its decimals. */
const LEAST_UNITS = 10;
const MOST_UNITS = 1_000;
const MSAT_PER_UNIT = 1_000_000;
const LEAST_LBTC_SAT = 10_000;
const MOST_LBTC_SAT = 1_000_000;

function offers({ assets, policyAsset }: SellerSetup): Record<string, string | number>[] {
  const common = { spread_ppm: 5_000, profile: 'regtest', min_funding_confs: 1, max_funding_confs: 5 };
  const issued = Object.entries(assets).map(([ticker, { id, precision }]) => {
    const unit = 10 ** precision;
    return {
      ...common,
      asset_id: id,
      ticker,
      precision,
      price_msat_numerator: MSAT_PER_UNIT,
      price_denominator: unit,
      min_amount: LEAST_UNITS * unit,
      max_amount: MOST_UNITS * unit,
    };
  });
  const lbtc = {
    ...common,
    asset_id: policyAsset,
    ticker: 'L-BTC',
    precision: BITCOIN_PRECISION,
    price_msat_numerator: 1_000,
    price_denominator: 1,
    min_amount: LEAST_LBTC_SAT,
    max_amount: MOST_LBTC_SAT,
  };
  return [...issued, lbtc];
}
