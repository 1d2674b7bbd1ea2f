/** The one step that spends money: what the node says about the hash decides, and nothing is sent without checks. */
import { describe, expect, it, vi } from 'vitest';

import { signClaim } from '../../../src/buyer/claim.js';
import { beginPaying, pay } from '../../../src/buyer/payStep.js';
import type { Progress } from '../../../src/buyer/record.js';
import { blockHeight, hex, satPerKvb } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { PaymentStatus, SwapStatus, type Swap } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LightningNode, PaymentResult } from '../../../src/lightning/node.js';
import { keyOf, preimageOf, refusal } from '../core/zkp.js';
import { PREIMAGE, TIP, type AnsweringServer } from './honest.js';
import { kitPreimage, paidWith, payScene, usePayStage, type Scene } from './payScene.js';

const stage = usePayStage();
const PAID = { step: 'paid', preimage: hex(PREIMAGE) };

describe('paying', () => {
  it('sends once, capped by what the timelock leaves, and keeps the preimage in the kit', async () => {
    const { pay: payNow, node, htlc } = payScene(stage);
    expect(await payNow()).toMatchObject(PAID);
    const request = { bolt11: htlc.bolt11, maxFeeMsat: 510_000n, maxTotalCltvDelta: 60, timeoutSecs: 120 };
    expect(node.sent).toEqual([request]);
    expect(kitPreimage(stage)).toEqual(Buffer.from(PREIMAGE));
  });

  it('never sends what the node knows already', async () => {
    const { pay: payNow, node } = payScene(stage);
    node.known = { state: 'IN_FLIGHT' };
    expect(await payNow()).toBeUndefined();
    node.known = paidWith(PREIMAGE);
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toEqual([]);
  });

  it('takes an error of the node as unknown, and asks by the hash the next time', async () => {
    const { pay: payNow, node } = payScene(stage, {
      answer: () => {
        throw new SwapError('lightning_unavailable', 'timeout');
      },
    });
    await expect(payNow()).rejects.toThrow(refusal('timeout', 'lightning_unavailable'));
    expect(await payNow()).toBeUndefined();
    node.known = paidWith(PREIMAGE);
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toHaveLength(1);
  });

  it('does not believe a preimage of another hash', async () => {
    const { pay: payNow } = payScene(stage, { answer: () => paidWith(preimageOf('another')) });
    // Tried again, and the run goes on: S is still to be had from the seller or the chain.
    await expect(payNow()).rejects.toThrow(refusal('preimage of another hash', 'lightning_unavailable'));
    stage.says = { preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });

  it('is begun by the node that is connected, and names it', async () => {
    const { drive, record, htlc, node } = payScene(stage);
    const { nodeId } = node;
    expect(await beginPaying(drive, record, htlc)).toEqual({ step: 'paying', htlc, payer: { kind: 'node', nodeId } });
    expect(kitPreimage(stage)).toBeUndefined();
    const without = { ...drive, buyer: { ...drive.buyer, lightning: undefined } };
    await expect(beginPaying(without, record, htlc)).rejects.toMatchObject({ code: 'not_connected' });
  });

  it('does not wait for an answer when the run is to end', async () => {
    const { pay: payNow, node } = payScene(stage);
    let calls = 0;
    node.pay = async () => {
      calls += 1;
      return new Promise(() => undefined);
    };
    expect(await payNow()).toBeUndefined();
    expect(await payNow()).toBeUndefined(); // the call is out: not a second one, though the node does not know it yet
    expect(calls).toBe(1);
  });
});

describe('a purchase that another may have paid', () => {
  it.each<[string, (scene: Scene) => Scene['buyer']['lightning'], string]>([
    ['another node', ({ node }) => ({ ...node, getInfo: otherInfo }), keyOf('other').pubkey],
    ['no node', () => undefined, 'no node'],
  ])('is not touched by %s', async (_, lightning, found) => {
    const made = payScene(stage);
    const { drive, record, node, progress } = made;
    const changed = { ...drive, buyer: { ...drive.buyer, lightning: lightning(made) } };
    await expect(pay(changed, record, progress)).rejects.toMatchObject({
      code: 'payer_changed',
      message: expect.stringContaining(found) as string,
    });
    expect(node.sent).toEqual([]);
    stage.says = { preimage: Buffer.from(PREIMAGE) };
    expect(await pay(changed, record, progress)).toMatchObject(PAID);
  });

  it('is not paid again while the seller says that it has a payment; its preimage or its refund ends it', async () => {
    const { pay: payNow, node, events } = payScene(stage);
    stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.HELD };
    expect(await payNow()).toBeUndefined();
    expect(events.at(-1)).toMatchObject({
      kind: 'waiting',
      problem: expect.stringContaining('nothing more') as string,
    });
    stage.says = { ...stage.says, paymentStatus: PaymentStatus.SETTLED, preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toEqual([]);
  });

  it('is sent while the seller does not answer: its node may be there', async () => {
    const { pay: payNow, node } = payScene(stage);
    stage.says = undefined;
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toHaveLength(1);
  });

  const otherInfo: LightningNode['getInfo'] = async () =>
    Promise.resolve({ nodeId: keyOf('other').pubkey, network: 'regtest', blockHeight: 1, isSynced: true });
});

describe('a seller that goes back on its word while a payment is out', () => {
  it('is news and nothing more', async () => {
    const { pay: payNow, events } = payScene(stage, { answer: () => ({ state: 'IN_FLIGHT' }) });
    await payNow();
    stage.says = { status: SwapStatus.CREATED, paymentStatus: PaymentStatus.NONE };
    expect(await payNow()).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ problem: expect.stringContaining('seller_state_backwards') as string });
    stage.says = { ...stage.says, preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });
});

