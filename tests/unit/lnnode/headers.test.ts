import { describe, expect, it } from 'vitest';

import { assertFollows, assertMayStart, parseHeader, workOf } from '../../../src/lnnode/chain/headers.js';

// Bitcoin mainnet, blocks 0 and 1.
const GENESIS = Buffer.from(
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c',
  'hex',
);
const BLOCK_1 = Buffer.from(
  '010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299',
  'hex',
);

const changed = (header: Buffer, offset: number, value: number): Buffer => {
  const copy = Buffer.from(header);
  copy.writeUInt8(value, offset);
  return copy;
};

describe('a block header', () => {
  it('is read with its hash and its parent', () => {
    const genesis = parseHeader(GENESIS, 'bitcoin');
    const next = parseHeader(BLOCK_1, 'bitcoin');
    expect(genesis.hash).toBe('000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f');
    expect(next.hash).toBe('00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048');
    expect(next.prevHash).toBe(genesis.hash);
    expect(workOf(GENESIS)).toBe(0x1_0001_0001n);
  });
  it('without its proof of work is refused', () => {
    expect(() => parseHeader(changed(BLOCK_1, 76, 0), 'bitcoin')).toThrow('proof of work is missing');
  });
  it('with a target easier than the network allows is refused', () => {
    expect(() => parseHeader(changed(BLOCK_1, 75, 0x1e), 'bitcoin')).toThrow('out of range');
  });
  it('as easy as in 2009 is no beginning for a new node of mainnet', () => {
    const old = parseHeader(BLOCK_1, 'bitcoin');
    expect(() => {
      assertMayStart(old, 'bitcoin');
    }).toThrow('too little work');
    assertMayStart(old, 'testnet');
    assertMayStart({ ...old, bits: 0x17034219 }, 'bitcoin'); // of block 840,000
  });
  it.each([79, 81])('of %i bytes is refused', (length) => {
    expect(() => parseHeader(Buffer.alloc(length), 'bitcoin')).toThrow('expected 80 bytes');
  });
});

describe('a child', () => {
  const parent = { hash: parseHeader(GENESIS, 'bitcoin').hash, header: GENESIS };
  const child = parseHeader(BLOCK_1, 'bitcoin');

  it('follows its parent', () => {
    expect(() => {
      assertFollows(child, parent, 1, 'bitcoin');
    }).not.toThrow();
  });
  it('of another parent is refused', () => {
    expect(() => {
      assertFollows(child, { ...parent, hash: child.hash }, 1, 'bitcoin');
    }).toThrow('does not follow');
  });
  it('may change the difficulty only at a retarget, and not too far down', () => {
    const harder = { ...parent, header: changed(GENESIS, 75, 0x1c) };
    const check = (height: number) => () => {
      assertFollows(child, harder, height, 'bitcoin');
    };
    expect(check(2015)).toThrow('difficulty changed at height 2015');
    expect(check(2016)).toThrow('difficulty fell');
    expect(() => {
      assertFollows(child, harder, 2015, 'testnet');
    }).not.toThrow();
  });
});
