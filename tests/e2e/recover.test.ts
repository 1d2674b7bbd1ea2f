/** The database or the Lightning node is lost under the real daemon: refunds are exact, and only where nobody was paid. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { PurchaseRecord } from '../../src/buyer/record.js';
import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import { paymentHash } from '../../src/core/units.js';
import { dropDatabase, keepFiles, query, startDaemon, swapd, type Daemon, type Run } from '../support/sellerFiles.js';
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
/** A new one each time: an old connection would wait longer and longer for a seller that was stopped for long. */
let buyer: TestBuyer | undefined;
let admin: RpcConnection<AdminClient>;

beforeAll(async () => {
  world = await startTestWorld();
  const { swapd: seller } = world.file();
  admin = openAdmin({ address: seller.admin, token: readFileSync(seller.admin_token_file, 'utf8').trim() });
});
afterEach(() => {
  buyer?.close();
});
afterAll(async () => {
  admin.close();
  await world.close();
});

type Program = 'swapd' | 'lnnoded-seller';
const stop = async (name: Program = 'swapd'): Promise<void> => {
  await world.ask({ command: 'stop', name });
};
const start = async (name: Program = 'swapd'): Promise<void> => {
  await world.ask({ command: 'start', name });
};
const bundles = (): string => join(dirname(world.file().swapd.database), 'bundles');
const recover = (...flags: readonly string[]): Promise<Run> => swapd(world, ['recover', ...flags]);
const recoverBundles = (...flags: readonly string[]): Promise<Run> => recover('--bundles', bundles(), ...flags);

type LiquidStatus = { readonly liquid: { readonly mempool: number; readonly height: number } };
const liquid = async (): Promise<LiquidStatus['liquid']> =>
  ((await world.ask({ command: 'status' })) as LiquidStatus).liquid;

/** Two blocks, each seen by the daemon: what it does at a height is done when it has seen the next. */
async function mineSeen(): Promise<void> {
  for (const blocks of [1, 1]) {
    await world.mine(blocks);
    const { height } = await liquid();
    await eventually('a seller at the tip', async () =>
      (await admin.client.getStatus({})).liquidHeight === height ? true : undefined,
    );
  }
}

/** Blocks until the refund of a swap opens, which is 60 after its funding was signed. */
const mineToRefundHeight = (): Promise<void> => world.mine(60);

type Bought = { readonly buyer: TestBuyer; readonly record: PurchaseRecord; readonly id: string };

/** A swap whose funding is in a block and checked. */
async function bought(): Promise<Bought> {
  buyer = await openBuyer(world);
  const created = await driveTo(buyer, await startTestPurchase(world, buyer), 'created');
  if (created.progress.step !== 'created') throw new Error(`purchase is ${created.progress.step}`);
  const id = created.progress.swapId;
  await mempoolFilled(world, 'the funding');
  await world.mine(1);
  return { buyer, record: await driveTo(buyer, created, 'paying'), id };
}

const paymentOf = (id: string): unknown =>
  query(world, 'SELECT state, payment FROM swaps WHERE swap_id = ?', id).map((row) => Object.values(row).join('/'))[0];
const stored = (id: string, wanted: string): Promise<unknown> =>
  eventually(`swap ${wanted}`, () => Promise.resolve(paymentOf(id) === wanted ? true : undefined));

/** A node that never heard of the invoices of this seller. */
const otherNode = (): Record<string, string> => {
  const { address, token_file: tokenFile } = world.file().lnnoded.buyer;
  return { SWAPD_LIGHTNING__ADDRESS: address, SWAPD_LIGHTNING__TOKEN_FILE: tokenFile };
};

const line = (id: string, text: string): unknown => expect.stringMatching(new RegExp(`${id}  ${text}`));

