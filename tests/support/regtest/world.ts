/**
 * A world of real processes whose Liquid side is an Elements node and electrs: the tests of the sandbox's world run in it
 * unchanged. Its Bitcoin chain and its Lightning nodes are the sandbox's.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { reversedBytes, assetId } from '../../../src/core/units.js';
import type { AdminClient } from '../../../src/buyer/rpcClient.js';
import type { ControlRequest } from '../../../src/sandbox/control.js';
import { POLICY_ASSET } from '../../../src/sandbox/liquid/regtest.js';
import type { WorldFile } from '../../../src/sandbox/world/worldFile.js';
import { eventually, startTestWorld, type TestWorld } from '../testWorld.js';
import { startElectrs, type Electrs } from './electrs.js';
import { startElements, type ElementsNode } from './elements.js';
import { tailOf } from './nativeProgram.js';
import type { RegtestPrograms } from './programs.js';
import { openPurse, type Purse } from './purse.js';

const SUPPLY = 100_000_000_000_000n;
const STOCK_ASSET = 8_000_000_000_000n;
const STOCK_LBTC = 80_000_000n;
const COINS_PER_ASSET = 4n;
const DEPOSIT_DEPTH = 2;
const STOCK_MS = 60_000;

/** Another electrs on another node, which takes over the first one's blocks after each command while it follows. */
type SecondServer = { readonly node: ElementsNode; readonly electrs: Electrs; isFollowing: boolean };

export type RegtestWorld = TestWorld & {
  readonly node: ElementsNode;
  readonly electrs: Electrs;
  readonly purse: Purse;
  readonly asset: string;
  /** For `swap --world`. */
  readonly worldFile: string;
  readonly second: SecondServer | undefined;
  /** The ends of the logs of all programs. */
  readonly tails: () => string;
};

/** Starts everything but the seller. `close` must be called; with `KEEP_E2E=1` the folders stay and are named. */
export async function startRegtestWorld(
  { elementsd, electrs: electrsExe }: RegtestPrograms,
  hasSecond = false,
): Promise<RegtestWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'regtest-world-'));
  const undo: Undo = [
    () => {
      if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
      else rmSync(dir, { recursive: true, force: true });
    },
  ];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  };
  try {
    const node = await startElements({ exe: elementsd, dir: join(dir, 'elements') });
    undo.push(() => node.stop());
    const electrs = await startElectrs({ exe: electrsExe, dir: join(dir, 'electrs'), node });
    undo.push(() => electrs.stop());
    const purse = await openPurse(node);
    const asset = await purse.issue(SUPPLY);
    await node.mine(1);
    await electrs.caughtUp();
    const second = hasSecond ? await startSecond({ elementsd, electrs: electrsExe }, dir, node, undo) : undefined;
    const sides = { node, electrs, second };
    const sandbox = await startTestWorld('--no-swapd');
    undo.push(() => sandbox.close());
    const worldFile = join(dir, 'world.json');
    const config = join(dir, 'swapd.toml');
    const world: RegtestWorld = {
      dir: sandbox.dir,
      node,
      electrs,
      purse,
      asset,
      worldFile,
      second,
      file: () => fileOf(sandbox.file(), { electrs, asset, config }),
      ask: (request) => perform(sandbox, sides, request),
      mine: async (blocks) => {
        await node.mine(blocks);
        await caughtUp(sides);
      },
      tails: () => {
        const programs = [node, electrs, ...(second === undefined ? [] : [second.node, second.electrs])];
        return [...programs.map((program) => program.tail()), ...sandboxTails(sandbox)].join('\n');
      },
      close,
    };
    writeSellerConfig(sandbox.file(), { electrs, asset, config });
    writeFileSync(worldFile, JSON.stringify(world.file()), { mode: 0o600 });
    return world;
  } catch (error) {
    await close();
    throw error;
  }
}

type LiquidSide = { readonly electrs: Electrs; readonly asset: string; readonly config: string };

const soldIn = (file: WorldFile): { readonly id: string; readonly precision: number } => {
  const asset = file.assets['USDT'];
  if (asset === undefined) throw new Error('the sandbox has no USDT');
  return asset;
};

function fileOf(file: WorldFile, { electrs, asset, config }: LiquidSide): WorldFile {
  return {
    ...file,
    assets: { USDT: { ...soldIn(file), id: asset } },
    electrum: { host: electrs.host, port: electrs.port },
    swapd: { ...file.swapd, config },
  };
}

