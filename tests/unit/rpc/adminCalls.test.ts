/** The operator's calls about single swaps, buyers and backups. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Metadata, type CallContext } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { blockHeight, reversedBytes, sat, unixSecs } from '../../../src/core/units.js';
import { NextAction, PaymentStatus, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { adminService } from '../../../src/rpc/admin.js';
import { tokenHash } from '../../../src/rpc/auth.js';
import type { RpcContext } from '../../../src/rpc/context.js';
import { listOffers } from '../../../src/rpc/quotes.js';
import { findPrincipal, savePrincipal } from '../../../src/store/meta.js';
import { insertTx, markTxConflicted } from '../../../src/store/txs.js';
import { GOLD, pathTo, REFUND_HEIGHT, REFUND_TXID, START } from '../../support/swapFixtures.js';
import { rawSql, storeMoved, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf } from '../core/zkp.js';
import { rpcContext, TIP } from '../engine/testContext.js';

const call: CallContext = {
  metadata: Metadata(),
  peer: 'test',
  header: Metadata(),
  trailer: Metadata(),
  sendHeader: () => undefined,
  signal: new AbortController().signal,
};
const NODE = { nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true } as const;

let temp: TempStore;
let ctx: RpcContext;
beforeEach(() => {
  temp = tempStore();
  ctx = rpcContext(temp);
  ctx.health.tip = TIP;
  ctx.health.node = NODE;
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const idOf = (swap: { readonly id: string }): Buffer => Buffer.from(swap.id, 'hex');

describe('showing a swap', () => {
  it('tells everything that is stored, with its history and its transactions', async () => {
    const swap = storeMoved(ctx.store, 1, pathTo('REFUND_SEEN', 'CANCELED'));
    const tx = { swapId: swap.id, kind: 'refund', signedHeight: blockHeight(1_070), walletInputs: [] } as const;
    insertTx(ctx.store, { ...tx, version: 1, txid: REFUND_TXID, raw: Buffer.of(1), feeSat: sat(30n) }, unixSecs(START));
    markTxConflicted(ctx.store, 1n);
    const shown = await adminService(ctx).showSwap({ swapId: idOf(swap) }, call);
    expect(shown).toMatchObject({
      swap: { internalState: 'REFUND_SEEN', principal: 'alice' },
      keyIndex: 101,
      bolt11: 'lnbcrt500u1',
      profile: 'regtest',
      fundByUnixSecs: BigInt(START + 120),
      transactions: [
        {
          kind: 'refund',
          version: 1,
          txid: reversedBytes(REFUND_TXID),
          state: 'conflicted',
          feeSats: 30n,
          signedHeight: 1_070,
          raw: Buffer.of(1),
        },
      ],
    });
    expect(shown.events?.map((event) => event.kind)).toEqual(
      pathTo('REFUND_SEEN', 'CANCELED').map((event) => event.kind),
    );
    expect(shown.events?.[0]).toMatchObject({ fromState: 'INTENT', toState: 'INVOICED', toPayment: 'OPEN' });
  });
  it('never shows the preimage, which belongs to the buyer alone', async () => {
    const swap = storeMoved(ctx.store, 1, [...pathTo('FUNDED', 'SETTLED'), { kind: 'preimage_released' }]);
    const preimage = Buffer.from(ctx.keys.preimageFor(swap.id));
    const admin = adminService(ctx);
    const answers = [
      await admin.showSwap({ swapId: idOf(swap) }, call),
      await admin.listSwaps({ status: SwapStatus.UNSPECIFIED, limit: 0 }, call),
    ];
    const bytes: Uint8Array[] = [];
    const collect = (value: unknown): void => {
      if (value instanceof Uint8Array) bytes.push(value);
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
    };
    collect(answers);
    expect(answers[0]).toMatchObject({ isPreimageReleased: true });
    expect(bytes.length).toBeGreaterThan(10);
    expect(bytes.some((each) => preimage.equals(each))).toBe(false);
  });
  it.each([
    ['of nobody', Buffer.alloc(16, 9), 'swap_not_found'],
    ['with a short id', Buffer.alloc(15), 'invalid_argument'],
  ])('%s is refused', async (_name, swapId, code) => {
    await expect(adminService(ctx).showSwap({ swapId }, call)).rejects.toMatchObject({ code });
  });
});

describe('draining', () => {
  it('stops new business and lists what is not over, until nothing is', async () => {
    const admin = adminService(ctx);
    storeMoved(ctx.store, 1, pathTo('REFUNDED', 'CANCELED'));
    expect(await admin.drain({ reason: '' }, call)).toMatchObject({ openSwaps: [] });
    storeMoved(ctx.store, 2, []);
    const funded = storeMoved(ctx.store, 3, pathTo('FUNDED', 'OPEN'));
    const { openSwaps } = await admin.drain({ reason: '' }, call);
    expect(openSwaps).toMatchObject([
      { internalState: 'INTENT', refundHeight: 0, nextAction: NextAction.SELLER_FUNDS },
      {
        swapId: idOf(funded),
        internalState: 'FUNDED',
        paymentStatus: PaymentStatus.OPEN,
        nextAction: NextAction.BUYER_PAYS,
        refundHeight: REFUND_HEIGHT,
        principal: 'alice',
      },
    ]);
    expect((await listOffers(ctx)).paused).toBe(true);
  });
  it('keeps the reason of an earlier pause, unless it gets one', async () => {
    const admin = adminService(ctx);
    await admin.pause({ reason: 'alarm: something' }, call);
    expect((await admin.drain({ reason: '' }, call)).reason).toBe('alarm: something');
    expect((await admin.drain({ reason: 'closing' }, call)).reason).toBe('closing');
    expect((await admin.getStatus({}, call)).modeReasons).toContain('closing');
    await expect(admin.drain({ reason: 'x'.repeat(201) }, call)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('the modes', () => {
  it('name the fence with its reason', async () => {
    ctx.health.fence = 'an unknown bundle';
    expect(await adminService(ctx).getStatus({}, call)).toMatchObject({
      modes: ['FENCED'],
      modeReasons: ['an unknown bundle'],
    });
  });
});

describe('the buyers', () => {
  it('are listed with what they have open, also those whose token was revoked', async () => {
    const admin = adminService(ctx);
    await admin.addToken({ name: 'bob' }, call);
    savePrincipal(ctx.store, 'alice', tokenHash('a'), unixSecs(START));
    storeMoved(ctx.store, 1, pathTo('FUNDED', 'CANCELED'));
    storeMoved(ctx.store, 2, []);
    storeMoved(ctx.store, 3, pathTo('FUNDED', 'OPEN'), { principal: 'gone' });
    const { principals } = await admin.listPrincipals({}, call);
    expect(principals).toEqual([
      { name: 'alice', hasToken: true, createdAtUnixSecs: BigInt(START), openUnpaidSwaps: 2, expiredSwaps: 1 },
      { name: 'bob', hasToken: true, createdAtUnixSecs: BigInt(START + 60), openUnpaidSwaps: 0, expiredSwaps: 0 },
      { name: 'gone', hasToken: false, createdAtUnixSecs: 0n, openUnpaidSwaps: 1, expiredSwaps: 0 },
    ]);
  });
  it('get a token that is stored as its hash only, and a new one ends the old one', async () => {
    const admin = adminService(ctx);
    const first = (await admin.addToken({ name: 'bob' }, call)).token ?? '';
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(findPrincipal(ctx.store, tokenHash(first))).toBe('bob');
    expect(JSON.stringify(ctx.store.all(rawSql('SELECT name, token_hash FROM principals')))).not.toContain(first);
    const second = (await admin.addToken({ name: 'bob' }, call)).token ?? '';
    expect([first, second].map((token) => findPrincipal(ctx.store, tokenHash(token)))).toEqual([undefined, 'bob']);
    await admin.revokeToken({ name: 'bob' }, call);
    expect(findPrincipal(ctx.store, tokenHash(second))).toBeUndefined();
    await expect(admin.revokeToken({ name: 'bob' }, call)).rejects.toMatchObject({ code: 'principal_not_found' });
  });
  it.each(['', 'x'.repeat(65), 'two words', 'a\nb', 'ä'])('cannot be named %j', async (name) => {
    const wrong = { code: 'invalid_argument', violations: [{ field: 'name' }] };
    await expect(adminService(ctx).addToken({ name }, call)).rejects.toMatchObject(wrong);
    await expect(adminService(ctx).revokeToken({ name }, call)).rejects.toMatchObject(wrong);
  });
});

describe('a backup', () => {
  it('is a new file for the owner only; what is there already stays', async () => {
    const admin = adminService(ctx);
    const path = join(temp.dir, 'copy.sqlite');
    await admin.backup({ path }, call);
    expect(existsSync(path) && (statSync(path).mode & 0o777).toString(8)).toBe('600');
    await expect(admin.backup({ path }, call)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(admin.backup({ path: 'copy.sqlite' }, call)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(admin.backup({ path: '' }, call)).rejects.toMatchObject({ violations: [{ field: 'path' }] });
  });
});

describe('a split', () => {
  it('makes 2 to 20 coins, under a request id', async () => {
    const assetId = reversedBytes(GOLD);
    for (const parts of [0, 1, 21]) {
      await expect(adminService(ctx).splitCoins({ requestId: 'x', assetId, parts }, call)).rejects.toMatchObject({
        code: 'invalid_argument',
        violations: [{ field: 'request_id' }, { field: 'parts' }],
      });
    }
  });
});
