/** Nodes of lnnoded that are killed: the contract of the port, and what only lnnoded's own API shows. */
import { describe, expect, it } from 'vitest';

import { msat } from '../../src/core/units.js';
import { eventually } from '../support/eventually.js';
import type { LightningWorld, Peer } from '../support/lightningWorld.js';
import { lnnodedBackend } from '../support/lnnodedPortWorld.js';
import { portRestartScene, portRestartSuite } from './port/portSuite.js';

let world: LightningWorld;
let payer: Peer;
let payee: Peer;

const backend = lnnodedBackend({
  ready: (opened) => {
    world = opened;
    payer = world.peer('payer');
    payee = world.peer('payee');
  },
});
const scene = portRestartScene(backend);

const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 200 };

/** Msat that arrived at the payee since the channel was opened, less what is in flight. */
async function received(): Promise<bigint> {
  const { channels } = await payee.client.listChannels({});
  return channels.reduce((sum, channel) => sum + channel.outboundCapacityMsat, 0n);
}

describe('kills in the middle of payments', () => {
  const AMOUNT = 2_000_000n;

  /** Pays invoices one after the other until told to stop; errors of a dying node are expected. */
  async function payUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const { bolt11 } = await payee.client
        .createInvoice({ amountMsat: AMOUNT, description: 'kill', expirySecs: 600 })
        .catch(() => ({ bolt11: undefined }));
      if (bolt11 === undefined) continue;
      await payer.port.pay({ ...limits, bolt11, timeoutSecs: 10 }).catch(() => undefined);
    }
  }

  async function hashes(): Promise<{ paid: string[]; settled: string[] }> {
    const { invoices } = await payee.client.listInvoices({ limit: 1000 });
    const settled: string[] = [];
    const paid: string[] = [];
    for (const { paymentHash, state, isHold } of invoices) {
      if (isHold) continue;
      if (state === 3) settled.push(paymentHash.toString('hex'));
      const { payment } = await payer.client.lookupPayment({ paymentHash }).catch(() => ({ payment: undefined }));
      if (payment?.state === 2) paid.push(paymentHash.toString('hex'));
    }
    return { paid, settled };
  }

  it.each(['payee', 'payer', 'payee', 'payer'])('(%s) lose no channel and no payment', async (name) => {
    const [before, capacity] = [await hashes(), await received()];
    let isOver = false;
    const workers = Array.from({ length: 3 }, () => payUntil(() => isOver));
    try {
      await eventually('payments under way', async () => (await hashes()).settled.length > before.settled.length + 2);
    } finally {
      isOver = true;
    }
    await world.restart(name, 'SIGKILL');
    await Promise.all(workers);
    await world.allUsable();
    await eventually('no HTLC left', async () => {
      const all = await Promise.all([payer, payee].map(({ client }) => client.listChannels({})));
      return all.every(({ channels }) => channels.every(({ pendingHtlcs }) => pendingHtlcs === 0));
    });
    const after = await hashes();
    expect(after.paid.sort()).toEqual(after.settled.sort());
    const count = BigInt(after.settled.length - before.settled.length);
    if (capacity > 0n) expect((await received()) - capacity).toBe(count * AMOUNT);
  });
});

portRestartSuite(scene, backend);

describe('the coins of a channel that was closed for a payment', () => {
  const confirmedSats = async ({ client }: Peer): Promise<bigint> => (await client.walletBalance({})).confirmedSats;
  const FEES = 20_000n;

  it('come back to both sides, also when the node is killed before', async () => {
    await world.halt('payer', 'SIGKILL');
    await world.restart('payee', 'SIGKILL');
    await world.mine(144);
    await eventually('the sweep of the payee', () => world.chain.mempoolTxids().length > 0);
    await world.mine(1);
    await world.resume('payer');
    await world.caughtUp();
    await eventually('coins of both', async () => {
      await world.mine(1);
      const [ofPayer, ofPayee] = [await confirmedSats(payer), await confirmedSats(payee)];
      return ofPayee > 1_000_000n - FEES && ofPayer + ofPayee > 5_000_000n - FEES;
    });
  });
});
