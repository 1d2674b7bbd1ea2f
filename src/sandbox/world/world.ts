/** A running world: its parts, and what start-up and commands do with them. */
import type { ProcessName } from '../control.js';
import { BITCOIN_PRECISION, parseUnits } from '../units.js';
import type { Chains } from './chains.js';
import { BITCOIN_RPC_USER, sellerConfig } from './configs.js';
import { type WorldAsset, type WorldState, writePrivateFile } from './files.js';
import { HOST, type Layout, type Ports, programDir } from './layout.js';
import type { Miner } from './miner.js';
import type { AllFiles, Programs } from './programs.js';
import type { Endpoint } from './grpc.js';
import { stockSeller } from './stock.js';
import type { WorldFile, WorldNode } from './worldFile.js';

/** The parts of a world. */
export type World = {
  readonly layout: Layout;
  readonly ports: Ports;
  readonly rpcPassword: string;
  readonly chains: Chains;
  readonly miners: { readonly liquid: Miner; readonly bitcoin: Miner };
  readonly programs: Programs;
  readonly files: AllFiles;
  readonly state: WorldState;
};

/** The asset that every world has: a made-up dollar. */
export const DEMO_ASSET = { ticker: 'USDT', precision: 8, supply: '1000000' } as const;
const STOCK_UNITS = '80000';
const STOCK_LBTC = '0.8';

/** Writes what must survive a restart. */
export function saveState({ layout, state }: World): void {
  writePrivateFile(layout.stateFile, `${JSON.stringify(state, undefined, 2)}\n`);
}

/** Issues an asset into the faucet, in a block at once; the seller offers it when it starts next. */
export function issueAsset(world: World, ticker: string, supply: string, precision: number): WorldAsset {
  const { liquid } = world.chains;
  const asset = { id: liquid.issue({ ticker, precision, amount: parseUnits(supply, precision) }), precision };
  liquid.mine(1);
  world.state.assets[ticker] = asset;
  saveState(world);
  writeSellerConfig(world);
  return asset;
}

/** Writes the seller's configuration for the assets and ports of now. */
export function writeSellerConfig({ files, ports, state, chains }: World): void {
  const setup = {
    ports,
    lnnodeTokenFile: files.seller.tokenFile,
    assets: state.assets,
    policyAsset: chains.liquid.policyAsset,
  };
  writePrivateFile(files.swapd.config, sellerConfig(files.swapd, setup));
}

/** Starts a program and waits until it serves; the seller gets its stock when it starts for the first time. */
export async function startProgram(world: World, name: ProcessName): Promise<void> {
  if (name === 'swapd') {
    await world.programs.swapd.start();
    await stockOnce(world);
    return;
  }
  const ready = await world.programs[name].start();
  world.state.nodeIds[name === 'lnnoded-seller' ? 'seller' : 'buyer'] = ready.node_id;
}

/** The operator's interface of the seller. */
export const sellerAdmin = ({ ports, files }: World): Endpoint => ({
  address: `${HOST}:${ports.swapd_admin}`,
  tokenFile: files.swapd.tokenFile,
});

async function stockOnce(world: World): Promise<void> {
  const { state, chains } = world;
  const asset = state.assets[DEMO_ASSET.ticker];
  if (state.isStocked || asset === undefined) return;
  await stockSeller(chains.liquid, sellerAdmin(world), [
    { assetId: asset.id, amount: parseUnits(STOCK_UNITS, asset.precision) },
    { assetId: chains.liquid.policyAsset, amount: parseUnits(STOCK_LBTC, BITCOIN_PRECISION) },
  ]);
  state.isStocked = true;
  saveState(world);
}

/** Writes world.json. */
export function writeWorldFile(world: World): void {
  writePrivateFile(world.layout.worldFile, `${JSON.stringify(worldFile(world), undefined, 2)}\n`);
}

function worldFile(world: World): WorldFile {
  const { layout, ports, chains, files, programs, state } = world;
  return {
    version: 1,
    network: 'regtest',
    genesis: chains.liquid.genesis,
    policy_asset: chains.liquid.policyAsset,
    assets: state.assets,
    electrum: { host: HOST, port: ports.electrum },
    bitcoin_rpc: { url: `http://${HOST}:${ports.bitcoin_rpc}`, user: BITCOIN_RPC_USER, password: world.rpcPassword },
    swapd: {
      address: `${HOST}:${ports.swapd_grpc}`,
      admin: `${HOST}:${ports.swapd_admin}`,
      tls_cert: null,
      token_file: null,
      admin_token_file: files.swapd.tokenFile,
      pid: programs.swapd.pid ?? null,
      config: files.swapd.config,
      database: files.swapd.database,
    },
    lnnoded: { seller: nodeEntry(world, 'seller'), buyer: nodeEntry(world, 'buyer') },
    control: layout.controlSocket,
    pid: process.pid,
  };
}

function nodeEntry({ layout, ports, files, programs, state }: World, side: 'seller' | 'buyer'): WorldNode {
  const name = `lnnoded-${side}` as const;
  return {
    address: `${HOST}:${ports[`${side}_grpc`]}`,
    tls_cert: null,
    token_file: files[side].tokenFile,
    node_id: state.nodeIds[side],
    p2p: `${HOST}:${ports[`${side}_p2p`]}`,
    pid: programs[name].pid ?? null,
    dir: programDir(layout, name),
  };
}
