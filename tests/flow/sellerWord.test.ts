/** A seller that goes back on its word over a restart of the buyer: left before paying, and only news afterwards. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseRecord, Step } from '../../src/buyer/record.js';
import { openSeller } from '../../src/buyer/rpcClient.js';
import { paymentHash } from '../../src/core/units.js';
import { PaymentStatus, SwapStatus, type Swap } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { startLyingSeller, type LyingSeller } from '../support/lyingSeller.js';
import {
  driveTo,
  mempoolFilled,
  openBuyer,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';

let world: TestWorld;
let own: TestBuyer;
let liar: LyingSeller;
let lied: TestBuyer;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  world = await startTestWorld();
  own = await openBuyer(world);
  liar = await startLyingSeller(world.file().swapd.address);
  const upstream = openSeller({ address: liar.address });
  lied = { ...own, buyer: { ...own.buyer, seller: upstream.client } };
  opened.push(upstream, liar, own);
});
afterAll(async () => {
  for (const each of opened) each.close();
  await world.close();
});

/** A purchase that the honest seller has brought so far. */
async function at(step: Step): Promise<PurchaseRecord> {
  liar.tell({});
  const created = await driveTo(lied, await startTestPurchase(world, own), 'created');
  if (step === 'created') return created;
  return await whileMining(world, driveTo(lied, created, step));
}

const endOf = ({ number }: PurchaseRecord) => readRecord(own.buyer.dir, number)?.progress;

describe('a seller that a restarted buyer asks again', () => {
  it('is not believed once a payment may be out: the asset is claimed all the same', async () => {
    const record = await at('paying');
    liar.tell({
      swap: (swap) => [
        { ...swap, status: SwapStatus.CREATED, paymentStatus: PaymentStatus.NONE, fundingTxid: Buffer.alloc(32, 7) },
      ],
    });
    const ending = driveTo(lied, record, 'claimed');
    ending.catch(() => undefined); // awaited below
    await mempoolFilled(world, 'the claim');
    await world.mine(2);
    expect((await ending).progress.step).toBe('claimed');
  });

  it('and that says less than before is left, unpaid', async () => {
    const record = await at('created');
    expect(record.progress).toMatchObject({ seen: { status: SwapStatus.CREATED, paymentStatus: PaymentStatus.OPEN } });
    liar.tell({ swap: (swap) => [{ ...swap, bolt11: '', paymentStatus: PaymentStatus.NONE }] });
    await expect(driveTo(lied, record, 'claimed')).rejects.toMatchObject({ code: 'seller_state_backwards' });
    expect(endOf(record)).toMatchObject({
      step: 'unpaid',
      reason: expect.stringMatching(/^seller_state_backwards/) as string,
    });
  });

  it('and that shows another funding after the verification is left, and nothing is sent', async () => {
    const record = await at('verified');
    const { progress } = record;
    if (progress.step !== 'verified') throw new Error(`expected verified, found ${progress.step}`);
    liar.tell({ swap: (swap: Swap) => [{ ...swap, fundingTxid: Buffer.alloc(32, 7) }] });
    await expect(driveTo(lied, record, 'claimed')).rejects.toMatchObject({ code: 'seller_swap_changed' });
    expect(endOf(record)).toMatchObject({ step: 'unpaid' });
    expect(await own.buyer.lightning?.lookupPayment(paymentHash(progress.htlc.paymentHash))).toBeUndefined();
  });
});
