import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { outpointKey, txid, type Txid } from '../../src/core/units.js';
import { spendableCoins } from '../../src/engine/inventory.js';
import { pendingTxs, reservedCoins } from '../../src/store/txs.js';
import { EngineWorld } from '../support/engineWorld.js';

const { policyAsset } = LIQUID_NETWORKS.regtest;

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

const rawOf = (id: Txid): Buffer => pendingTxs(world.ctx.store).find((own) => own.txid === id)?.raw ?? Buffer.alloc(0);
const spendable = (): string[] =>
  spendableCoins(world.ctx, world.sandbox.tip().height)
    .map((coin) => outpointKey(coin.outpoint))
    .sort();

describe('a withdrawal that somebody else with the seed spends away', () => {
  it('keeps its coins until the other transaction is final, and frees then what that one left', async () => {
    world.gate = () => ({ kind: 'rejected', reason: 'other', text: 'no' });
    const id = await world.withdraw(world.token, 400n);
    const raw = rawOf(id);
    const conflict = await world.spendToSelf(raw, policyAsset, 2_000n);
    world.sandbox.mine(1, { including: conflict.toString('hex') });
    await world.look();
    const tokenCoin = world.ctx.wallet.coins().find((coin) => coin.assetId === world.token);
    expect([world.stuckCoins(), spendable()]).toEqual([
      [outpointKey(tokenCoin?.outpoint ?? { txid: id, vout: 0 })],
      [],
    ]);
    await world.mine(1);
    await world.until('the coins are free', () => world.stuckCoins().length === 0);
    expect([pendingTxs(world.ctx.store), spendable().length]).toEqual([[], 2]);
    expect([world.balance(world.token), world.balance(policyAsset)]).toEqual([1_000n, 98_000n]);
  });
  it('takes a funding that spends its change along', async () => {
    world.gate = () => ({ kind: 'unknown', cause: new Error('timeout') });
    const id = await world.withdraw(world.token, 400n);
    const conflict = await world.spendToSelf(rawOf(id), policyAsset, 2_000n);
    world.sandbox.broadcast(rawOf(id).toString('hex'));
    await world.until('its change is seen', () => world.ctx.wallet.coins().every((coin) => coin.outpoint.txid === id));
    const swap = await world.buy(1);
    world.sandbox.mine(1, { including: conflict.toString('hex') });
    await world.look();
    expect(world.standing(swap.id)).toBe('FUNDING_SIGNED OPEN');
    await world.mine(1);
    await world.until('the funding failed', () => world.swap(swap.id).state === 'FAILED');
    expect([world.standing(swap.id), reservedCoins(world.ctx.store).size]).toEqual(['FAILED CANCELED', 0]);
    expect([world.balance(world.token), world.balance(policyAsset)]).toEqual([1_000n, 98_000n]);
  });
});

describe('a withdrawal', () => {
  it('is sent again until a block has it, as the same bytes, also after a restart', async () => {
    world.gate = () => ({ kind: 'unknown', cause: new Error('timeout') });
    const id = await world.withdraw(policyAsset, 5_000n);
    await world.restart();
    world.gate = () => undefined;
    await world.until('it is out', () => world.isInMempool(id));
    await world.mine(2);
    expect([new Set(world.sent), pendingTxs(world.ctx.store)]).toEqual([new Set([txid(id)]), []]);
  });
});
