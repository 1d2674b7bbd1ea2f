import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { assetAmount, blockHash, blockHeight, unixSecs } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import {
  deletePause,
  deletePrincipal,
  findAcceptedTip,
  findPause,
  findPrincipal,
  findWalletOutput,
  saveAcceptedTip,
  savePause,
  savePrincipal,
  saveWalletOutput,
} from '../../src/store/meta.js';
import { GOLD, START } from '../support/swapFixtures.js';
import { tempStore, type TempStore } from '../support/tempStore.js';

let temp: TempStore;
let store: Store;
beforeEach(() => {
  temp = tempStore();
  store = temp.store;
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const NOW = unixSecs(START);

describe('small facts', () => {
  it('the pause is kept with its newest reason until it is lifted', () => {
    expect(findPause(store)).toBeUndefined();
    savePause(store, 'first');
    savePause(store, 'second');
    expect(findPause(store)).toBe('second');
    deletePause(store);
    deletePause(store);
    expect(findPause(store)).toBeUndefined();
  });
  it('one accepted tip is kept, the last one, also when it is lower', () => {
    expect(findAcceptedTip(store)).toBeUndefined();
    const tip = { height: blockHeight(9), hash: blockHash('09'.repeat(32)), acceptedAt: NOW };
    saveAcceptedTip(store, tip);
    expect(findAcceptedTip(store)).toEqual(tip);
    const lower = { height: blockHeight(8), hash: blockHash('08'.repeat(32)), acceptedAt: unixSecs(START + 1) };
    saveAcceptedTip(store, lower);
    expect(findAcceptedTip(store)).toEqual(lower);
  });
  it('an opened output comes back as it was first stored, by its outpoint', () => {
    const key = `${'aa'.repeat(32)}:1`;
    const output = {
      assetId: GOLD,
      value: assetAmount(2_100_000_000_000_000n),
      assetBlinder: Buffer.alloc(32, 1),
      valueBlinder: Buffer.alloc(32, 2),
    };
    saveWalletOutput(store, key, output);
    saveWalletOutput(store, key, { ...output, value: assetAmount(1n) });
    expect(findWalletOutput(store, key)).toEqual(output);
    expect(findWalletOutput(store, `${'aa'.repeat(32)}:10`)).toBeUndefined();
  });
  it.each(['', 'aa:1', 'aa'.repeat(32), `${'aa'.repeat(32)}:x`])('"%s" is no outpoint', (key) => {
    const outcome = (): unknown => findWalletOutput(store, key);
    if (key === 'aa'.repeat(32)) expect(outcome()).toBeUndefined();
    else expect(outcome).toThrow();
  });
});

describe('tokens', () => {
  const [first, second] = ['11'.repeat(32), '22'.repeat(32)];

  it('name their owner by hash; a new token of a name replaces the old one', () => {
    savePrincipal(store, 'alice', first, NOW);
    expect(findPrincipal(store, first)).toBe('alice');
    savePrincipal(store, 'alice', second, NOW);
    expect([findPrincipal(store, first), findPrincipal(store, second)]).toEqual([undefined, 'alice']);
  });
  it('belong to one name', () => {
    savePrincipal(store, 'alice', first, NOW);
    expect(() => {
      savePrincipal(store, 'bob', first, NOW);
    }).toThrow('UNIQUE constraint failed: principals.token_hash');
  });
  it('are gone when revoked', () => {
    savePrincipal(store, 'alice', first, NOW);
    expect([deletePrincipal(store, 'alice'), deletePrincipal(store, 'alice')]).toEqual([true, false]);
    expect(findPrincipal(store, first)).toBeUndefined();
  });
});
