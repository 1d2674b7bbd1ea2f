/** A pays C over B, knowing the channel of B and C from nothing but a gossip snapshot. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { displayHex, msat } from '../../src/core/units.js';
import type { PaymentResult } from '../../src/lightning/node.js';
import { eventually } from '../support/eventually.js';
import { invoiceRequest, newSecret, startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';
import { rgsSnapshot, shortChannelId } from '../support/rgsSnapshot.js';

/** Default terms of LDK's forwarding. */
const TERMS = { feeBaseMsat: 1000, cltvDelta: 72 };
const DAY = 86_400;

let dir: string;
let file: string;
let server: Server;
let world: LightningWorld;
/** What the server answers. */
let served: Buffer = Buffer.alloc(0);
let asked: string[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gossip-'));
  file = join(dir, 'snapshot');
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(served.length === 0 ? 404 : 200);
    response.end(served);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/snapshot`;
  const gossip = (source: string): string => `[gossip]\n${source}\nrefresh_interval_secs = 1`;
  const more: Record<string, string> = {
    'from-server': gossip(`url = "${url}"`),
    'from-file': gossip(`file = ${JSON.stringify(file)}`),
  };
  world = await startLightningWorld(['from-server', 'from-file', 'b', 'c'], {
    more: (name) => more[name],
  });
  for (const from of ['from-server', 'from-file']) {
    await world.openChannel({ from, to: 'b', capacitySats: 1_000_000n });
  }
  await world.openChannel({ from: 'b', to: 'c', capacitySats: 1_000_000n, isAnnounced: true });
  await world.mine(6); // an announced channel needs no hints in invoices any more
}, 180_000);

afterAll(async () => {
  await world.close();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

beforeEach(() => {
  asked = [];
});

const now = (): number => Math.floor(Date.now() / 1000);
const idOf = (name: string): string => world.peer(name).process.ready.node_id;

async function snapshot(madeAt = now()): Promise<Buffer> {
  const { channels } = await world.peer('c').client.listChannels({});
  const channel = channels[0];
  if (channel === undefined) throw new Error('C has a channel');
  const id = displayHex(channel.fundingTxid);
  for (let height = world.chain.tip.height; height > 0; height--) {
    const position = world.chain.blockAt(height)?.txids.findIndex((txid) => txid === id) ?? -1;
    if (position < 0) continue;
    const scid = shortChannelId(height, position, channel.fundingVout);
    return rgsSnapshot({ madeAt, channels: [{ scid, between: [idOf('b'), idOf('c')], ...TERMS }] });
  }
  throw new Error('the funding of C is in a block');
}

const gossipAt = async (name: string): Promise<number> =>
  Number((await world.peer(name).client.getNodeInfo({})).gossipAtUnixSecs);

/** Pays an invoice of C that has no route hints. */
async function payC(name: string): Promise<PaymentResult> {
  const { paymentHash, preimage } = newSecret();
  const c = world.peer('c').port;
  const { bolt11 } = await c.createHoldInvoice(invoiceRequest(paymentHash));
  const payment = world
    .peer(name)
    .port.pay({ bolt11, maxFeeMsat: msat(10_000n), maxTotalCltvDelta: 300, timeoutSecs: 20 });
  const isOver = payment.then(() => true);
  await eventually('HELD or over', async () => {
    if ((await c.lookupInvoice(paymentHash))?.state === 'HELD') return true;
    return Promise.race([isOver, Promise.resolve(undefined)]);
  });
  await c.settleInvoice(preimage).catch(() => undefined);
  return payment;
}

const noRoute = { state: 'FAILED', reason: 'ROUTE_NOT_FOUND' };
const paid = { state: 'SUCCEEDED', feeMsat: 1000n };

describe('a payer without gossip', () => {
  it('finds no way over another node', async () => {
    expect(await payC('from-server')).toEqual(noRoute);
    expect(await gossipAt('from-server')).toBe(0);
  });
});

describe('a payer with a wrong snapshot', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['a week old', () => snapshot(now() - 7 * DAY)],
    ['of tomorrow', () => snapshot(now() + DAY)],
    ['cut in the middle', async () => (await snapshot()).subarray(0, -20)],
    ['without channels', () => Promise.resolve(rgsSnapshot({ madeAt: now(), channels: [] }))],
    ['that is a page', () => Promise.resolve(Buffer.from('<html>'))],
  ])('%s goes on without it', async (_, make) => {
    served = await make();
    await eventually('two requests', () => asked.length >= 2);
    expect(asked[0]).toBe('/snapshot/0');
    expect(await gossipAt('from-server')).toBe(0);
    expect((await world.peer('from-server').port.getInfo()).isSynced).toBe(true);
  });
});

describe('a payer with a snapshot', () => {
  it('of a server pays over B at the fee of B, also after a restart without the server', async () => {
    served = await snapshot();
    await eventually('gossip', async () => (await gossipAt('from-server')) > 0);
    expect(await payC('from-server')).toMatchObject({ ...paid, preimage: expect.anything() as Buffer });
    const madeAt = await gossipAt('from-server');
    served = Buffer.alloc(0);
    await world.restart('from-server', 'SIGKILL');
    await world.allUsable();
    expect(await gossipAt('from-server')).toBe(madeAt);
    expect(await payC('from-server')).toMatchObject({ ...paid, preimage: expect.anything() as Buffer });
  });
  it('of a file pays over B, and takes a newer one', async () => {
    const madeAt = now() - 100;
    writeFileSync(file, await snapshot(madeAt));
    await eventually('gossip', async () => (await gossipAt('from-file')) === madeAt);
    expect(await payC('from-file')).toMatchObject({ ...paid, preimage: expect.anything() as Buffer });
    writeFileSync(file, await snapshot(madeAt + 50));
    await eventually('newer gossip', async () => (await gossipAt('from-file')) === madeAt + 50);
    writeFileSync(file, await snapshot(madeAt - 50));
    await eventually('two looks', () => Promise.resolve(now() > madeAt + 103));
    expect(await gossipAt('from-file')).toBe(madeAt + 50);
  });
  it('that may only pay directly does not use it', async () => {
    await world.halt('from-file', 'SIGTERM');
    process.env['LNNODED_POLICY__DIRECT_ONLY'] = 'true';
    await world.resume('from-file');
    delete process.env['LNNODED_POLICY__DIRECT_ONLY'];
    await world.allUsable();
    expect(await gossipAt('from-file')).toBeGreaterThan(0);
    expect(await payC('from-file')).toEqual(noRoute);
    const { paymentHash } = newSecret();
    const { bolt11 } = await world.peer('b').port.createHoldInvoice(invoiceRequest(paymentHash));
    const payment = world
      .peer('from-file')
      .port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 300, timeoutSecs: 20 });
    await eventually('HELD', async () => (await world.peer('b').port.lookupInvoice(paymentHash))?.state === 'HELD');
    await world.peer('b').port.cancelInvoice(paymentHash);
    expect(await payment).toMatchObject({ state: 'FAILED', reason: 'RECIPIENT_REJECTED' });
  });
});
