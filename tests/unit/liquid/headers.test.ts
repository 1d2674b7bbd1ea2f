import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { displayHex, reversedBytes, txid } from '../../../src/core/units.js';
import { merkleRootFromBranch, parseHeader } from '../../../src/liquid/headers.js';
import vectors from '../../vectors/headers.json' with { type: 'json' };

const hash256 = (bytes: Buffer): Buffer =>
  createHash('sha256').update(createHash('sha256').update(bytes).digest()).digest();

describe("headers of a real node's chain", () => {
  it.each(vectors)('block $height gives its height and hash', ({ height, hash, header }) => {
    const bytes = Buffer.from(header, 'hex');
    expect(parseHeader(bytes)).toMatchObject({ height, hash, end: bytes.length });
  });

  it('stop where the next header starts', () => {
    const [first, second] = vectors;
    const bytes = Buffer.from(`${first?.header ?? ''}${second?.header ?? ''}`, 'hex');
    const { end } = parseHeader(bytes);
    expect(parseHeader(bytes.subarray(end)).hash).toBe(second?.hash);
  });

  it('are refused when one byte is missing, wherever the cut is', () => {
    for (const { header } of vectors) {
      const bytes = Buffer.from(header, 'hex');
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => parseHeader(bytes.subarray(0, length))).toThrow('ends after');
      }
    }
  });

  it('never make the parser do anything but parse or refuse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          return parseHeader(bytes).end <= bytes.length;
        } catch (error) {
          return error instanceof Error && error.name === 'SwapError';
        }
      }),
    );
  });
});

/** Bitcoin's tree: an odd last node is paired with itself. */
function treeOf(leaves: readonly string[]): { root: string; branches: string[][] } {
  const branches: string[][] = leaves.map(() => []);
  let level = leaves.map((leaf) => reversedBytes(leaf));
  let width = 1;
  while (level.length > 1) {
    const nodes = level;
    branches.forEach((branch, leaf) => {
      const index = Math.floor(leaf / width);
      branch.push(displayHex(nodes[index ^ 1] ?? nodes[index] ?? Buffer.alloc(0)));
    });
    level = [];
    for (let i = 0; i < nodes.length; i += 2) {
      const left = nodes[i] ?? Buffer.alloc(0);
      level.push(hash256(Buffer.concat([left, nodes[i + 1] ?? left])));
    }
    width *= 2;
  }
  return { root: displayHex(level[0] ?? Buffer.alloc(0)), branches };
}

describe('a merkle branch', () => {
  it('leads every transaction of a block to its root', () => {
    for (const count of [1, 2, 3, 5, 8, 13]) {
      const leaves = Array.from({ length: count }, (_, i) => hash256(Buffer.of(i)).toString('hex'));
      const { root, branches } = treeOf(leaves);
      leaves.forEach((leaf, position) => {
        expect(merkleRootFromBranch({ txid: txid(leaf), branch: branches[position] ?? [], position })).toBe(root);
      });
    }
  });

  it('leads nowhere with another transaction or position', () => {
    const leaves = ['11', '22', '33', '44'].map((byte) => byte.repeat(32));
    const { root, branches } = treeOf(leaves);
    const branch = branches[2] ?? [];
    const id = txid('33'.repeat(32));
    expect(merkleRootFromBranch({ txid: id, branch, position: 2 })).toBe(root);
    expect(merkleRootFromBranch({ txid: id, branch, position: 3 })).not.toBe(root);
    expect(merkleRootFromBranch({ txid: txid('55'.repeat(32)), branch, position: 2 })).not.toBe(root);
  });

  it.each([
    ['more levels than a block can have', Array.from({ length: 31 }, () => '11'.repeat(32)), 0],
    ['a position outside the tree', ['11'.repeat(32)], 2],
    ['a negative position', ['11'.repeat(32)], -1],
    ['a short hash', ['11'.repeat(31)], 0],
    ['upper case', ['AA'.repeat(32)], 0],
  ])('is refused with %s', (_what, branch, position) => {
    expect(() => merkleRootFromBranch({ txid: txid('00'.repeat(32)), branch, position })).toThrow('merkle branch');
  });
});
