import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { randomScalar, ZERO_BLINDER, type Zkp } from '../../../src/core/blind.js';
import type { SelectableCoin } from '../../../src/core/coinSelect.js';
import { p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { estimateVsize, planSpend, type SpendPlan } from '../../../src/core/spendPlan.js';
import { buildTransaction, feeFor, fullVsize, SEQUENCE_REPLACEABLE, type TxOutput } from '../../../src/core/tx.js';
import { assetAmount, assetId, outpoint, satPerKvb, type AssetId } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { keyOf, loadZkp, randomBytes, refusal } from './zkp.js';

const LBTC = assetId('22'.repeat(32));
const GOLD = assetId('11'.repeat(32));
const RATE = satPerKvb(100n);
const PAYEE = p2wpkhScriptPubKey(keyOf('payee').pubkey);
const CHANGE = { scriptPubKey: p2wpkhScriptPubKey(keyOf('change').pubkey), blindingPubkey: keyOf('blinding').pubkey };

let vout = 0;
const coin = (asset: AssetId, value: bigint, isConfidential = true): SelectableCoin => ({
  outpoint: outpoint('33'.repeat(32), (vout += 1)),
  assetId: asset,
  value: assetAmount(value),
  isConfidential,
  height: 100,
});
const pay = (asset: AssetId, value: bigint, isBlinded = false): TxOutput => ({
  scriptPubKey: PAYEE,
  assetId: asset,
  value: assetAmount(value),
  ...(isBlinded ? { blindingPubkey: keyOf('payee').pubkey } : {}),
});
const plan = (
  coins: readonly SelectableCoin[],
  payments: readonly TxOutput[],
  feeRate = RATE,
): SpendPlan<SelectableCoin> => planSpend({ coins, payments, policyAsset: LBTC, feeRate, nextChange: () => CHANGE });

const sumOf = (amounts: readonly { readonly assetId: AssetId; readonly value: bigint }[], asset: AssetId): bigint =>
  amounts.reduce((sum, each) => (each.assetId === asset ? sum + each.value : sum), 0n);
const changeOf = ({ outputs }: SpendPlan<SelectableCoin>, asset: AssetId): bigint[] =>
  outputs
    .filter((each) => each.scriptPubKey === CHANGE.scriptPubKey && each.assetId === asset)
    .map((each) => each.value);

describe('a planned spend', () => {
  it('keeps the payments in order, adds blinded change per asset, and ends with the fee', () => {
    const { outputs, feeSat, coins } = plan(
      [coin(GOLD, 100n), coin(LBTC, 50_000n)],
      [pay(GOLD, 60n), pay(LBTC, 1_000n)],
    );
    expect(outputs.slice(0, 2)).toEqual([pay(GOLD, 60n), pay(LBTC, 1_000n)]);
    expect(outputs.slice(2, -1).map((each) => [each.assetId, each.value, each.blindingPubkey])).toEqual([
      [LBTC, 49_000n - feeSat, CHANGE.blindingPubkey],
      [GOLD, 40n, CHANGE.blindingPubkey],
    ]);
    expect(outputs.at(-1)).toEqual({ scriptPubKey: Buffer.alloc(0), assetId: LBTC, value: feeSat });
    expect(coins).toHaveLength(2);
  });
  it('gives L-BTC change below 500 sat to the fee, and 500 sat to the wallet', () => {
    const payments = [pay(LBTC, 1_000n)];
    const { feeSat } = plan([coin(LBTC, 100_000n)], payments);
    const atLimit = plan([coin(LBTC, 1_000n + feeSat + 500n)], payments);
    expect([atLimit.feeSat, changeOf(atLimit, LBTC)]).toEqual([feeSat, [500n]]);
    const below = plan([coin(LBTC, 1_000n + feeSat + 499n)], payments);
    expect([below.feeSat, changeOf(below, LBTC)]).toEqual([feeSat + 499n, []]);
  });
  it('makes no change of what is spent exactly, and keeps one unit of another asset', () => {
    const exact = plan([coin(GOLD, 60n), coin(LBTC, 50_000n)], [pay(GOLD, 60n)]);
    expect(changeOf(exact, GOLD)).toEqual([]);
    expect(changeOf(plan([coin(GOLD, 61n), coin(LBTC, 50_000n)], [pay(GOLD, 60n)]), GOLD)).toEqual([1n]);
  });
  it('adds an unspendable blinded output of 0 when confidential coins leave nothing else to blind', () => {
    const payments = [pay(LBTC, 1_000n)];
    const { feeSat } = plan([coin(LBTC, 100_000n)], payments);
    const hidden = plan([coin(LBTC, 1_000n + feeSat)], payments);
    expect(hidden.outputs.map((each) => [each.scriptPubKey[0], each.value, each.blindingPubkey])).toEqual([
      [PAYEE[0], 1_000n, undefined],
      [0x6a, 0n, CHANGE.blindingPubkey],
      [undefined, feeSat, undefined],
    ]);
    const open = plan([coin(LBTC, 1_000n + feeSat, false)], payments);
    expect(open.outputs).toHaveLength(2);
    const blinded = plan([coin(LBTC, 2_000n + feeSat)], [pay(LBTC, 1_000n, true)]);
    expect(blinded.outputs.every((each) => each.value > 0n)).toBe(true);
  });
  it('takes one more coin when the fee of the last one is not covered', () => {
    const coins = [coin(LBTC, 10_000n), coin(LBTC, 9_000n), coin(LBTC, 8_000n)];
    const rate = satPerKvb(2_000n);
    const feeOf = (inputs: number): bigint =>
      feeFor(estimateVsize({ inputs, explicitOutputs: 2, blindedOutputs: 1 }), rate);
    const most = 19_000n - feeOf(2);
    expect(plan(coins, [pay(LBTC, most)], rate)).toMatchObject({ coins: { length: 2 }, feeSat: feeOf(2) });
    expect(plan(coins, [pay(LBTC, most + 1n)], rate)).toMatchObject({ coins: { length: 3 }, feeSat: feeOf(3) });
  });
  it('says which asset is missing, and how much of it', () => {
    expect(() => plan([coin(GOLD, 59n), coin(LBTC, 50_000n)], [pay(GOLD, 60n)])).toThrow(
      refusal(`asset ${GOLD}: 60 needed, 59 free`, 'insufficient_inventory'),
    );
    expect(() => plan([coin(GOLD, 60n)], [pay(GOLD, 60n)])).toThrow(
      refusal(`asset ${LBTC}: `, 'insufficient_inventory'),
    );
  });
  it('refuses more coins than a transaction takes', () => {
    const coins = [...Array.from({ length: 120 }, () => coin(GOLD, 1n)), coin(LBTC, 500_000n)];
    expect(plan(coins, [pay(GOLD, 40n)]).coins).toHaveLength(41);
    expect(() => plan(coins, [pay(GOLD, 120n)])).toThrow(
      refusal('found 121: merge coins first', 'insufficient_inventory'),
    );
  });
  it('spends exactly what it takes, per asset, with a fee that covers the estimate, or says that it cannot', () => {
    const anyAsset = fc.constantFrom(GOLD, LBTC);
    const anyCoin = fc
      .tuple(anyAsset, fc.bigInt({ min: 1n, max: 5_000n }), fc.boolean())
      .map(([asset, value, isConfidential]) => coin(asset, value, isConfidential));
    const anyPay = fc
      .tuple(anyAsset, fc.bigInt({ min: 1n, max: 4_000n }), fc.boolean())
      .map(([asset, value, isBlinded]) => pay(asset, value, isBlinded));
    const anyRate = fc.bigInt({ min: 100n, max: 2_000n }).map(satPerKvb);
    fc.assert(
      fc.property(
        fc.array(anyCoin, { maxLength: 12 }),
        fc.array(anyPay, { minLength: 1, maxLength: 3 }),
        anyRate,
        (coins, payments, rate) => {
          let spend: SpendPlan<SelectableCoin>;
          try {
            spend = plan(coins, payments, rate);
          } catch (error) {
            return error instanceof SwapError && error.code === 'insufficient_inventory';
          }
          const { outputs } = spend;
          const blindedOutputs = outputs.filter((each) => each.blindingPubkey !== undefined).length;
          const counts = {
            inputs: spend.coins.length,
            blindedOutputs,
            explicitOutputs: outputs.length - blindedOutputs,
          };
          const isBalanced = [GOLD, LBTC].every((asset) => sumOf(spend.coins, asset) === sumOf(outputs, asset));
          const isHidden = spend.coins.some((each) => each.isConfidential);
          return (
            isBalanced &&
            spend.feeSat >= feeFor(estimateVsize(counts), rate) &&
            (!isHidden || blindedOutputs > 0) &&
            changeOf(spend, LBTC).every((value) => value >= 500n)
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the size estimate', () => {
  let zkp: Zkp;
  beforeAll(async () => {
    zkp = await loadZkp();
  });

  /** Full vsize of the planned transaction with the longest witnesses. */
  function vsizeOf(spend: SpendPlan<SelectableCoin>): number {
    const blinder = (isHidden: boolean): Buffer => (isHidden ? randomScalar(zkp, randomBytes) : ZERO_BLINDER);
    const inputs = spend.coins.map((each) => ({
      ...each,
      sequence: SEQUENCE_REPLACEABLE,
      assetBlinder: blinder(each.isConfidential),
      valueBlinder: blinder(each.isConfidential),
    }));
    const tx = buildTransaction(zkp, { inputs, outputs: spend.outputs, locktime: 0, randomBytes });
    inputs.forEach((_, i) => {
      tx.setWitness(i, [Buffer.alloc(72), Buffer.alloc(33)]);
    });
    return fullVsize(tx);
  }

  it.each([
    ['one coin, nothing hidden', [coin(LBTC, 60_000n, false)], [pay(LBTC, 1_000n)]],
    ['two assets', [coin(GOLD, 100n), coin(LBTC, 60_000n)], [pay(GOLD, 60n), pay(LBTC, 1_000n)]],
    ['a blinded payment', [coin(GOLD, 100n), coin(LBTC, 60_000n)], [pay(GOLD, 60n, true)]],
    ['30 coins', [...Array.from({ length: 29 }, () => coin(GOLD, 2n)), coin(LBTC, 60_000n)], [pay(GOLD, 57n)]],
    ['50 coins', [...Array.from({ length: 49 }, () => coin(GOLD, 2n)), coin(LBTC, 60_000n)], [pay(GOLD, 97n)]],
    ['great amounts', [coin(GOLD, 2_099_999_999_999_999n), coin(LBTC, 60_000n)], [pay(GOLD, 1n)]],
  ])('is not below the real transaction: %s', (_name, coins, payments) => {
    const spend = plan(coins, payments);
    const vsize = vsizeOf(spend);
    expect(spend.feeSat).toBeGreaterThanOrEqual(feeFor(vsize, RATE));
    expect(Number(spend.feeSat) * 10).toBeLessThan(vsize * 1.35);
  });
});
