import { describe, expect, it } from 'vitest';

import { LEAST_PART_MSAT, takeableMsat, type HeldPart } from '../../../src/lnnode/dust.js';

const part = (amountMsat: bigint, isDust = false): HeldPart => ({ amountMsat, isDust });

describe('what could be taken of a payment', () => {
  it.each<[name: string, parts: HeldPart[], left: bigint]>([
    ['in one part is all of it', [part(20_000_000n)], 20_000_000n],
    ['whose channel is not listed any more is nothing', [], 0n],
    ['without the part whose channel is not listed any more', [part(15_000_000n)], 15_000_000n],
    ['in dust is not helped by another HTLC with its hash', [part(20_000_000n, true), part(20_000_000n)], 0n],
    ['without its parts below the limit', [part(18_938_001n), part(LEAST_PART_MSAT - 1n)], 18_938_001n],
    ['with a part at the limit is all of it', [part(18_938_000n), part(LEAST_PART_MSAT)], 20_000_000n],
    ['without what LDK calls dust', [part(15_000_000n), part(5_000_000n, true)], 15_000_000n],
    ['in dust alone is nothing', Array.from({ length: 20 }, () => part(1_000_000n)), 0n],
  ])('%s', (_, parts, left) => {
    expect(takeableMsat(20_000_000n, parts)).toBe(left);
  });
});
