import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { CHECK_CODES } from '../../../src/buyer/check.js';
import { PAYMENT_MOVES, SWAP_STATES } from '../../../src/core/swap.js';
import { PROFILES, requiredRefundDelta, worstCaseMinutes } from '../../../src/core/timelock.js';
import { STATUS_OF_CODE } from '../../../src/rpc/status.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const page = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** The words in backticks of the first cells of a page's tables. */
const firstCells = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word));

describe('the pages', () => {
  it.each(PAGES)('%s links to files that exist', (path) => {
    const targets = [...page(path).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
    const missing = targets
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(resolve(ROOT, dirname(path), target)));
    expect(missing).toEqual([]);
  });

  it('tell the buyer what every check means, in the order of the report', () => {
    const codes = firstCells(page('docs/buyer-guide.md')).filter((word) => Object.hasOwn(CHECK_CODES, word));
    expect(codes).toEqual(Object.keys(CHECK_CODES));
  });

  it('list every error code of the seller', () => {
    const codes = firstCells(page('docs/architecture.md')).filter((word) => Object.hasOwn(STATUS_OF_CODE, word));
    const expected = Object.keys(STATUS_OF_CODE).filter((code) => code !== 'bad_config'); // never sent to a caller
    expect(codes.sort()).toEqual(expected.sort());
  });

  it('tell the operator what every state of a swap means', () => {
    const words = firstCells(page('docs/operations.md'));
    for (const state of [...SWAP_STATES, ...Object.keys(PAYMENT_MOVES)]) expect(words).toContain(state);
  });

  it('give the numbers of the timelocks as the code has them', () => {
    const spaced = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, ' ');
    const table = page('docs/timelocks.md');
    for (const blocks of [1, 6, 42, 48, 84, 164, 336, 468, 1_044, 2_052]) {
      const row = new RegExp(`^\\| ${spaced(blocks)} +\\| ${spaced(worstCaseMinutes(blocks))} `, 'm');
      expect(table).toMatch(row);
    }
    const rows = page('docs/protocol.md').split('\n');
    for (const [name, profile] of Object.entries(PROFILES)) {
      const cells = rows.find((line) => line.startsWith(`| \`${name}\``))?.split('|') ?? [];
      const numbers = [2, 3, 6, 7, 8].map((at) => Number.parseInt((cells[at] ?? '').trim(), 10));
      const { refundDeltaBlocks, maxTotalCltvDelta, payerMin, settleMin } = profile;
      expect(numbers).toEqual([
        refundDeltaBlocks,
        maxTotalCltvDelta,
        payerMin,
        requiredRefundDelta(profile),
        settleMin,
      ]);
    }
  });
});
