import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { replayVectors, vectorFileSchema } from '../../src/sandbox/liquid/replay.js';
import { discountVsizeOf, parseTransaction, vsizeOf } from '../../src/sandbox/liquid/transaction.js';
import { loadZkp } from '../../src/sandbox/liquid/zkp.js';

/** Verdicts of Elements Core 23.3.3 on regtest, recorded with testmempoolaccept. */
const text = readFileSync(new URL('node-vectors.json', import.meta.url), 'utf8');
const file = vectorFileSchema.parse(JSON.parse(text));
const comparisons = replayVectors(await loadZkp(), file);

describe('the ledger judges as the recorded Elements node did', () => {
  it('on all 148 transactions', () => {
    expect(comparisons).toHaveLength(148);
  });
  it.each(comparisons)('$name', ({ expected, found }) => {
    expect(found).toBe(expected);
  });
});

type Sized = { readonly op: string; readonly name: string; readonly hex: string };
type Sizes = Sized & { readonly vsize_full: number; readonly vsize_discount: number };
const isSized = (vector: Sized): vector is Sizes => vector.op === 'test' && 'vsize_full' in vector;

describe('sizes', () => {
  const { vectors } = JSON.parse(text) as { vectors: Sized[] };
  it('are the recorded ones, plain and discounted', () => {
    const differing = vectors.filter(isSized).filter((vector) => {
      const tx = parseTransaction(vector.hex);
      return tx === undefined || vsizeOf(tx) !== vector.vsize_full || discountVsizeOf(tx) !== vector.vsize_discount;
    });
    // The recorded discount is a library's, which is known to differ from the node's in these odd shapes.
    expect(differing.map(({ name }) => name)).toEqual([
      'missing range proof',
      'blinded output without nonce',
      'fee output with a commitment',
      'explicit output with a nonce set',
    ]);
  });
});

describe('replaying', () => {
  it('shows a vector that says something else', async () => {
    const [first] = file.vectors;
    if (first?.op !== 'test') throw new Error('the first event is a test');
    const altered = { ...file, vectors: [{ ...first, node: { allowed: false, 'reject-reason': 'dust' } }] };
    const [comparison] = replayVectors(await loadZkp(), altered);
    expect(comparison).toMatchObject({ expected: 'dust', found: 'allowed' });
  });
  it('refuses a block of transactions that nobody sent', async () => {
    const block = { op: 'mine' as const, height: file.meta.start.height + 1, mtp: 0, txids: ['00'.repeat(32)] };
    const zkp = await loadZkp();
    expect(() => replayVectors(zkp, { ...file, vectors: [block] })).toThrow('is not in the mempool');
  });
});
