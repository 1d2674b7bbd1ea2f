/** An older database is put back under the real daemon: nothing is funded twice, and every asset comes back. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import type { GetStatusResponse } from '../../src/gen/ln_liquid_swap/v1/admin.js';
import { dropDatabase, keepFiles, query, startDaemon, swapd } from '../support/sellerFiles.js';
import {
  driveTo,
  eventually,
  liquidMempool,
  mempoolFilled,
  openBuyer,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';

let world: TestWorld;
let buyer: TestBuyer;
let admin: RpcConnection<AdminClient>;
/** What the wallet holds of the asset while no swap is open: nothing is ever sold here. */
let untouched: bigint | undefined;

beforeAll(async () => {
  world = await startTestWorld();
  buyer = await openBuyer(world);
  const { swapd: seller } = world.file();
  admin = openAdmin({ address: seller.admin, token: readFileSync(seller.admin_token_file, 'utf8').trim() });
  untouched = await eventually('a balance', held);
});
afterAll(async () => {
  admin.close();
  buyer.close();
  await world.close();
});

const stop = async (): Promise<void> => {
  await world.ask({ command: 'stop', name: 'swapd' });
};
const start = async (): Promise<void> => {
  await world.ask({ command: 'start', name: 'swapd' });
};
const bundles = (): string => join(dirname(world.file().swapd.database), 'bundles');

const status = (): Promise<GetStatusResponse> => eventually('a status', () => admin.client.getStatus({}));

/** Modes once the comparisons are made. */
const modes = (): Promise<readonly string[]> =>
  eventually('a seller that compared everything', async () => {
    const found = await admin.client.getStatus({});
    return found.modeReasons.some((reason) => reason.startsWith('not yet')) ? undefined : found.modes;
  });

/** Everything that the wallet holds of the asset. */
async function held(): Promise<bigint | undefined> {
  const { balances } = await admin.client.getBalance({});
  const usdt = balances.find(({ ticker }) => ticker === 'USDT');
  return usdt === undefined ? undefined : usdt.availableAmount + usdt.pendingAmount;
}

/** A swap whose funding is in a block; its buyer never pays. */
async function fundedSwap(): Promise<void> {
  await driveTo(buyer, await startTestPurchase(world, buyer), 'created');
  await mempoolFilled(world, 'the funding');
  await world.mine(1);
}

/** Runs `recover` on the bundles until it has nothing left to do. */
async function recoverAll(dir: string): Promise<void> {
  const early = await swapd(world, ['recover', '--bundles', dir]);
  expect([early.status, early.out]).toEqual([4, expect.stringMatching(/canceled; its refund opens at height \d+/)]);
  expect(await liquidMempool(world)).toBe(0);
  await world.mine(60);
  const sent = await swapd(world, ['recover', '--bundles', dir]);
  expect([sent.status, sent.out]).toEqual([4, expect.stringMatching(/its refund [0-9a-f]{64} waits for 2/)]);
  expect(await liquidMempool(world)).toBe(1);
  await world.mine(2);
  const last = await swapd(world, ['recover', '--bundles', dir]);
  expect([last.status, last.out]).toEqual([
    0,
    expect.stringMatching(/refunded by [0-9a-f]{64}\n\d done, 0 not yet, 0 refused/),
  ]);
}

describe('a database that is no older copy is not FENCED', () => {
  it('at its first start, after a normal restart and after a SIGKILL', async () => {
    expect(await modes()).toEqual([]);
    await stop();
    await start();
    expect(await modes()).toEqual([]);
    await world.ask({ command: 'kill', name: 'swapd' });
    await start();
    expect(await modes()).toEqual([]);
  });

  it('after a crash between a commit and the file of the generation', async () => {
    await stop();
    const daemon = await startDaemon(world, { FAILPOINT: 'before generation file' });
    const record = await startTestPurchase(world, buyer);
    const driven = driveTo(buyer, record, 'created').catch(() => undefined); // the seller dies meanwhile
    expect(await daemon.gone).toBe('SIGKILL');
    await start();
    expect(await modes()).toEqual([]);
    await driven;
    await mempoolFilled(world, 'the funding');
    await world.mine(62);
    await mempoolFilled(world, 'its refund');
    await world.mine(2);
    await eventually('the end of the swap', async () =>
      (await admin.client.getStatus({})).openSwaps === 0 ? true : undefined,
    );
  });
});

describe('a database from before a funding is put back', () => {
  it('funds nothing, is FENCED by the generation and by the bundle, and the HTLC comes back through its bundle', async () => {
    await stop();
    const old = keepFiles(world);
    await start();
    await fundedSwap();
    await stop();
    old.putBack();
    await start();
    expect(await modes()).toEqual(['FENCED']);
    const { modeReasons } = await status();
    expect(modeReasons[0]).toMatch(/an older database was put back/);
    expect(modeReasons[0]).toMatch(/bundle [0-9a-f]{32}: the database does not know this swap/);
    await expect(startTestPurchase(world, buyer)).rejects.toThrow(/check its records/);
    await stop();
    expect(await liquidMempool(world)).toBe(0);

    const asked = await swapd(world, ['accept-restore']);
    expect([asked.status, asked.out]).toEqual([2, expect.stringContaining('the database does not know this swap')]);
    const accepted = await swapd(world, ['accept-restore', '--yes']);
    expect([accepted.status, accepted.out]).toEqual([0, expect.stringContaining('Accepted. 0 open swaps')]);
    const again = await swapd(world, ['accept-restore', '--yes']);
    expect([again.status, again.err]).toEqual([2, expect.stringContaining('nothing to accept')]);

    await recoverAll(bundles());
    await start();
    expect(await modes()).toEqual([]);
    await eventually('the whole stock to be back', async () => ((await held()) === untouched ? true : undefined));
  });

  it('uses no refund key again that it may have forgotten', async () => {
    await fundedSwap();
    const [row] = query(world, 'SELECT max(key_index) AS last FROM swaps');
    expect(Number(row?.['last'])).toBeGreaterThan(10_000);
    await world.mine(60);
    await mempoolFilled(world, 'its refund');
    await world.mine(2);
    await eventually('the end of the swap', async () =>
      (await admin.client.getStatus({})).openSwaps === 0 ? true : undefined,
    );
  });
});

describe('database, generation and bundles are rolled back together, as by a snapshot of a machine', () => {
  it('is FENCED by the spent coin and by the invoice of the node', async () => {
    await stop();
    const old = keepFiles(world);
    await start();
    await fundedSwap();
    await stop();
    const lost = keepFiles(world);
    old.putBack({ andBundles: true });
    await start();
    expect(await modes()).toEqual(['FENCED']);
    const { modeReasons } = await status();
    expect(modeReasons[0]).toMatch(/transaction [0-9a-f]{64} spends coins of this wallet/);
    expect(modeReasons[0]).toMatch(/the node has our invoice [0-9a-f]{64}/);
    expect(modeReasons[0]).not.toMatch(/older database|bundle/);
    await expect(startTestPurchase(world, buyer)).rejects.toThrow(/check its records/);
    await stop();
    expect((await swapd(world, ['accept-restore', '--yes'])).status).toBe(0);
    await recoverAll(lost.bundles);
    await start();
    expect(await modes()).toEqual([]);
  });
});

describe('the database is deleted and started anew', () => {
  it('is FENCED: the wallet has a past', async () => {
    await stop();
    dropDatabase(world);
    await start();
    expect(await modes()).toEqual(['FENCED']);
    expect((await status()).modeReasons[0]).toMatch(/spends coins of this wallet/);
  });
});
