/** Payments whose HTLCs have no output of their own in a commitment transaction. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { msat } from '../../src/core/units.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';

/** Satoshi per 1000 virtual bytes. In a channel without anchors an HTLC below about 5,600 sat is dust then. */
const HIGH_RATE = '20000';

let world: LightningWorld;
let payer: Peer;
let payee: Peer;

beforeAll(async () => {
  process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'] = HIGH_RATE;
  try {
    world = await startLightningWorld(['payer', 'payee']);
  } finally {
    delete process.env['LNNODED_FEES__FLOOR_SAT_PER_KVB'];
  }
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 1_000_000n });
  payer = world.peer('payer');
  payee = world.peer('payee');
});
afterAll(async () => {
  await world.close();
});

/** A hold invoice that is paid. */
async function payHeld(sats: bigint) {
  const { paymentHash, preimage } = newSecret();
  const request = invoiceRequest(paymentHash, { amountMsat: msat(sats * 1000n) });
  const { bolt11 } = await payee.port.createHoldInvoice(request);
  const paying = payer.port.pay({ bolt11, maxFeeMsat: msat(1000n), maxTotalCltvDelta: 200, timeoutSecs: 30 });
  return { paymentHash, preimage, paying };
}

describe('a price that is dust in the channel', () => {
  it('is given back when it arrives, and never held: the payer could burn it once it knows the preimage', async () => {
    const { paymentHash, paying } = await payHeld(5_000n);
    expect(await paying).toMatchObject({ state: 'FAILED' });
    expect(await payee.port.lookupInvoice(paymentHash)).toMatchObject({ state: 'OPEN', heldMsat: 0n });
    const [channel] = (await payee.client.listChannels({})).channels;
    expect(channel).toMatchObject({ pendingHtlcs: 0, outboundCapacityMsat: 0n });
  });

  it('is held when the whole invoice is no larger: then there is no channel in which it is anything else', async () => {
    const { paymentHash, preimage, paying } = await payHeld(1_000n);
    await expect.poll(async () => (await payee.port.lookupInvoice(paymentHash))?.state).toBe('HELD');
    await payee.port.settleInvoice(preimage);
    expect(await paying).toMatchObject({ state: 'SUCCEEDED' });
  });
});

it('a price above that is held and settled', async () => {
  const { paymentHash, preimage, paying } = await payHeld(10_000n);
  await expect.poll(async () => (await payee.port.lookupInvoice(paymentHash))?.state).toBe('HELD');
  await payee.port.settleInvoice(preimage);
  expect(await paying).toMatchObject({ state: 'SUCCEEDED' });
});
