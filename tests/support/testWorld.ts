/** A whole world of real processes in a temporary folder, in which blocks come on command only. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Buyer } from '../../src/buyer/buyer.js';
import { connectBuyer, readPayoutWallet } from '../../src/buyer/connect.js';
import { initDataDir } from '../../src/buyer/dataDir.js';
import type { DriveOptions } from '../../src/buyer/drive.js';
import { startPurchase } from '../../src/buyer/purchase.js';
import { requestQuote } from '../../src/buyer/quote.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { encodeAddress } from '../../src/core/network.js';
import { assetAmount, assetId, pubkey, type AssetId } from '../../src/core/units.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import type { LightningNode } from '../../src/lightning/node.js';
import { createLogger } from '../../src/log.js';
import type { ControlRequest } from '../../src/sandbox/control.js';
import { askWorld } from '../../src/sandbox/controlClient.js';
import type { WorldFile } from '../../src/sandbox/world/worldFile.js';
import { isOnEsplora } from './chainSource.js';
import { makeTempDir } from './tempDir.js';

/** On a busy machine; nothing waits so long while all is well. */
const DRIVE_MS = 120_000;
const DEADLINE_MS = 90_000;
const SANDBOX = fileURLToPath(new URL('../../dist/sandbox/main.js', import.meta.url));

export type TestWorld = {
  readonly dir: string;
  /** world.json as it is now. */
  readonly file: () => WorldFile;
  readonly ask: (request: ControlRequest) => Promise<Record<string, unknown>>;
  readonly mine: (blocks: number) => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Starts the sandbox with everything in it, or with what more options leave of it. */
export async function startTestWorld(...options: readonly string[]): Promise<TestWorld> {
  const dir = makeTempDir('swap-world-');
  const still = ['--liquid-block-secs', '0', '--bitcoin-block-secs', '0'];
  const args = [SANDBOX, 'run', '--dir', dir, '--json', ...still, ...options];
  if (isOnEsplora()) args.push('--lightning-chain', 'esplora');
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', () => {
      resolve();
    });
    child.once('close', () => {
      reject(new Error(`the world ended before it was ready: ${stderr}`));
    });
  });
  const ask = (request: ControlRequest): Promise<Record<string, unknown>> => askWorld(dir, request);
  return {
    dir,
    file: () => JSON.parse(readFileSync(join(dir, 'world.json'), 'utf8')) as WorldFile,
    ask,
    mine: async (blocks) => {
      await ask({ command: 'mine', chain: 'liquid', blocks });
    },
    close: async () => {
      child.kill('SIGTERM');
      await ended;
      if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
      else rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A buyer of the world with its own data directory. */
export type TestBuyer = { readonly buyer: Buyer; readonly payoutAddress: string; readonly close: () => void };

export async function openBuyer(world: TestWorld): Promise<TestBuyer> {
  const { swapd, electrum, lnnoded } = world.file();
  const dir = mkdtempSync(join(tmpdir(), 'swap-buyer-'));
  initDataDir(dir);
  const log = createLogger('test-buyer', 'silent');
  const opened = await connectBuyer({
    dir,
    log,
    seller: { address: swapd.address, nodeId: pubkey(lnnoded.seller.node_id) },
    electrum: { servers: [`tcp://${electrum.host}:${electrum.port}`], isSingleServerTrusted: false },
    lightning: { address: lnnoded.buyer.address, tokenFile: lnnoded.buyer.token_file },
  });
  const wallet = await readPayoutWallet(opened.value, dir, opened.value.seed, log);
  return {
    buyer: opened.value,
    payoutAddress: encodeAddress({ scriptPubKey: wallet.scriptPubKey }, opened.value.network),
    close: () => {
      opened.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The seller's node as its operator sees it. */
export function openSellerNode(world: TestWorld): LightningNode {
  const { seller } = world.file().lnnoded;
  return connectLnnoded({
    address: seller.address,
    tokenFile: seller.token_file,
    log: createLogger('test-node', 'silent'),
  });
}

/** Id of the demo asset. */
function demoAsset(world: TestWorld): AssetId {
  const asset = world.file().assets['USDT'];
  if (asset === undefined) throw new Error('the world has no USDT');
  return assetId(asset.id);
}

/** A quoted purchase of 25 units on the buyer's disk. */
export async function startTestPurchase(
  world: TestWorld,
  { buyer, payoutAddress }: TestBuyer,
): Promise<PurchaseRecord> {
  const order = { assetId: demoAsset(world), assetAmount: assetAmount(2_500_000_000n) };
  const quote = await requestQuote(buyer.seller, order);
  return startPurchase(
    buyer,
    quote,
    { ticker: 'USDT', precision: 8 },
    { minFundingConfs: undefined, maxPriceMsat: undefined, maxFeeSat: undefined, payoutAddress },
  );
}

/** Drives a purchase until the step is stored. */
export function driveTo(
  { buyer }: TestBuyer,
  record: PurchaseRecord,
  until: NonNullable<DriveOptions['until']>,
): Promise<PurchaseRecord> {
  return drivePurchase(buyer, record.number, {
    until,
    signal: AbortSignal.timeout(DRIVE_MS),
    onEvent: () => undefined,
  });
}

/**
 * Resolves when a transaction waits for a block. A swap tells a txid before the transaction is sent, so a test that mines
 * for it has to wait for it here first.
 */
export const mempoolFilled = (world: TestWorld, what: string): Promise<true> =>
  eventually(`${what} in the mempool`, async () => ((await liquidMempool(world)) > 0 ? true : undefined));

/** Liquid transactions that wait for a block. */
export async function liquidMempool(world: TestWorld): Promise<number> {
  const status = (await world.ask({ command: 'status' })) as { liquid: { mempool: number } };
  return status.liquid.mempool;
}

/** Waits for a condition with a deadline. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const found = await ask();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    await delay(50);
  }
  throw new Error(`expected ${what} within ${deadlineMs} ms`, { cause: last });
}
