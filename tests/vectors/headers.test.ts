import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { encodeHeader, parseHeader } from '../../src/sandbox/liquid/header.js';
import { GENESIS_HASH, GENESIS_HEADER } from '../../src/sandbox/liquid/regtest.js';

type HeaderVector = { readonly height: number; readonly hash: string; readonly header: string };

/** Headers of Elements Core 23.3.3 on regtest, legacy and dynafed. */
const vectors = JSON.parse(readFileSync(new URL('headers.json', import.meta.url), 'utf8')) as HeaderVector[];
const bytesOf = ({ header }: HeaderVector): Buffer => Buffer.from(header, 'hex');

describe('the sandbox parses headers of a real node', () => {
  it.each(vectors)('of height $height', (vector) => {
    expect(parseHeader(bytesOf(vector))).toMatchObject({ height: vector.height, hash: vector.hash });
  });
  it('and has all seven', () => {
    expect(vectors).toHaveLength(7);
  });
  it('and writes dynafed headers as the node does', () => {
    const dynafed = vectors.filter(({ height }) => height > 432);
    expect(dynafed).toHaveLength(3);
    for (const vector of dynafed) {
      expect(encodeHeader(parseHeader(bytesOf(vector))).toString('hex')).toBe(vector.header);
    }
  });
  it('and refuses them cut short or with something behind', () => {
    for (const vector of vectors) {
      const bytes = bytesOf(vector);
      expect(() => parseHeader(bytes.subarray(0, -1))).toThrow('header: expected');
      expect(() => parseHeader(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('header: 1 bytes too many');
    }
  });
  it('and begins with the genesis block of regtest', () => {
    expect(parseHeader(GENESIS_HEADER)).toMatchObject({ height: 0, hash: GENESIS_HASH });
  });
});