describe('the database is gone', () => {
  /** Every test begins with a seller whose past is accepted. */
  beforeEach(async () => {
    await stop();
    dropDatabase(world);
    await start();
    await eventually('FENCED by the past, or no past', async () => {
      const { modeReasons } = await admin.client.getStatus({});
      return modeReasons.some((reason) => reason.startsWith('not yet')) ? undefined : true;
    });
    await stop();
    await swapd(world, ['accept-restore', '--yes']);
    await start();
    await eventually('an open shop', async () => {
      const { modes, inboundCapacityMsat } = await admin.client.getStatus({});
      return modes.length === 0 && inboundCapacityMsat > 0n ? true : undefined;
    });
  });

  it('bytes flipped in it are noticed at the start, and the refund is made from seed and bundle alone', async () => {
    const { id } = await bought();
    await stop();
    const { database } = world.file().swapd;
    const file = openSync(database, 'r+');
    writeSync(file, Buffer.alloc(8192, 0xa5), 0, 8192, 4096);
    closeSync(file);
    const damaged = readFileSync(database);
    const refused = await swapd(world, ['run']);
    expect([refused.status, refused.err]).toEqual([2, expect.stringContaining('database')]);

    const early = await recoverBundles();
    expect([early.status, early.out]).toEqual([4, line(id, 'canceled; its refund opens at height \\d+')]);
    await mineToRefundHeight();
    const waiting = recoverBundles('--wait');
    await mempoolFilled(world, 'the refund');
    await world.mine(2);
    const done = await waiting;
    expect([done.status, done.out]).toEqual([0, line(id, 'refunded by [0-9a-f]{64}')]);
    expect(readFileSync(database)).toEqual(damaged);
  });

  it('nothing is refunded while the node is away, and everything once it answers', async () => {
    const { id } = await bought();
    await stop();
    dropDatabase(world);
    await stop('lnnoded-seller');
    await mineToRefundHeight();
    const away = await recoverBundles();
    expect([away.status, away.out]).toEqual([4, line(id, 'the Lightning node does not answer')]);
    expect((await liquid()).mempool).toBe(0);
    await start('lnnoded-seller');
    expect((await recoverBundles()).out).toEqual(line(id, 'its refund [0-9a-f]{64} waits'));
    await world.mine(2);
  });

  it('a held payment is canceled and not taken, and its asset is refunded', async () => {
    const { buyer: payer, record, id } = await bought();
    await stop();
    dropDatabase(world);
    const { progress } = record;
    if (progress.step !== 'paying') throw new Error(`purchase is ${progress.step}`);
    const paying = driveTo(payer, record, 'paid').catch(() => undefined); // it ends unpaid
    const node = openSellerNode(world);
    const hash = paymentHash(progress.htlc.paymentHash);
    const reported = (state: string): Promise<unknown> =>
      eventually(`an invoice ${state}`, async () =>
        (await node.lookupInvoice(hash))?.state === state ? true : undefined,
      );
    await reported('HELD');
    expect((await recoverBundles()).out).toEqual(line(id, 'canceled; its refund opens'));
    await reported('CANCELED');
    node.close();
    await mineToRefundHeight();
    expect((await recoverBundles()).out).toEqual(line(id, 'its refund [0-9a-f]{64} waits'));
    await world.mine(2);
    await paying;
  });

  it('the asset of a settled payment is never refunded: it is left to its buyer', async () => {
    const { buyer: payer, record, id } = await bought();
    await driveTo(payer, record, 'paid');
    await stop();
    dropDatabase(world);
    await mineToRefundHeight();
    const { status, out } = await recoverBundles();
    expect([status, out]).toEqual([0, line(id, 'paid: the asset belongs to the buyer')]);
    expect((await liquid()).mempool).toBe(0);
  });

  it('a node that forgot the invoice refuses the refund, until the operator types the risk', async () => {
    const { id } = await bought();
    await stop();
    dropDatabase(world);
    await mineToRefundHeight();
    const flags = ['recover', '--bundles', bundles()];
    const refused = await swapd(world, flags, otherNode());
    expect([refused.status, refused.out]).toEqual([3, line(id, 'the Lightning node does not know its invoice')]);
    expect((await liquid()).mempool).toBe(0);
    const accepted = await swapd(world, [...flags, '--accept-payment-risk', id], otherNode());
    expect(accepted.out).toEqual(line(id, 'its refund [0-9a-f]{64} waits'));
    await world.mine(2);
  });

  it('a made-up bundle is refused, and the others are recovered', async () => {
    const { id } = await bought();
    await stop();
    dropDatabase(world);
    const path = join(bundles(), `${id}.json`);
    const text = readFileSync(path, 'utf8');
    const other = text.replace(/"key_index":\d+/, '"key_index":7');
    const file = openSync(path, 'w');
    writeSync(file, other);
    closeSync(file);
    const { status, out } = await recoverBundles();
    expect([status, out]).toEqual([3, line(id, `bundle ${id}: its script is not refunded to key 7`)]);
  });
});

