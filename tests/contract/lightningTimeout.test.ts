/** A payment that was taken and went back all the same: the peer timed it out on the chain while the node was down. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { msat, type PaymentHash } from '../../src/core/units.js';
import { ChannelState } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import {
  invoiceRequest,
  newSecret,
  startLightningWorld,
  type LightningWorld,
  type Peer,
} from '../support/lightningWorld.js';
import { LNNODED } from '../support/lnnodedPortWorld.js';

/** A payer that is silent for so long waits for a block. */
const ANSWER_MS = 20_000;

let world: LightningWorld;
let payer: Peer;
let payee: Peer;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee']);
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

/** Mines what the payer sends, the commitment and then the timeout, until no HTLC is left; a block too many does no harm. */
async function mineTimeout(): Promise<void> {
  const isOver = async (): Promise<boolean> => {
    const { channels } = await payer.client.listChannels({});
    return channels.every(({ pendingHtlcs }) => pendingHtlcs === 0);
  };
  while (!(await isOver())) {
    const isNext = async (): Promise<boolean> => world.chain.mempoolTxids().length > 0 || (await isOver());
    await eventually('an answer', isNext, ANSWER_MS).catch(() => undefined);
    await world.mine(1);
  }
}

const paymentIs = (hash: PaymentHash, state: string): Promise<unknown> =>
  eventually(`payment ${state}`, async () => (await payer.port.lookupPayment(hash))?.state === state);

/** Two payments that are settled; then its payer, alone, closes the channel and takes the second one back. */
async function takenBack() {
  await world.openChannel({ from: 'payer', to: 'payee', capacitySats: 1_000_000n, pushMsat: 100_000_000n });
  const fine = await held();
  await payee.port.settleInvoice(fine.preimage);
  await paymentIs(fine.paymentHash, 'SUCCEEDED');
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
    const { channels } = await payer.client.listChannels({});
    return channels.every(({ state }) => state === ChannelState.SWEEPING);
  });
  await mineTimeout();

  await world.resume('payee');
  await world.caughtUp();
  expect(await lookup(paymentHash)).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: true });
  return { paymentHash, expiry: deadline + LNNODED.givesBackBlocksEarly };
}

describe('a settled payment that its payer timed out on the chain while the node was down', () => {
  it('is taken after all when a reorg undoes the timeout', async () => {
    const { paymentHash, expiry } = await takenBack();
    await world.halt('payer', 'SIGKILL');
    // To below the expiry: the timeout is not valid there and is forgotten.
    world.chain.reorg(world.chain.tip.height - expiry + 5);
    await world.caughtUp();
    expect(await lookup(paymentHash)).toMatchObject({ isHtlcPending: true, isTimedOutOnChain: false });
    await eventually('the claim', () => world.chain.mempoolTxids().length > 0, 45_000);
    await world.mine(7);
    expect(await lookup(paymentHash)).toMatchObject({ isHtlcPending: false, isTimedOutOnChain: false });
    await world.resume('payer');
    await paymentIs(paymentHash, 'SUCCEEDED');
  });
});
