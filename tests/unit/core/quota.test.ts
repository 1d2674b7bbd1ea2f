import { describe, expect, it } from 'vitest';

import { openUnpaidLimit } from '../../../src/core/quota.js';

describe('the number of unpaid swaps of a buyer', () => {
  it.each([
    [5, 0, 5],
    [5, 1, 2],
    [5, 2, 2],
    [5, 4, 2],
    [2, 0, 2],
    [2, 1, 2],
    [1, 0, 1],
    [1, 1, 1],
  ])('configured %i, expired %i: %i in all', (configured, expired, limit) => {
    expect(openUnpaidLimit({ configured, expired })).toBe(limit);
  });
});
