import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { PUBLIC_STATUS, type PaymentStatus as Payment, type SwapState } from '../../../src/core/swap.js';
import { assetAmount, reversedBytes, unixSecs } from '../../../src/core/units.js';
import { NextAction, PaymentStatus, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { RpcContext } from '../../../src/rpc/context.js';
import { toOfferMessage, toQuoteMessage, toSwapMessage } from '../../../src/rpc/convert.js';
import { insertTx } from '../../../src/store/txs.js';
import {
  CLAIM_TXID,
  FUNDING,
  FUNDING_TXID,
  GOLD,
  intent,
  PAYMENTS,
  REFUND_HEIGHT,
  REFUND_TXID,
  START,
  STATES,
  swapIn,
} from '../../support/swapFixtures.js';
import { insertNew, quoteFor, tempStore, type TempStore } from '../../support/tempStore.js';
import { chainOf, rpcContext, TIP } from '../engine/testContext.js';

let temp: TempStore;
let ctx: RpcContext;
const RAW = Buffer.from('c0ffee', 'hex');
beforeEach(() => {
  temp = tempStore();
  ctx = rpcContext(temp);
  insertNew(temp.store);
  insertTx(
    temp.store,
    {
      swapId: intent.id,
      kind: 'funding',
      version: 1,
      txid: FUNDING_TXID,
      raw: RAW,
      feeSat: intent.feeSubsidySat,
      signedHeight: TIP.height,
      walletInputs: [],
    },
    unixSecs(START),
  );
});
afterEach(() => {
  temp[Symbol.dispose]();
});

describe('what happens next', () => {
  it.each<[SwapState, Payment, keyof typeof NextAction]>([
    ['INTENT', 'NONE', 'SELLER_FUNDS'],
    ['INVOICED', 'OPEN', 'SELLER_FUNDS'],
    ['FUNDING_SIGNED', 'OPEN', 'WAIT_FOR_CONFIRMATIONS'],
    ['ABORTING', 'CANCELED', 'WAIT_FOR_CONFIRMATIONS'],
    ['FUNDED', 'OPEN', 'BUYER_PAYS'],
    ['FUNDED', 'HELD', 'SELLER_SETTLES'],
    ['FUNDED', 'SETTLING', 'SELLER_SETTLES'],
    ['FUNDED', 'SETTLED', 'BUYER_CLAIMS'],
    ['FUNDED', 'CANCELING', 'SELLER_REFUNDS'],
    ['FUNDED', 'CANCELED', 'SELLER_REFUNDS'],
    ['CLAIM_SEEN', 'SETTLED', 'WAIT_FOR_FINALITY'],
    ['REFUND_SEEN', 'CANCELED', 'WAIT_FOR_FINALITY'],
    ['CLAIMED', 'SETTLED', 'NONE'],
    ['REFUNDED', 'CANCELED', 'NONE'],
    ['FAILED', 'CANCELED', 'NONE'],
    ['OWED', 'SETTLED', 'NONE'],
  ])('%s with payment %s: %s', async (state, payment, action) => {
    const message = await toSwapMessage(ctx, swapIn(state, { payment }));
    expect(message.nextAction).toBe(NextAction[action]);
  });
  it('is a height and a time for a refund, and neither for anything else', async () => {
    const swap = swapIn('FUNDED', { payment: 'CANCELED' });
    ctx.health.tip = TIP;
    const now = START + 60;
    expect(await toSwapMessage(ctx, swap)).toMatchObject({
      nextActionHeight: REFUND_HEIGHT,
      nextActionEtaUnixSecs: BigInt(now + 58 * 60),
    });
    ctx.health.tip = { ...TIP, height: REFUND_HEIGHT };
    expect(await toSwapMessage(ctx, swap)).toMatchObject({ nextActionEtaUnixSecs: BigInt(now) });
    expect(await toSwapMessage(ctx, swapIn('FUNDED'))).toMatchObject({
      nextActionHeight: 0,
      nextActionEtaUnixSecs: 0n,
    });
  });
});

describe('a swap as its buyer sees it', () => {
  it('has its public status and its payment status', async () => {
    for (const state of STATES) {
      const { status } = await toSwapMessage(ctx, swapIn(state));
      expect(status).toBe(SwapStatus[PUBLIC_STATUS[state]]);
    }
    for (const payment of PAYMENTS) {
      const { paymentStatus } = await toSwapMessage(ctx, swapIn('FUNDED', { payment }));
      expect(paymentStatus).toBe(PaymentStatus[payment]);
    }
  });
  it('shows the invoice only while the funding is deep and the payment may come', async () => {
    const shown: string[] = [];
    for (const state of STATES) {
      for (const payment of PAYMENTS) {
        if ((await toSwapMessage(ctx, swapIn(state, { payment }))).bolt11 !== '') shown.push(`${state} ${payment}`);
      }
    }
    expect(shown).toEqual(['FUNDED OPEN', 'FUNDED HELD']);
  });
  it('is shown from what is stored when no server answers in time', async () => {
    const silent = chainOf({ tip: () => new Promise(() => undefined) });
    const message = await toSwapMessage({ ...ctx, chain: silent }, swapIn('FUNDED'));
    expect(message).toMatchObject({ status: SwapStatus.FUNDED, fundingConfs: 0 });
  });
  it('shows the preimage only once it was released', async () => {
    const settled = swapIn('FUNDED', { payment: 'SETTLED' });
    expect((await toSwapMessage(ctx, settled)).preimage).toHaveLength(0);
    const { preimage } = await toSwapMessage(ctx, { ...settled, isPreimageReleased: true });
    expect(preimage).toEqual(Buffer.from(ctx.keys.preimageFor(intent.id)));
  });
  it('has ids and amounts in the order of the wire', async () => {
    expect(await toSwapMessage(ctx, intent)).toMatchObject({
      swapId: Buffer.from(intent.id, 'hex'),
      quoteId: Buffer.from(intent.quoteId, 'hex'),
      paymentHash: Buffer.from(intent.paymentHash, 'hex'),
      assetId: reversedBytes(GOLD),
      assetAmount: 250n,
      priceMsat: 50_000_000n,
      feeSubsidySats: 1_000n,
      minFundingConfs: 2,
      version: 0n,
      createdAtUnixSecs: BigInt(START),
    });
  });
  it('has no funding before it is signed', async () => {
    for (const swap of [intent, swapIn('INVOICED')]) {
      const message = await toSwapMessage(ctx, swap);
      expect(message).toMatchObject({ refundHeight: 0, outpoints: [], fundingConfs: 0 });
      expect([message.witnessScript, message.fundingTxid, message.fundingTx].map((each) => each.length)).toEqual([
        0, 0, 0,
      ]);
    }
  });
  it('has the signed funding, byte for byte, and the spend that was seen', async () => {
    const message = await toSwapMessage(ctx, swapIn('CLAIM_SEEN', { payment: 'SETTLED' }));
    expect(message).toMatchObject({
      witnessScript: FUNDING.witnessScript,
      refundHeight: REFUND_HEIGHT,
      fundingTxid: reversedBytes(FUNDING_TXID),
      fundingTx: RAW,
      claimTxid: reversedBytes(CLAIM_TXID),
      outpoints: [
        { txid: reversedBytes(FUNDING_TXID), vout: 0, assetId: reversedBytes(GOLD), value: 250n },
        { vout: 1, value: 1_000n },
      ],
    });
    expect(message.refundTxid).toHaveLength(0);
    const refunded = await toSwapMessage(ctx, swapIn('REFUNDED', { payment: 'CANCELED' }));
    expect([refunded.claimTxid, refunded.refundTxid]).toEqual([Buffer.alloc(0), reversedBytes(REFUND_TXID)]);
  });
  it('has the depth that the server shows, and none when it does not answer', async () => {
    const history = (height: number) => () => Promise.resolve([{ txid: FUNDING_TXID, height }]);
    const confsWith = async (chain: RpcContext['chain']): Promise<number> => {
      const at: RpcContext = { ...ctx, shownHtlcs: new Map(), chain, health: { ...ctx.health, tip: TIP } };
      return (await toSwapMessage(at, swapIn('FUNDED'))).fundingConfs;
    };
    expect(await confsWith(chainOf({ history: history(TIP.height - 2) }))).toBe(3);
    expect(await confsWith(chainOf({ history: history(-1) }))).toBe(0);
    expect(await confsWith(chainOf({ history: history(TIP.height + 1) }))).toBe(0);
    expect(await confsWith(chainOf())).toBe(0);
  });
});

describe('quotes and offers', () => {
  it('a quote carries what the terms will be made of', () => {
    const message = toQuoteMessage(ctx, quoteFor(intent), intent.sellerNodeId);
    expect(message).toMatchObject({
      quoteId: Buffer.from(intent.quoteId, 'hex'),
      profile: 'regtest',
      refundDeltaBlocks: 60,
      invoiceExpirySecs: 600,
      minFundingConfs: 1,
      maxFundingConfs: 5,
      genesisHash: reversedBytes(ctx.genesis),
      sellerNodeId: Buffer.from(intent.sellerNodeId, 'hex'),
      isUsed: true,
    });
    expect(toQuoteMessage(ctx, quoteFor(intent, { id: '00'.repeat(16) as typeof intent.quoteId }), '02').isUsed).toBe(
      false,
    );
  });
  it('an offer never promises more than one swap may take, nor more than there is', () => {
    const [offer] = ctx.offers;
    if (offer === undefined) throw new Error('expected an offer');
    expect(toOfferMessage(offer, 10n).availableAssetAmount).toBe(10n);
    expect(toOfferMessage(offer, 5_000n).availableAssetAmount).toBe(1_000n);
    expect(toOfferMessage({ ...offer, maxAmount: assetAmount(7n) }, 10n).availableAssetAmount).toBe(7n);
  });
  it('a stored payment status that no program wrote is a bug', async () => {
    const swap = { ...swapIn('FUNDED'), payment: 'PAID' as Payment };
    await expect(toSwapMessage(ctx, swap)).rejects.toThrow('unknown payment status');
  });
});
