/** A channel that has long been over is no burden any more. */
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { openSqlite } from '../../src/sqlite.js';
import { eventually } from '../support/eventually.js';
import { invoiceRequest, newSecret, startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';
import { msat } from '../../src/core/units.js';

/** LDK's delay. */
const DELAY_BLOCKS = 4032;
const CATCH_UP_MS = 200_000;

let world: LightningWorld;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee']);
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 1_000_000n });
});
afterAll(async () => {
  await world.close();
});

/** Rows of a halted node by namespace. */
function rowsOf(name: string): Record<string, number> {
  const database = openSqlite(join(world.peer(name).process.dataDir, 'lnnoded.sqlite'), { readonly: true });
  try {
    const rows = database
      .prepare<[], { name: string; count: number }>(
        "SELECT primary_namespace AS name, count(*) AS count FROM ldk WHERE primary_namespace <> '' GROUP BY 1",
      )
      .all();
    return Object.fromEntries(rows.map(({ name: space, count }) => [space, count]));
  } finally {
    database.close();
  }
}

async function pay(payer: string): Promise<void> {
  const { preimage, paymentHash } = newSecret();
  const { port } = world.peer('payee');
  const { bolt11 } = await port.createHoldInvoice(invoiceRequest(paymentHash));
  const paying = world.peer(payer).port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 30 });
  await eventually('held', async () => (await port.lookupInvoice(paymentHash))?.state === 'HELD');
  await port.settleInvoice(preimage);
  expect(await paying).toMatchObject({ state: 'SUCCEEDED' });
}

it('a node that closed a channel by force starts again, at once and later', async () => {
  await pay('payer');
  const { client } = world.peer('payee');
  const [channel] = (await client.listChannels({})).channels;
  await client.closeChannel({ channelId: channel?.channelId ?? Buffer.alloc(0), isForced: true });
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await world.restart('payee', signal);
    expect((await world.peer('payee').client.listChannels({})).channels).toMatchObject([{ isUsable: false }]);
  }
});

it('the monitor of a channel that was closed weeks ago is archived with all its updates, and the node goes on', async () => {
  const { client } = world.peer('payee');
  await world.halt('payer', 'SIGTERM');
  await eventually('the coins are back', async () => {
    await world.mine(6);
    const [{ channels }, { sweepingSats }] = await Promise.all([client.listChannels({}), client.walletBalance({})]);
    return channels.length === 0 && sweepingSats === 0n;
  });
  await world.restart('payee', 'SIGTERM');
  await world.halt('payee', 'SIGTERM');
  expect(rowsOf('payee')).toMatchObject({ monitors: 1 });
  const mined = async (blocks: number): Promise<void> => {
    world.chain.mine(blocks);
    await world.resume('payee');
    await eventually(
      'the tip',
      async () => {
        const { blockHeight } = await world.peer('payee').client.getNodeInfo({});
        return blockHeight === world.chain.tip.height;
      },
      CATCH_UP_MS,
    );
    await world.halt('payee', 'SIGTERM');
  };
  await mined(DELAY_BLOCKS - 20);
  expect(rowsOf('payee')).toMatchObject({ monitors: 1 });
  await mined(20);
  expect(rowsOf('payee')).toEqual({ archived_monitors: 1 });
  await world.resume('payee');
  await world.add('newcomer'); // the payer would have to read four weeks of blocks first
  await world.openChannel({ from: 'newcomer', to: 'payee', capacitySats: 1_000_000n });
  await pay('newcomer');
});
