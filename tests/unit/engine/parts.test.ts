import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, describe, expect, it } from 'vitest';

import { assetAmount, outpoint, sat, txid, unixSecs, type AssetId } from '../../../src/core/units.js';
import { writeBundle } from '../../../src/engine/bundle.js';
import { inventory, spendableCoins } from '../../../src/engine/inventory.js';
import { loop } from '../../../src/engine/loop.js';
import { createMutex } from '../../../src/engine/mutex.js';
import type { Coin } from '../../../src/liquid/wallet.js';
import { createLogger } from '../../../src/log.js';
import { insertTx } from '../../../src/store/txs.js';
import { FUNDING, FUNDING_TXID, fundedWith, GOLD, intent, LBTC, START } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, tempDir, tempStore, type TempStore } from '../../support/tempStore.js';
import { engineContext, TIP, walletOf } from './testContext.js';

const log = createLogger('test', 'silent');

describe('a mutex', () => {
  it('runs one section at a time, in order of asking', async () => {
    const mutex = createMutex();
    const seen: string[] = [];
    const section = (name: string) => async (): Promise<string> => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
      return name;
    };
    expect(await Promise.all(['a', 'b'].map((name) => mutex.run(section(name))))).toEqual(['a', 'b']);
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
  it('is free again after a section that throws, and tells its caller', async () => {
    const mutex = createMutex();
    const failing = mutex.run(() => Promise.reject(new Error('broken')));
    const next = mutex.run(() => Promise.resolve('fine'));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('fine');
  });
});

describe('a loop', () => {
  it('goes on after a round that failed, and stops at once when asked to', async () => {
    const stop = new AbortController();
    let rounds = 0;
    const round = (): Promise<void> => {
      rounds += 1;
      if (rounds === 1) return Promise.reject(new Error('broken'));
      if (rounds === 3) stop.abort();
      return Promise.resolve();
    };
    await loop({ name: 'test', log, signal: stop.signal, pauseMs: 1, round });
    expect(rounds).toBe(3);
  });
  it('does nothing when it was stopped before', async () => {
    const round = (): Promise<void> => Promise.reject(new Error('not called'));
    await loop({ name: 'test', log, signal: AbortSignal.abort(), pauseMs: 60_000, round });
  });
});

describe('a recovery bundle', () => {
  const dir = tempDir();
  afterEach(() => {
    for (const name of readdirSync(dir)) rmSync(join(dir, name));
  });
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });
  const swap = fundedWith('OPEN');
  const path = join(dir, `${swap.id}.json`);

  it('holds what a refund needs besides the seed, for the owner only, and no draft stays', () => {
    writeBundle(dir, swap);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      version: 1,
      swap_id: swap.id,
      payment_hash: swap.paymentHash,
      key_index: 7,
      witness_script: FUNDING.witnessScript.toString('hex'),
      funding_txid: FUNDING_TXID,
      refund_height: 1_060,
      outpoints: [
        { txid: FUNDING_TXID, vout: 0, asset_id: GOLD, value: '250' },
        { txid: FUNDING_TXID, vout: 1, asset_id: LBTC, value: '1000' },
      ],
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual([`${swap.id}.json`]);
  });
  it('is written once; a draft of a crash is no bundle and is replaced', () => {
    writeFileSync(`${path}.new`, '{"version":');
    writeBundle(dir, swap);
    const written = readFileSync(path, 'utf8');
    writeBundle(dir, { ...swap, keyIndex: 99 });
    expect(readFileSync(path, 'utf8')).toBe(written);
  });
  it('that cannot be written stops what would follow', () => {
    expect(() => {
      writeBundle(join(dir, 'missing'), swap);
    }).toThrow('ENOENT');
  });
});

describe('the inventory', () => {
  const coin = (vout: number, over: { asset?: AssetId; value?: bigint; height?: number; id?: string } = {}): Coin => ({
    outpoint: outpoint(over.id ?? 'aa'.repeat(32), vout),
    assetId: over.asset ?? GOLD,
    value: assetAmount(over.value ?? 100n),
    isConfidential: false,
    height: over.height ?? TIP.height - 1,
    scriptPubKey: Buffer.alloc(22),
    valueBytes: Buffer.alloc(9),
    assetBlinder: Buffer.alloc(32),
    valueBlinder: Buffer.alloc(32),
    keyChain: 0,
    keyIndex: 0,
  });
  const own = 'dd'.repeat(32);
  const withdraw = (temp: TempStore, coins: readonly Coin[]): void => {
    const walletInputs = coins.map((each) => each.outpoint);
    const raw = Buffer.of(0);
    insertTx(
      temp.store,
      { kind: 'withdraw', version: 1, txid: txid(own), raw, feeSat: sat(1n), walletInputs },
      unixSecs(START),
    );
  };
  const spendable = (temp: TempStore, coins: readonly Coin[]): number[] =>
    spendableCoins(engineContext(temp, { wallet: walletOf(coins) }), TIP.height).map((each) => each.outpoint.vout);

  it('spends a deposit at two confirmations, not before', () => {
    using temp = tempStore();
    const heights = [TIP.height - 1, TIP.height, TIP.height + 1, 0, -1];
    expect(
      spendable(
        temp,
        heights.map((height, i) => coin(i, { height })),
      ),
    ).toEqual([0]);
  });
  it('spends own change at any depth', () => {
    using temp = tempStore();
    withdraw(temp, []);
    expect(spendable(temp, [coin(0, { id: own, height: 0 }), coin(1, { height: 0 })])).toEqual([0]);
  });
  it('spends nothing that a transaction of ours spends, whatever the server says', () => {
    using temp = tempStore();
    withdraw(temp, [coin(1)]);
    expect(spendable(temp, [coin(0), coin(1), coin(2)])).toEqual([0, 2]);
  });
  it('tells apart what is free, promised, locked and not deep enough', () => {
    using temp = tempStore();
    insertNew(temp.store, nthIntent(1));
    withdraw(temp, [coin(9)]);
    const coins = [
      coin(0, { value: 1_000n }),
      coin(1, { value: 70n, height: 0 }),
      coin(2, { asset: LBTC, value: 600n }),
      coin(9),
    ];
    const stock = inventory(engineContext(temp, { wallet: walletOf(coins) }), TIP.height);
    expect(stock.get(GOLD)).toEqual({ available: 750n, reserved: 250n, locked: 0n, pending: 70n });
    expect(stock.get(LBTC)).toEqual({ available: 0n, reserved: 1_000n, locked: 0n, pending: 0n });
  });
  it('knows what swaps tie up of an asset that the wallet does not hold', () => {
    using temp = tempStore();
    insertNew(temp.store, intent);
    expect(inventory(engineContext(temp), TIP.height).get(GOLD)).toEqual({
      available: 0n,
      reserved: 250n,
      locked: 0n,
      pending: 0n,
    });
  });
});
