import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  displayHex,
  hex,
  MAX_MONEY,
  msat,
  msatCeilToSat,
  outpoint,
  outpointKey,
  paymentHash,
  preimage,
  pubkey,
  quoteId,
  reversedBytes,
  sat,
  satPerKvb,
  satToMsat,
  swapId,
  toSafeNumber,
  txid,
  unixSecs,
} from '../../../src/core/units.js';
import { keyOf, refusal } from './zkp.js';

describe('amounts', () => {
  it.each([
    ['satoshi', sat, MAX_MONEY],
    ['millisatoshi', msat, MAX_MONEY * 1000n],
    ['asset amount', assetAmount, MAX_MONEY],
    ['fee rate', satPerKvb, 1_000_000_000n],
  ] as const)('%s keep their range', (what, make, max) => {
    expect(make(0n)).toBe(0n);
    expect(make(max)).toBe(max);
    expect(() => make(max + 1n)).toThrow(
      refusal(`${what}: expected 0..${max.toString()}, found ${(max + 1n).toString()}`),
    );
    expect(() => make(-1n)).toThrow(refusal(what));
  });
  it('round up from millisatoshi to satoshi by less than one satoshi', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_MONEY * 1000n }), (value) => {
        const excess = satToMsat(msatCeilToSat(msat(value))) - value;
        return excess >= 0n && excess < 1000n;
      }),
    );
  });
});

describe('heights and times', () => {
  it.each([
    ['block height', blockHeight, 499_999_999],
    ['Unix time', unixSecs, 2 ** 40],
  ] as const)('%s keeps its range', (what, make, max) => {
    expect(make(max)).toBe(max);
    for (const bad of [max + 1, -1, 1.5, Number.NaN, Infinity]) expect(() => make(bad)).toThrow(refusal(what));
  });
});

describe('identifiers', () => {
  it.each([
    ['txid', txid, 32],
    ['block hash', blockHash, 32],
    ['asset id', assetId, 32],
    ['payment hash', paymentHash, 32],
    ['swap id', swapId, 16],
    ['quote id', quoteId, 16],
  ] as const)('%s is lower-case hex of its length', (what, make, bytes) => {
    expect(make('ab'.repeat(bytes))).toBe('ab'.repeat(bytes));
    for (const bad of [
      '',
      'ab'.repeat(bytes - 1),
      'AB'.repeat(bytes),
      `${'ab'.repeat(bytes - 1)}zz`,
      `${'ab'.repeat(bytes)}\n`,
    ]) {
      expect(() => make(bad)).toThrow(refusal(what));
    }
  });
  it('a public key is a compressed point of the curve', () => {
    expect(pubkey(keyOf('a').pubkey)).toBe(keyOf('a').pubkey);
    expect(() => pubkey(`02${'ff'.repeat(32)}`)).toThrow(refusal('a compressed point of secp256k1'));
    expect(() => pubkey(`04${'11'.repeat(32)}`)).toThrow(refusal('public key'));
  });
  it('a preimage has 32 bytes, which an error does not show', () => {
    expect(preimage(new Uint8Array(32))).toHaveLength(32);
    expect(() => preimage(new Uint8Array(31).fill(0xab))).toThrow(
      refusal('preimage: expected 32 bytes, found 31 bytes'),
    );
  });
  it('an outpoint is written txid:vout', () => {
    const id = '0f'.repeat(32);
    expect(outpointKey(outpoint(id, 7))).toBe(`${id}:7`);
    expect(() => outpoint(id, -1)).toThrow(refusal('output index'));
    expect(() => outpoint(id, 2 ** 32)).toThrow(refusal('output index'));
  });
});

describe('bytes', () => {
  it('are reversed between display and internal order, and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
        expect(hex(reversedBytes(displayHex(bytes)))).toBe(hex(bytes));
      }),
    );
    expect(reversedBytes('0102ff')).toEqual(Buffer.of(0xff, 2, 1));
  });
  it('of a view are shown without their surroundings', () => {
    expect(hex(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toBe('0203');
  });
});

describe('small integers', () => {
  it('become numbers only while exact', () => {
    expect(toSafeNumber(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => toSafeNumber(2n ** 53n)).toThrow(refusal('at most 2^53 - 1'));
  });
});
