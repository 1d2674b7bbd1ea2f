/** A payment that was taken and went back all the same: the peer timed it out on the chain while the node was down. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { msat, type PaymentHash } from '../../src/core/units.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

vi.setConfig({ testTimeout: 90_000 });

let world: LightningWorld;
let payer: Peer;
let payee: Peer;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee']);
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 1_000_000n, pushMsat: 100_000_000n });
  payer = world.peer('payer');
  payee = world.peer('payee');
});
afterAll(async () => {
  await world.close();
});

async function held() {
  const secret = newSecret();
  const { bolt11 } = await payee.port.createHoldInvoice(invoiceRequest(secret.paymentHash));
  const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 60, timeoutSecs: 1 };
  await payer.port.pay({ bolt11, ...limits });
  const invoice = await eventually('HELD', async () => {
    const found = await payee.port.lookupInvoice(secret.paymentHash);
    return found?.state === 'HELD' ? found : undefined;
  });
  return { ...secret, deadline: invoice.claimDeadlineHeight ?? 0 };
}

const lookup = async (hash: PaymentHash) => {
  const { invoice } = await payee.client.lookupInvoice({ paymentHash: Buffer.from(hash, 'hex') });
  if (invoice === undefined) throw new Error('no invoice');
  return invoice;
};

/** Mines one by one, with time for the nodes to answer each block. */
async function mineSlowly(blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i += 1) {
    await sleep(500);
    await world.mine(1);
  }
}

describe('a settled payment whose payer times it out on the chain while the node is down', () => {
  it('is named as such when the node is back, for as long as the chain says so', async () => {
    const fine = await held();
    await payee.port.settleInvoice(fine.preimage);
    await eventually('paid', async () => (await payer.port.lookupPayment(fine.paymentHash))?.state === 'SUCCEEDED');

    const { paymentHash, preimage, deadline } = await held();
    await world.halt('payer', 'SIGKILL');
    await payee.port.settleInvoice(preimage);
    await eventually('SETTLED', async () => (await payee.port.lookupInvoice(paymentHash))?.state === 'SETTLED');
    expect(await lookup(paymentHash)).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: false });
    await world.halt('payee', 'SIGKILL');

    await world.resume('payer');
    await world.mine(deadline - world.chain.tip.height);
    await eventually('force close', async () => {
      await world.mine(1);
      return world.chain.mempoolTxids().length > 0;
    });
    await mineSlowly(4);

    await world.resume('payee');
    await world.caughtUp();
    expect(await lookup(paymentHash)).toMatchObject({ state: 3, isHtlcPending: true, isTimedOutOnChain: true });
    expect(await payee.port.lookupInvoice(paymentHash)).toMatchObject({ isTimedOutOnChain: true });
    expect(await lookup(fine.paymentHash)).toMatchObject({ isTimedOutOnChain: false });

    await world.mine(6);
    await eventually('FAILED', async () => (await payer.port.lookupPayment(paymentHash))?.state === 'FAILED');
    expect(await lookup(paymentHash)).toMatchObject({ isHtlcPending: false, isTimedOutOnChain: true });
    await world.restart('payee', 'SIGKILL');
    expect(await lookup(paymentHash)).toMatchObject({ state: 3, isHtlcPending: false, isTimedOutOnChain: true });
  });
});
