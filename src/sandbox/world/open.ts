/**
 * Starts or continues the world of a folder.
 *
 * Everything that must outlive a restart is on disk before it is used, so the same steps serve the first start and
 * every later one, also after a crash in the middle.
 */
import { existsSync, mkdirSync } from 'node:fs';

import { errorChain } from '../../errors.js';
import { listenControl } from '../control.js';
import { WorldError } from '../problem.js';
import { openChains } from './chains.js';
import { runCommand } from './commands.js';
import { writeLnnodeFiles, writeSellerSecrets } from './configs.js';
import { randomSecret, readOrCreate, readState } from './files.js';
import { HOST, type Layout, layoutOf, type LightningChain, PORT_NAMES } from './layout.js';
import { joinNodes, type NodeEndpoint } from './lightning.js';
import { lockWorld } from './lock.js';
import { Miner } from './miner.js';
import { awaitOpening } from './opening.js';
import { choosePorts } from './ports.js';
import { type AllFiles, programsOf } from './programs.js';
import {
  DEMO_ASSET,
  issueAsset,
  saveState,
  sellerAdmin,
  startProgram,
  type World,
  writeSellerConfig,
  writeWorldFile,
} from './world.js';

export type WorldOptions = {
  /** Absolute path of the folder. */
  readonly dir: string;
  /** Seconds between Liquid blocks; 0 = only on command. */
  readonly liquidBlockSecs: number;
  /** Seconds between Bitcoin blocks; 0 = only on command. */
  readonly bitcoinBlockSecs: number;
  /** False: the seller is prepared, and started on command. */
  readonly withSwapd: boolean;
  /** Chain source of both Lightning nodes. */
  readonly lightningChain: LightningChain;
  /** Progress and alarms for the person in front. */
  readonly report: (message: string) => void;
  /** The world cannot go on; the caller closes it. */
  readonly onFatal: (error: unknown) => void;
};

/** A world that comes up. */
export type WorldHandle = {
  /**
   * Resolves when the world is complete: channel usable, seller stocked, world.json written, commands served. Rejects
   * with WorldError `world_already_running`, `process_failed` or `bad_config`; nothing is left running then.
   */
  readonly complete: Promise<World>;
  /** Ends every program and frees the folder, at any time. If it comes before `complete`, that rejects. */
  readonly close: () => Promise<void>;
};

type Undo = (() => void | Promise<void>)[];

/** Starts or continues the world of a folder. */
export function openWorld(options: WorldOptions): WorldHandle {
  const undo: Undo = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  };
  const complete = build(options, undo).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { complete, close };
}

async function build(options: WorldOptions, undo: Undo): Promise<World> {
  const layout = layoutOf(options.dir);
  makeFolders(layout);
  undo.push(await lockWorld(layout.dir, layout.controlSocket));
  const world = await assemble(layout, options, undo);
  await startAll(world, options);
  world.miners.liquid.blockSecs = options.liquidBlockSecs;
  world.miners.bitcoin.blockSecs = options.bitcoinBlockSecs;
  const control = await listenControl(layout.controlSocket, (request) => runCommand(world, request));
  undo.push(() => control.close());
  writeWorldFile(world);
  return world;
}

function makeFolders({ dir, chains, logs }: Layout): void {
  try {
    for (const folder of [dir, chains, logs]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new WorldError('bad_config', `--dir: expected a folder that can be written, found ${errorChain(cause)}`);
  }
}

/** Opens the chains and prepares the programs; starts none. */
async function assemble(layout: Layout, options: WorldOptions, undo: Undo): Promise<World> {
  const state = readState(layout.stateFile);
  const ports = await choosePorts(PORT_NAMES, state.ports);
  state.ports = ports;
  const rpcPassword = readOrCreate(layout.rpcPasswordFile, randomSecret);
  const chains = await openChains(layout, ports, rpcPassword, (error) => {
    options.report(`Bitcoin server: ${errorChain(error)}`);
  });
  undo.push(() => chains.close());
  const { lightningChain } = options;
  const files: AllFiles = {
    seller: writeLnnodeFiles('seller', { layout, ports, lightningChain }),
    buyer: writeLnnodeFiles('buyer', { layout, ports, lightningChain }),
    swapd: writeSellerSecrets(layout),
  };
  const programs = programsOf(layout, files, {
    onDeath: options.report,
    onPid: () => {
      if (existsSync(layout.worldFile)) writeWorldFile(world); // the first one is written when the world is complete
    },
  });
  const miners = {
    liquid: new Miner(() => {
      chains.liquid.mine(1);
    }, options.onFatal),
    bitcoin: new Miner(() => void chains.bitcoin.mine(1), options.onFatal),
  };
  const world: World = { layout, ports, rpcPassword, chains, miners, programs, files, state };
  saveState(world);
  undo.push(() => endAll(world));
  return world;
}

/** The nodes first, side by side; then the channel and the seller, side by side. */
async function startAll(world: World, { withSwapd, report }: WorldOptions): Promise<void> {
  report('starting two Lightning nodes');
  const nodes = Promise.all([startProgram(world, 'lnnoded-seller'), startProgram(world, 'lnnoded-buyer')]);
  nodes.catch(() => undefined); // awaited below; the asset is made while the nodes load
  prepareSeller(world);
  await nodes;
  saveState(world);
  report(withSwapd ? 'opening the channel, starting the seller' : 'opening the channel');
  await Promise.all([
    joinNodes(world.chains.bitcoin, endpointOf(world, 'seller'), endpointOf(world, 'buyer')),
    ...(withSwapd ? [startProgram(world, 'swapd')] : []),
  ]);
  const problem = withSwapd
    ? await awaitOpening(sellerAdmin(world), () => world.chains.liquid.tip().height)
    : undefined;
  if (problem !== undefined) report(`the seller takes no orders yet: ${problem}`);
}

/** The asset for sale, and the seller's configuration. */
function prepareSeller(world: World): void {
  const { ticker, supply, precision } = DEMO_ASSET;
  if (world.state.assets[ticker] === undefined) issueAsset(world, ticker, supply, precision);
  else writeSellerConfig(world);
}

function endpointOf({ ports, files, state }: World, side: 'seller' | 'buyer'): NodeEndpoint {
  return {
    address: `${HOST}:${ports[`${side}_grpc`]}`,
    tokenFile: files[side].tokenFile,
    nodeId: state.nodeIds[side],
    p2p: `${HOST}:${ports[`${side}_p2p`]}`,
  };
}

/** The seller ends before the node that it uses. */
async function endAll({ miners, programs }: World): Promise<void> {
  miners.liquid.blockSecs = 0;
  miners.bitcoin.blockSecs = 0;
  for (const program of Object.values(programs)) program.retire();
  await programs.swapd.stop();
  await Promise.all([programs['lnnoded-seller'].stop(), programs['lnnoded-buyer'].stop()]);
}
