import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { msat } from '../../src/core/units.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

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

async function heldPayment() {
  const secret = newSecret();
  const { bolt11 } = await payee.port.createHoldInvoice(invoiceRequest(secret.paymentHash));
  const call = payer.port
    .pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 60, timeoutSecs: 20 })
    .catch(() => undefined);
  const invoice = await eventually('HELD', async () => {
    const found = await payee.port.lookupInvoice(secret.paymentHash);
    return found?.state === 'HELD' ? found : undefined;
  });
  return { ...secret, call, invoice };
}

const confirmedSats = async ({ client }: Peer): Promise<bigint> => (await client.walletBalance({})).confirmedSats;

describe('the chain', () => {
  it('is followed through a reorg with a payment in flight', async () => {
    await world.mine(6);
    const { preimage, call } = await heldPayment();
    world.chain.reorg(5);
    await world.caughtUp();
    const { blockHash } = await payee.client.getNodeInfo({});
    expect(blockHash.reverse().toString('hex')).toBe(world.chain.tip.hash);
    await payee.port.settleInvoice(preimage);
    expect(await call).toMatchObject({ state: 'SUCCEEDED' });
  });
  it('is followed through a reorg that happened while the node was down', async () => {
    await world.halt('payee', 'SIGKILL');
    world.chain.reorg(4);
    await world.resume('payee');
    await world.caughtUp();
    await world.allUsable();
    const { preimage, call } = await heldPayment();
    await payee.port.settleInvoice(preimage);
    expect(await call).toMatchObject({ state: 'SUCCEEDED' });
  });
});

describe('a payer that vanished', () => {
  it('still pays: the settled payment is taken on the chain, and both sides get their coins', async () => {
    const { paymentHash, preimage, invoice } = await heldPayment();
    await world.halt('payer', 'SIGKILL');
    await payee.port.settleInvoice(preimage);
    await eventually('SETTLED', async () => (await payee.port.lookupInvoice(paymentHash))?.state === 'SETTLED');
    const isPending = async (): Promise<boolean | undefined> =>
      (await payee.port.lookupInvoice(paymentHash))?.isHtlcPending;
    expect(await isPending()).toBe(true);

    await world.mine((invoice.claimDeadlineHeight ?? 0) + 3 - world.chain.tip.height);
    await eventually('commitment', () => world.chain.mempoolTxids().length > 0);
    expect(await isPending()).toBe(true);
    await world.mine(1);
    await eventually('a public preimage', async () => !(await isPending()));
    expect(await payee.port.lookupInvoice(paymentHash)).toMatchObject({ isTimedOutOnChain: false });
    await world.restart('payee', 'SIGKILL');
    await world.mine(6);

    const before = await confirmedSats(payee);
    await world.mine(144);
    await eventually('sweep', () => world.chain.mempoolTxids().length > 0);
    await world.mine(3);
    await eventually('coins', async () => (await confirmedSats(payee)) > before + 120_000n);

    const start = await eventually('payer', async () => {
      await world.resume('payer');
      return confirmedSats(payer);
    });
    await world.caughtUp();
    await eventually('paid', async () => (await payer.port.lookupPayment(paymentHash))?.state === 'SUCCEEDED');
    await eventually('coins of the payer', async () => {
      if (world.chain.mempoolTxids().length > 0) await world.mine(1); // the payee may still sweep, too
      return (await confirmedSats(payer)) > start + 700_000n;
    });
  });
});
