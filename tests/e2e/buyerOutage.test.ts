/** What a buyer needs is really killed or cut off while money is on its way; the asset arrives all the same. */
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Buyer } from '../../src/buyer/buyer.js';
import { claimFromKit } from '../../src/buyer/claimFromKit.js';
import { claimKitFile } from '../../src/buyer/claimStep.js';
import { saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import { startCutProxy } from '../support/cutProxy.js';
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

type Name = 'swapd' | 'lnnoded-seller' | 'lnnoded-buyer';
const kill = async (name: Name): Promise<void> => {
  await world.ask({ command: 'kill', name });
};
/** Starts it; the channel is usable again when this resolves. */
const start = async (name: Name): Promise<void> => {
  await world.ask({ command: 'start', name });
  await eventually('a usable channel', async () => {
    return (await buyer.buyer.lightning?.inboundCapacityMsat()) ? true : undefined;
  });
  if (world.file().swapd.pid === null) return;
  await eventually('a seller that reaches its node', async () => {
    const { inboundCapacityMsat, isLightningReady } = await admin.client.getStatus({});
    return inboundCapacityMsat > 0n && isLightningReady ? true : undefined;
  });
  await eventually('a seller that the buyer reaches', async () => (await buyer.buyer.seller.listOffers({})).offers);
};

/** Every check passed, and nothing is sent yet. */
async function paying(): Promise<PurchaseRecord> {
  const created = await driveTo(buyer, await startTestPurchase(world, buyer), 'created');
  await mempoolFilled(world, 'the funding');
  await world.mine(1);
  return driveTo(buyer, created, 'paying');
}

const htlcOf = ({ progress }: PurchaseRecord) => {
  if (progress.step !== 'paying') throw new Error(`expected paying, found ${progress.step}`);
  return progress.htlc;
};

/** The payment has arrived, and a seller that is away cannot take it. */
async function held(record: PurchaseRecord): Promise<void> {
  const node = openSellerNode(world);
  try {
    await eventually('a held payment', async () => {
      const invoice = await node.lookupInvoice(htlcOf(record).paymentHash);
      return invoice?.state === 'HELD' ? true : undefined;
    });
  } finally {
    node.close();
  }
}

/** Claims from wherever it is, and mines until that is final. */
async function claimed(side: TestBuyer, record: PurchaseRecord): Promise<void> {
  const ending = driveTo(side, record, 'claimed');
  ending.catch(() => undefined); // awaited below
  await mempoolFilled(world, 'the claim');
  await world.mine(2);
  expect((await ending).progress.step).toBe('claimed');
}

/** The same buyer, whose connection to its node can be cut. */
async function cuttable(): Promise<{ side: TestBuyer; cut: () => void; close: () => void }> {
  const { address, token_file: tokenFile } = world.file().lnnoded.buyer;
  const proxy = await startCutProxy(address);
  const lightning = connectLnnoded({ address: proxy.address, tokenFile, log: createLogger('cut', 'silent') });
  const changed: Buyer = { ...buyer.buyer, lightning };
  return {
    side: { ...buyer, buyer: changed },
    cut: proxy.cut,
    close: () => {
      lightning.close();
      proxy.close();
    },
  };
}

describe('a buyer whose payment is out', () => {
  it('claims when the seller and its node disappear after the settlement, with the preimage of its own payment', async () => {
    const record = await driveTo(buyer, await paying(), 'paid');
    await kill('swapd');
    await kill('lnnoded-seller');
    await claimed(buyer, record);
    await start('lnnoded-seller');
    await start('swapd');
  });

  it('goes on when its Lightning node is killed and started while the payment is held', async () => {
    const record = await paying();
    await world.ask({ command: 'stop', name: 'swapd' });
    const ending = driveTo(buyer, record, 'paid');
    await held(record);
    await kill('lnnoded-buyer');
    await start('lnnoded-buyer');
    await start('swapd');
    await claimed(buyer, await ending);
  });

  it('gets the preimage from the seller when the connection to its own node is lost', async () => {
    const record = await paying();
    const { side, cut, close } = await cuttable();
    await world.ask({ command: 'stop', name: 'swapd' });
    const ending = driveTo(side, record, 'paid');
    await held(record);
    cut();
    await start('swapd');
    await claimed(side, await ending);
    close();
  });

  it('finds the preimage in a claim on the chain when both its node and the seller are away', async () => {
    const record = await paying();
    const paid = await driveTo(buyer, record, 'paid');
    const { side, cut, close } = await cuttable();
    cut();
    await kill('swapd');
    const options = { signal: AbortSignal.timeout(60_000), onEvent: () => undefined };
    const elsewhere = claimFromKit(buyer.buyer, claimKitFile(buyer.buyer.dir, record.number), options);
    elsewhere.catch(() => undefined); // awaited below
    await mempoolFilled(world, 'the claim');
    saveRecord(buyer.buyer.dir, { ...paid, progress: record.progress }); // as if nothing had been learned here
    const ending = driveTo(side, record, 'claimed');
    await world.mine(2);
    expect((await elsewhere).kind).toBe('claimed');
    expect((await ending).progress.step).toBe('claimed');
    close();
    await start('swapd');
  });
});
