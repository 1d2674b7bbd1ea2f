/** Anyone may pay dust to any script, and a server refuses to list a script that too much touches. It must not lock coins for ever. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { p2wshScriptPubKey } from '../../src/core/htlc.js';
import type { FundedSwap } from '../../src/core/swap.js';
import { parseTransaction } from '../../src/core/tx.js';
import { SwapError } from '../../src/errors.js';
import { EngineWorld } from '../support/engineWorld.js';

let world: EngineWorld;
beforeEach(async () => {
  world = await EngineWorld.open();
  await world.deposit([
    [world.token, 1_000n],
    ['lbtc', 100_000n],
  ]);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const tooLong = (): Promise<never> => Promise.reject(new SwapError('history_too_long', 'too many history entries'));
const htlcOf = (swap: FundedSwap): Buffer => p2wshScriptPubKey(swap.witnessScript);

/** From now on the server refuses to list what touches the script. */
function flood(script: Buffer): void {
  const { chain } = world.ctx;
  const before = { ...chain };
  chain.history = async (asked, options) => await (script.equals(asked) ? tooLong() : before.history(asked, options));
  chain.unspent = async (asked) => await (script.equals(asked) ? tooLong() : before.unspent(asked));
}

const TOO_OLD_SECS = 301;
const EXPIRED_SECS = 601;

describe('an HTLC script that strangers flood', () => {
  it('before its funding is deep does not keep the refund back', async () => {
    const swap = await world.buy(1);
    flood(htlcOf(swap));
    world.sandbox.mine(2);
    world.now += EXPIRED_SECS;
    await world.until('it is canceled', () => world.swap(swap.id).payment === 'CANCELED');
    await world.until('it is known as funded', () => world.swap(swap.id).state === 'FUNDED');
    expect(world.versions(swap.id, 'abort')).toEqual([]);
    await world.mineTo(swap.refundHeight);
    await world.mine(2);
    await world.until('it is refunded', () => world.swap(swap.id).state === 'REFUNDED');
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.stuckCoins()).toEqual([]);
  });
  it('while no block takes the funding does not keep it from being given up', async () => {
    world.gate = () => ({ kind: 'rejected', reason: 'other', text: 'no' });
    const swap = await world.buy(1);
    flood(htlcOf(swap));
    world.now += EXPIRED_SECS;
    world.gate = () => undefined;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    await world.mine(2);
    await world.until('it failed', () => world.swap(swap.id).state === 'FAILED');
    expect(world.balance(world.token)).toBe(1_000n);
    expect(world.stuckCoins()).toEqual([]);
  });
  it('with many outputs of one transaction, so that only they are not listed, does not keep the refund back', async () => {
    const swap = await world.buy(1);
    world.ctx.chain.unspent = tooLong;
    await world.makeRefundable(swap);
    await world.until('the refund is seen', () => world.swap(swap.id).state === 'REFUND_SEEN');
  });
  it('with many outputs of one transaction does not keep a payment from being taken', async () => {
    const swap = await world.buy(1);
    world.ctx.chain.unspent = tooLong;
    await world.makePaid(swap);
    expect(world.standing(swap.id)).toBe('FUNDED SETTLED');
  });
});

describe('a self-spend whose script strangers flood', () => {
  it('is not signed again and again', async () => {
    const swap = await world.buy(1);
    world.now += TOO_OLD_SECS;
    await world.until('it is given up', () => world.versions(swap.id, 'abort').length === 1);
    const [abort] = world.versions(swap.id, 'abort');
    flood(parseTransaction(abort?.raw ?? Buffer.alloc(0)).outs[0]?.script ?? Buffer.alloc(0));
    await world.look();
    await world.look();
    expect(world.versions(swap.id, 'abort')).toHaveLength(1);
    await world.mine(2);
    await world.until('it failed', () => world.swap(swap.id).state === 'FAILED');
    expect(world.stuckCoins()).toEqual([]);
  });
});
