import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, describe, expect, it } from 'vitest';

import { writeBundle } from '../../../src/engine/bundle.js';
import { loop } from '../../../src/engine/loop.js';
import { createMutex } from '../../../src/engine/mutex.js';
import { createLogger } from '../../../src/log.js';
import { FUNDING, FUNDING_TXID, fundedWith, GOLD, LBTC } from '../../support/swapFixtures.js';
import { tempDir } from '../../support/tempStore.js';

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