describe('a payment that a hop holds back', () => {
  it('is claimed with the preimage that the seller gives after settling', async () => {
    const { pay: payNow } = payScene(stage, { answer: () => ({ state: 'IN_FLIGHT' }) });
    stage.says = { preimage: Buffer.from(preimageOf('a lie')) };
    expect(await payNow()).toBeUndefined();
    stage.says = { preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });

  it('is claimed with the preimage that a claim on the chain shows', async () => {
    const { pay: payNow, spends, source } = payScene(stage, { answer: () => ({ state: 'IN_FLIGHT' }) });
    const now = { preimage: PREIMAGE, tipHeight: blockHeight(TIP), feeRate: satPerKvb(100n) };
    expect(await payNow()).toBeUndefined();
    spends.push(signClaim(stage.zkp, source, now));
    expect(await payNow()).toMatchObject(PAID);
  });
});

describe('a payment that failed', () => {
  const failed = (): PaymentResult => ({ state: 'FAILED', reason: 'no route' });
  it('is tried again after new checks', async () => {
    const { pay: payNow, node } = payScene(stage, { answer: failed });
    expect([await payNow(), await payNow()]).toEqual([undefined, undefined]);
    expect(node.sent).toHaveLength(2);
  });
  it('ends unpaid after eight attempts', async () => {
    const { pay: payNow, node } = payScene(stage, { answer: failed });
    const ends: (Progress | undefined)[] = [];
    while (ends.at(-1) === undefined && ends.length < 20) ends.push(await payNow());
    expect(node.sent).toHaveLength(8);
    expect(ends.at(-1)).toEqual({ step: 'unpaid', reason: 'the payment failed: no route' });
  });
  it('does not end while the seller says that it has one', async () => {
    let sends = 0;
    const { pay: payNow, node } = payScene(stage, {
      answer: () => {
        sends += 1;
        if (sends === 8) stage.says = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.HELD };
        return failed();
      },
    });
    for (let i = 0; i < 12; i += 1) expect(await payNow()).toBeUndefined();
    expect(node.sent).toHaveLength(8);
    stage.says = { preimage: Buffer.from(PREIMAGE), paymentStatus: PaymentStatus.SETTLED };
    expect(await payNow()).toMatchObject(PAID);
  });
  it.each<[string, Partial<Swap>, string]>([
    [
      'has canceled the invoice',
      { paymentStatus: PaymentStatus.CANCELED, reason: 'EXPIRED' },
      'canceled the invoice: EXPIRED',
    ],
    ['has refunded', { status: SwapStatus.REFUNDED }, 'the seller ended the swap'],
  ])('ends unpaid at once when the seller %s', async (_, says, reason) => {
    stage.says = says;
    const { pay: payNow, node } = payScene(stage, { answer: failed });
    expect(await payNow()).toMatchObject({ step: 'unpaid', reason: expect.stringContaining(reason) as string });
    expect(node.sent).toHaveLength(1);
  });
});

describe('nothing is sent', () => {
  it('after checks that took too long', async () => {
    const { drive, record, node, buyer, progress } = payScene(stage);
    const now = Date.now();
    const slow = buyer.chains.map(({ name, chain }) => ({
      name,
      chain: {
        ...chain,
        tip: async () => {
          vi.setSystemTime(now + 61_000);
          return await chain.tip();
        },
      },
    }));
    const changed = { ...drive, buyer: { ...buyer, chains: slow } };
    vi.useFakeTimers({ toFake: ['Date'], now });
    try {
      await expect(pay(changed, record, progress)).rejects.toThrow(
        refusal('expected the checks within', 'chain_unavailable'),
      );
    } finally {
      vi.useRealTimers();
    }
    expect(node.sent).toEqual([]);
  });

  it('while the node is not synced', async () => {
    const { pay: payNow, node } = payScene(stage);
    node.isSynced = false;
    await expect(payNow()).rejects.toThrow(refusal('not synced', 'lightning_unavailable'));
    expect(node.sent).toEqual([]);
  });

  it('one block after it was safe, and the purchase ends unpaid', async () => {
    const late = (view: AnsweringServer) => ({ tip: { ...view.tip, height: blockHeight(TIP + 57 - 31) } });
    const { pay: payNow, node } = payScene(stage, { change: late });
    expect(await payNow()).toMatchObject({
      step: 'unpaid',
      reason: expect.stringContaining('refund_height_too_low') as string,
    });
    expect(node.sent).toEqual([]);
  });

  it('when an output of the HTLC is gone, or the funding fell out of its block; it may come back', async () => {
    for (const change of [
      () => ({ fundingHeight: 0 }),
      (view: AnsweringServer) => ({ unspent: new Set([...view.unspent].slice(0, 1)) }),
    ]) {
      const { pay: payNow, node } = payScene(stage, { change });
      await expect(payNow()).rejects.toThrow(refusal('not safe to pay yet', 'chain_unavailable'));
      expect(node.sent).toEqual([]);
    }
  });
});
