import fc from 'fast-check';
import { expect, it } from 'vitest';

import { txid } from '../../../src/core/units.js';
import { historyContradiction, mergeHistories, type HistoryView } from '../../../src/liquid/electrumCompare.js';

const TIP = 10;
const ids = Array.from({ length: 4 }, (_, n) => txid(n.toString(16).padStart(64, '0')));

/** A history of some of four transactions; heights from below -1 to above any tip. */
const entries = fc.uniqueArray(fc.record({ txid: fc.constantFrom(...ids), height: fc.integer({ min: -1, max: 14 }) }), {
  selector: (entry) => entry.txid,
});
const honestEntries = entries.map((list) => list.filter(({ height }) => height <= TIP));
const honest = honestEntries.map((list): HistoryView => ({
  server: 'honest',
  entries: list,
  tipBefore: TIP,
  tipAfter: TIP,
}));
const liar = fc
  .record({ list: entries, tip: fc.integer({ min: 0, max: 1_000_000 }) })
  .map(({ list, tip }): HistoryView => ({ server: 'liar', entries: list, tipBefore: tip, tipAfter: tip }));

const heightIn = (view: HistoryView, id: string): number | undefined =>
  view.entries.find((entry) => entry.txid === id)?.height;

it('no server alone can hide a transaction', () => {
  fc.assert(
    fc.property(honest, liar, (one, other) => {
      const merged = new Set(mergeHistories([other, one]).map((entry) => entry.txid));
      expect(one.entries.every((entry) => merged.has(entry.txid))).toBe(true);
    }),
  );
});

it('no server alone can confirm a transaction, not even in blocks that only it has', () => {
  fc.assert(
    fc.property(honest, liar, (one, other) => {
      for (const { txid: id, height } of mergeHistories([one, other])) {
        if (height > 0) expect(heightIn(one, id)).toBe(height);
      }
    }),
  );
});

it('the order of the servers changes no height', () => {
  const sorted = (views: readonly HistoryView[]): unknown =>
    mergeHistories(views).toSorted((a, b) => (a.txid < b.txid ? -1 : 1));
  fc.assert(
    fc.property(honest, liar, (one, other) => {
      expect(sorted([one, other])).toEqual(sorted([other, one]));
      expect(historyContradiction([one, other]) === undefined).toBe(historyContradiction([other, one]) === undefined);
    }),
  );
});

it('servers that show the same do not contradict each other, whatever their tips', () => {
  fc.assert(
    fc.property(honest, fc.integer({ min: 0, max: 20 }), (one, tip) => {
      expect(historyContradiction([one, { ...one, server: 'other', tipBefore: tip, tipAfter: tip }])).toBeUndefined();
    }),
  );
});

it('a transaction confirmed below the newest block at one server only is always a contradiction', () => {
  fc.assert(
    fc.property(honest, honest, (one, two) => {
      const other = { ...two, server: 'other' };
      const differs = ids.some((id) => {
        const heights = [heightIn(one, id) ?? 0, heightIn(other, id) ?? 0];
        return heights[0] !== heights[1] && heights.some((height) => height > 0 && height < TIP);
      });
      expect(historyContradiction([one, other]) !== undefined).toBe(differs);
    }),
  );
});

it('one server contradicts nobody', () => {
  fc.assert(
    fc.property(liar, (one) => {
      expect(historyContradiction([one])).toBeUndefined();
    }),
  );
});