describe('the Lightning node is gone or forgot everything', () => {
  let daemon: Daemon | undefined;

  beforeEach(async () => {
    await daemon?.stop();
    if (world.file().lnnoded.seller.pid === null) await start('lnnoded-seller');
    if (world.file().swapd.pid === null) await start();
    await eventually('an open shop', async () => {
      const { modes, inboundCapacityMsat } = await admin.client.getStatus({});
      if (modes.includes('FENCED')) {
        await stop();
        await swapd(world, ['accept-restore', '--yes']);
        await start();
      }
      return modes.length === 0 && inboundCapacityMsat > 0n ? true : undefined;
    });
  });

  it('a swap that was never canceled is not refunded on the word that the invoice is unknown', async () => {
    const { id } = await bought();
    await stop();
    daemon = await startDaemon(world, otherNode());
    await mineSeen();
    expect(paymentOf(id)).toBe('FUNDED/OPEN');
    await mineToRefundHeight(); // too late to be paid: now it is canceled, and only then the answer counts
    await mempoolFilled(world, 'the refund');
    await world.mine(2);
    await stored(id, 'REFUNDED/CANCELED');
    await daemon.stop();
    const events = query(world, 'SELECT kind, detail FROM swap_events WHERE swap_id = ? ORDER BY seq', id);
    expect(events.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['cancel_decided', 'payment_canceled', 'refund_seen', 'refund_final']),
    );
    expect(events.find(({ kind }) => kind === 'payment_canceled')?.['detail']).toBe('the node has no such invoice');
  });

  it('--node-gone needs a committed cancellation, and then the swap is refunded without a node', async () => {
    const { id } = await bought();
    await stop();
    const refusedOpen = await recover('--node-gone', id);
    expect([refusedOpen.status, refusedOpen.err]).toEqual([3, expect.stringContaining('is gone')]);
    daemon = await startDaemon(world, { FAILPOINT: 'before call cancelInvoice' });
    await world.mine(35); // no time left to pay: it is canceled
    expect(await daemon.gone).toBe('SIGKILL');
    await stop('lnnoded-seller');
    expect(paymentOf(id)).toBe('FUNDED/CANCELING');
    const gone = await recover('--node-gone', id);
    expect([gone.status, gone.out]).toEqual([0, expect.stringContaining(`Swap ${id} is CANCELED`)]);
    await world.mine(25);
    daemon = await startDaemon(world, {});
    await mempoolFilled(world, 'the refund');
    await world.mine(2);
    await stored(id, 'REFUNDED/CANCELED');
    expect((await admin.client.getStatus({})).modes).toContain('FENCED'); // the node was never compared
    await daemon.stop();
  });

  it('a restored swap waits for the report of its node, and for nothing less than the typed risk', async () => {
    const { id } = await bought();
    await stop();
    const old = keepFiles(world);
    await start();
    await world.mine(35);
    await stored(id, 'FUNDED/CANCELED');
    await stop();
    old.putBack();
    expect((await swapd(world, ['accept-restore', '--yes'])).out).toContain('Accepted. 1 open swaps');
    daemon = await startDaemon(world, otherNode());
    await world.mine(25);
    await mineSeen();
    expect(paymentOf(id)).toBe('FUNDED/CANCELING');
    expect((await liquid()).mempool).toBe(0);
    await daemon.stop();
    const nodeGone = await swapd(world, ['recover', '--node-gone', id], otherNode());
    expect([nodeGone.status, nodeGone.err]).toEqual([3, expect.stringContaining('never passed an accept-restore')]);
    const flags = ['recover', '--accept-payment-risk', id];
    expect((await swapd(world, flags, otherNode())).status).toBe(2);
    expect((await swapd(world, [...flags, '--yes'], otherNode())).status).toBe(0);
    daemon = await startDaemon(world, otherNode());
    await mempoolFilled(world, 'the refund');
    await world.mine(2);
    await stored(id, 'REFUNDED/CANCELED');
    await daemon.stop();
  });
});
