/** Processes are really killed at the moments where a naive seller loses money; the swap completes all the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import BetterSqlite3 from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { PurchaseRecord } from '../../src/buyer/record.js';
import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import { hex, paymentHash, type SwapId } from '../../src/core/units.js';
import { PaymentStatus, SwapStatus, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import {
  driveTo,
  eventually,
  mempoolFilled,
  openBuyer,
  openSellerNode,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';

let world: TestWorld;
let buyer: TestBuyer;
let admin: RpcConnection<AdminClient>;

beforeAll(async () => {
  world = await startTestWorld();
  buyer = await openBuyer(world);
  const { swapd } = world.file();
  admin = openAdmin({ address: swapd.admin, token: readFileSync(swapd.admin_token_file, 'utf8').trim() });
});
afterAll(async () => {
  admin.close();
  buyer.close();
  await world.close();
});

type Victim = 'swapd' | 'lnnoded-seller';

const kill = async (name: Victim): Promise<void> => {
  await world.ask({ command: 'kill', name });
};
/** Starts it again; a node is back when its channel is, too. */
const start = async (name: Victim): Promise<void> => {
  await world.ask({ command: 'start', name });
  await eventually('a usable channel', async () => {
    return (await buyer.buyer.lightning?.inboundCapacityMsat()) ? true : undefined;
  });
  if (world.file().swapd.pid === null) return;
  await eventually('a seller that reaches its node', async () => {
    const { inboundCapacityMsat, isLightningReady } = await admin.client.getStatus({});
    return inboundCapacityMsat > 0n && isLightningReady ? true : undefined;
  });
};

function idOf(record: PurchaseRecord): SwapId {
  const { progress } = record;
  if (progress.step === 'created') return progress.swapId;
  if ('htlc' in progress) return progress.htlc.swapId;
  throw new Error(`purchase is ${progress.step}`);
}

async function sellerView(record: PurchaseRecord): Promise<Swap> {
  const { swap } = await buyer.buyer.seller.getSwap({ swapId: Buffer.from(idOf(record), 'hex') });
  if (swap === undefined) throw new Error('no swap');
  return swap;
}

const sellerSays = (record: PurchaseRecord, status: SwapStatus): Promise<Swap> =>
  eventually(`seller's status ${status}`, async () => {
    const swap = await sellerView(record);
    return swap.status === status ? swap : undefined;
  });

/** The stored bytes decide: one funding a swap, whatever was killed. */
function fundingsOf(record: PurchaseRecord): unknown {
  const database = new BetterSqlite3(world.file().swapd.database, { readonly: true });
  try {
    return database.prepare("SELECT count(*) AS n FROM txs WHERE swap_id = ? AND kind = 'funding'").get(idOf(record));
  } finally {
    database.close();
  }
}

/** Claims, mines until final on both sides, and checks the books. */
async function complete(record: PurchaseRecord): Promise<void> {
  const claiming = record.progress.step === 'claiming' ? record : await driveTo(buyer, record, 'claiming');
  const ending = driveTo(buyer, claiming, 'claimed');
  await claimSeen();
  await world.mine(2);
  expect((await ending).progress.step).toBe('claimed');
  expect((await sellerSays(record, SwapStatus.CLAIMED)).claimTxid).toHaveLength(32);
  expect(fundingsOf(record)).toEqual({ n: 1 });
}

async function created(): Promise<PurchaseRecord> {
  return driveTo(buyer, await startTestPurchase(world, buyer), 'created');
}

const fundingSeen = (): Promise<boolean> => mempoolFilled(world, 'the funding');
const claimSeen = (): Promise<boolean> => mempoolFilled(world, 'the claim');

/** The funding is mined and every check passed. */
async function verified(record: PurchaseRecord): Promise<PurchaseRecord> {
  await fundingSeen();
  await world.mine(1);
  return driveTo(buyer, record, 'paying');
}

describe.each<Victim>(['swapd', 'lnnoded-seller'])('SIGKILL of %s', (victim) => {
  it('after the funding was signed', async () => {
    const record = await created();
    await kill(victim);
    await start(victim);
    await complete(await driveTo(buyer, await verified(record), 'paid'));
  });

  it('while the funding confirms', async () => {
    const record = await created();
    await fundingSeen();
    await kill(victim);
    await world.mine(1);
    await start(victim);
    await complete(await driveTo(buyer, await driveTo(buyer, record, 'paying'), 'paid'));
  });

  it('while the payment is held and nobody has settled', async () => {
    const record = await verified(await created());
    const { progress } = record;
    if (progress.step !== 'paying') throw new Error(`expected paying, found ${progress.step}`);
    await world.ask({ command: 'stop', name: 'swapd' });
    const paying = driveTo(buyer, record, 'paid');
    const node = openSellerNode(world);
    await eventually('a held payment', async () => {
      const invoice = await node.lookupInvoice(paymentHash(progress.htlc.paymentHash));
      return invoice?.state === 'HELD' ? true : undefined;
    });
    node.close();
    if (victim === 'lnnoded-seller') {
      await kill(victim);
      await start(victim);
    }
    await start('swapd');
    await complete(await paying);
  });

  it('while the payment is being settled', async () => {
    const record = await verified(await created());
    const paying = driveTo(buyer, record, 'paid');
    await eventually('a payment at the seller', async () => {
      return (await sellerView(record)).paymentStatus >= PaymentStatus.HELD ? true : undefined;
    });
    await kill(victim);
    await start(victim);
    await complete(await paying);
  });

  it('after the settlement and before the claim is final', async () => {
    const record = await driveTo(buyer, await verified(await created()), 'paid');
    const claiming = await driveTo(buyer, record, 'claiming');
    await kill(victim);
    const ending = driveTo(buyer, claiming, 'claimed');
    await claimSeen();
    await world.mine(2);
    expect((await ending).progress.step).toBe('claimed');
    await start(victim);
    await sellerSays(record, SwapStatus.CLAIMED);
    expect(fundingsOf(record)).toEqual({ n: 1 });
  });
});

describe('after all of it', () => {
  /** Every file below a folder. */
  const filesIn = (dir: string): string[] =>
    readdirSync(dir, { withFileTypes: true, recursive: true })
      .filter((each) => each.isFile())
      .map((each) => join(each.parentPath, each.name));

  it('no preimage, mnemonic or token stands in a log, and no preimage in the database of the seller', async () => {
    const record = await driveTo(buyer, await verified(await created()), 'paid');
    const { preimage } = await eventually('the preimage from the seller', async () => {
      const swap = await sellerView(record);
      return swap.preimage.length === 32 ? swap : undefined;
    });
    const seller = join(world.dir, 'swapd');
    const logs = filesIn(join(world.dir, 'logs'));
    const database = filesIn(seller).filter((path) => path.startsWith(world.file().swapd.database));
    expect(logs.length).toBeGreaterThan(2);
    expect(database.length).toBeGreaterThan(0);
    const secrets = [
      readFileSync(join(seller, 'mnemonic'), 'utf8').trim(),
      readFileSync(world.file().swapd.admin_token_file, 'utf8').trim(),
      readFileSync(world.file().lnnoded.seller.token_file, 'utf8').trim(),
      hex(preimage),
    ].map((text) => Buffer.from(text));
    for (const path of logs) {
      const text = readFileSync(path);
      expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    }
    for (const path of database) {
      const bytes = readFileSync(path);
      expect([bytes.includes(preimage), bytes.includes(hex(preimage))]).toEqual([false, false]);
    }
    await complete(record);
  });
});