/** The seller's configuration of the sandbox, with another asset and another server. */
function writeSellerConfig(file: WorldFile, { electrs, asset, config }: LiquidSide): void {
  const text = readFileSync(file.swapd.config, 'utf8')
    .replaceAll(soldIn(file).id, asset)
    .replaceAll(`tcp://${file.electrum.host}:${file.electrum.port}`, electrs.url);
  writeFileSync(config, text, { mode: 0o600 });
}

function sandboxTails({ dir }: TestWorld): string[] {
  const logs = join(dir, 'logs');
  return readdirSync(logs).map((name) => tailOf(name, join(logs, name)));
}

type Undo = (() => Promise<void> | void)[];

async function startSecond(
  { elementsd, electrs: exe }: RegtestPrograms,
  dir: string,
  first: ElementsNode,
  undo: Undo,
): Promise<SecondServer> {
  const options = { exe: elementsd, dir: join(dir, 'elements2'), name: 'elementsd2', copyOf: first };
  const node = await startElements(options);
  undo.push(() => node.stop());
  const electrs = await startElectrs({ exe, dir: join(dir, 'electrs2'), node, name: 'electrs2' });
  undo.push(() => electrs.stop());
  return { node, electrs, isFollowing: true };
}

type Sides = {
  readonly node: ElementsNode;
  readonly electrs: Electrs;
  readonly second: SecondServer | undefined;
};

/** Waits until every server has what its node has. */
async function caughtUp({ node, electrs, second }: Sides): Promise<void> {
  await electrs.caughtUp();
  if (second?.isFollowing !== true) return;
  await second.node.copyBlocks(node);
  await second.electrs.caughtUp();
}

/** What the sandbox's commands do to its own chain is done to the node. */
async function perform(sandbox: TestWorld, sides: Sides, request: ControlRequest): Promise<Record<string, unknown>> {
  const { node } = sides;
  if ('chain' in request && request.chain === 'liquid') {
    if (request.command === 'auto') throw new Error('blocks come on command only');
    if (request.command === 'mine') await node.mine(request.blocks);
    else await sides.electrs.unseen(() => reorg(node, request)); // of a chain that gets shorter it dies
    await caughtUp(sides);
    return { chain: 'liquid', ...(await node.tip()) };
  }
  if (request.command === 'floor') {
    await node.restart({ relayFloor: request.sat_per_kvb });
    await caughtUp(sides);
    return { floor_sat_per_kvb: node.relayFloor.toString() };
  }
  const result = await sandbox.ask(request);
  if (request.command !== 'status') return result;
  const [tip, mempool] = await Promise.all([node.tip(), node.mempool()]);
  return { ...result, liquid: { ...tip, mempool: mempool.length, floor_sat_per_kvb: node.relayFloor.toString() } };
}

/** Replaces the last blocks by one more; what was in them is mined again, or waits. */
async function reorg(
  node: ElementsNode,
  { blocks, drop }: { blocks: number; drop?: boolean | undefined },
): Promise<void> {
  const { height } = await node.tip();
  await node.rpc('invalidateblock', await node.rpc('getblockhash', height - blocks + 1));
  if (drop !== true) await node.mine(blocks + 1);
  else for (let made = 0; made <= blocks; made += 1) await node.mineEmpty();
}

/** Gives the running seller coins of everything that it sells, and waits until it offers them. */
export async function stockSeller(world: RegtestWorld, admin: AdminClient): Promise<void> {
  const { address } = await eventually('the seller', () => admin.newAddress({}), STOCK_MS);
  const stock = [
    { assetId: world.asset, amount: STOCK_ASSET },
    { assetId: POLICY_ASSET, amount: STOCK_LBTC },
  ];
  for (const { assetId: id, amount } of stock) {
    for (let coin = 0n; coin < COINS_PER_ASSET; coin += 1n) {
      await world.purse.gift({ address, assetId: id, amount: amount / COINS_PER_ASSET });
    }
  }
  await world.mine(DEPOSIT_DEPTH);
  const key = reversedBytes(assetId(world.asset));
  await eventually(
    'the stock of the seller',
    async () => {
      const { balances } = await admin.getBalance({});
      const found = balances.find((entry) => entry.assetId.equals(key));
      return (found?.availableAmount ?? 0n) >= STOCK_ASSET ? true : undefined;
    },
    STOCK_MS,
  );
}
