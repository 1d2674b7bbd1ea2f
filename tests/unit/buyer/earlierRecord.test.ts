/** Purchases that an earlier version of the program left behind: fields that came later are missing in their records. */
import { describe, expect, it } from 'vitest';

import { pay } from '../../../src/buyer/payStep.js';
import { decodeRecord, encodeRecord, type Progress } from '../../../src/buyer/record.js';
import { whatIsSafe } from '../../../src/buyer/safety.js';
import { hex, swapId, txid } from '../../../src/core/units.js';
import { PaymentStatus, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { PaymentResult } from '../../../src/lightning/node.js';
import { PREIMAGE, TIP } from './honest.js';
import { paidWith, payScene, refundOf, usePayStage, type Scene } from './payScene.js';

const stage = usePayStage();
const PAID = { step: 'paid', preimage: hex(PREIMAGE) };

/** The steps as the first version stored them. */
function earlierSteps({ htlc }: Scene): object[] {
  const preimage = hex(PREIMAGE);
  return [
    { step: 'quoted' },
    { step: 'created', swapId: swapId('ab'.repeat(16)) },
    { step: 'verified', htlc },
    { step: 'paying', htlc },
    { step: 'paid', htlc, preimage },
    { step: 'claiming', htlc, preimage, claims: [{ txid: txid('cc'.repeat(32)), raw: '00ff' }] },
    { step: 'claimed', htlc, claimTxid: txid('cc'.repeat(32)) },
    { step: 'unpaid', reason: 'nobody paid' },
    { step: 'lost', htlc, refundTxid: txid('cc'.repeat(32)) },
  ];
}

/** The text that the first version wrote. */
function earlierText({ record }: Scene, progress: object): string {
  const text = JSON.parse(encodeRecord(record)) as object;
  return JSON.stringify({ ...text, progress: JSON.parse(bigintsAsText(progress)) as object });
}
const bigintsAsText = (value: object): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each));

describe('a record of the first version', () => {
  it('can be read at every step, and says what is safe', () => {
    const scene = payScene(stage);
    for (const progress of earlierSteps(scene)) {
      const record = decodeRecord('session.json', earlierText(scene, progress));
      expect(JSON.parse(bigintsAsText(record.progress))).toEqual(JSON.parse(bigintsAsText(progress)));
      expect(whatIsSafe(record.progress)).not.toContain('undefined');
    }
  });
});

/** A purchase that the first version began to pay: nobody wrote down which node. */
function earlierPaying(scene: Scene): () => Promise<Progress | undefined> {
  const record = decodeRecord('session.json', earlierText(scene, { step: 'paying', htlc: scene.htlc }));
  const { progress } = record;
  if (progress.step !== 'paying') throw new Error('the record is at paying');
  return async () => await pay(scene.drive, record, progress);
}

describe('a payment that the first version began', () => {
  it.each<[string, PaymentResult]>([
    ['is in flight', { state: 'IN_FLIGHT' }],
    ['arrived', paidWith(PREIMAGE)],
    ['failed', { state: 'FAILED', reason: 'no route' }],
  ])('belongs to the node that says that it %s', async (_, known) => {
    const scene = payScene(stage);
    scene.node.known = known;
    const payer = { kind: 'node', nodeId: scene.node.nodeId };
    expect(await earlierPaying(scene)()).toEqual({ step: 'paying', htlc: scene.htlc, payer });
    expect(scene.node.sent).toEqual([]);
  });

  it('is never sent by a node that does not know it: another one may have sent it', async () => {
    const scene = payScene(stage);
    const payNow = earlierPaying(scene);
    expect(await payNow()).toBeUndefined();
    expect(scene.events.at(-1)).toMatchObject({ problem: expect.stringContaining('connect the node') as string });
    const without = { ...scene.drive, buyer: { ...scene.buyer, lightning: undefined } };
    expect(await earlierPaying({ ...scene, drive: without })()).toBeUndefined();
    expect(scene.node.sent).toEqual([]);
    stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.SETTLED, preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });

  it('ends when the asset went back', async () => {
    const scene = payScene(stage);
    const refund = refundOf(stage, scene);
    scene.spends.push({ ...refund, height: TIP - 1 });
    expect(await earlierPaying(scene)()).toMatchObject({
      step: 'unpaid',
      reason: expect.stringContaining(refund.txid) as string,
    });
    expect(scene.node.sent).toEqual([]);
  });
});
