import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { selectCoins, type SelectableCoin } from '../../../src/core/coinSelect.js';
import { assetAmount, assetId, outpoint, outpointKey } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { refusal } from './zkp.js';

const GOLD = assetId('11'.repeat(32));
const LBTC = assetId('22'.repeat(32));
const TXID = '33'.repeat(32);

const coin = (vout: number, asset: typeof GOLD, value: bigint, height = 100): SelectableCoin => ({
  outpoint: outpoint(TXID, vout),
  assetId: asset,
  value: assetAmount(value),
  isConfidential: false,
  height,
});
const chosen = (coins: readonly SelectableCoin[], wants: Parameters<typeof selectCoins>[1]): number[] =>
  selectCoins(coins, wants).map(({ outpoint: point }) => point.vout);

const anyCoins = fc
  .array(fc.tuple(fc.constantFrom(GOLD, LBTC), fc.bigInt({ min: 0n, max: 1000n }), fc.integer({ min: -1, max: 9 })))
  .map((list) => list.map(([asset, value, height], vout) => coin(vout, asset, value, height)));
const anyWants = fc.array(
  fc.record({ assetId: fc.constantFrom(GOLD, LBTC), amount: fc.bigInt({ min: 0n, max: 3000n }) }),
  { maxLength: 4 },
);

describe('coin selection', () => {
  it('takes the largest coins of each asset, and no more than needed', () => {
    const coins = [coin(0, GOLD, 10n), coin(1, GOLD, 30n), coin(2, GOLD, 20n), coin(3, LBTC, 5n), coin(4, LBTC, 9n)];
    expect(chosen(coins, [{ assetId: GOLD, amount: 50n }])).toEqual([1, 2]);
    expect(chosen(coins, [{ assetId: GOLD, amount: 51n }])).toEqual([1, 2, 0]);
    const both = [
      { assetId: LBTC, amount: 9n },
      { assetId: GOLD, amount: 1n },
    ];
    expect(chosen(coins, both)).toEqual([4, 1]);
  });
  it('adds up two wants of one asset', () => {
    const coins = [coin(0, LBTC, 10n), coin(1, LBTC, 10n)];
    expect(
      chosen(
        coins,
        [6n, 6n].map((amount) => ({ assetId: LBTC, amount })),
      ),
    ).toEqual([0, 1]);
  });
  it('prefers confirmed among equals, and does not depend on the order of the coins', () => {
    const coins = [coin(2, GOLD, 10n, 0), coin(0, GOLD, 10n, -1), coin(1, GOLD, 10n, 7)];
    expect(chosen(coins, [{ assetId: GOLD, amount: 30n }])).toEqual([1, 0, 2]);
    expect(chosen(coins.reverse(), [{ assetId: GOLD, amount: 30n }])).toEqual([1, 0, 2]);
  });
  it('needs no coins for nothing', () => {
    expect(chosen([coin(0, GOLD, 10n)], [{ assetId: GOLD, amount: 0n }])).toEqual([]);
    expect(chosen([], [])).toEqual([]);
  });
  it('names the asset, the amount needed and the amount found when one unit is missing', () => {
    const coins = [coin(0, GOLD, 10n), coin(1, LBTC, 1000n)];
    expect(() => selectCoins(coins, [{ assetId: GOLD, amount: 11n }])).toThrow(
      refusal(`asset ${GOLD}: 11 needed, 10 free in 1 coins`, 'insufficient_inventory'),
    );
  });
  it('covers every want with the coins given, none twice and none to spare, or says that it cannot', () => {
    fc.assert(
      fc.property(anyCoins, anyWants, (coins, wants) => {
        const total = (list: readonly { assetId: string }[], asset: string, of: (i: number) => bigint): bigint =>
          list.reduce((sum, entry, i) => (entry.assetId === asset ? sum + of(i) : sum), 0n);
        const missing = [GOLD, LBTC].filter(
          (asset) =>
            total(coins, asset, (i) => coins[i]?.value ?? 0n) < total(wants, asset, (i) => wants[i]?.amount ?? 0n),
        );
        let result: SelectableCoin[];
        try {
          result = selectCoins(coins, wants);
        } catch (error) {
          return error instanceof SwapError && error.code === 'insufficient_inventory' && missing.length > 0;
        }
        const isOwn = result.every((entry) => coins.includes(entry));
        const isOnce = new Set(result.map((entry) => outpointKey(entry.outpoint))).size === result.length;
        const isCovered = [GOLD, LBTC].every((asset) => {
          const wanted = total(wants, asset, (i) => wants[i]?.amount ?? 0n);
          const values = result.filter((entry) => entry.assetId === asset).map((entry) => entry.value);
          const sum = values.reduce<bigint>((a, b) => a + b, 0n);
          const last = values.at(-1) ?? 0n;
          return sum >= wanted && sum - last < (wanted === 0n ? 1n : wanted);
        });
        return missing.length === 0 && isOwn && isOnce && isCovered;
      }),
    );
  });
});
