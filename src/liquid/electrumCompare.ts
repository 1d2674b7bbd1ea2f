/** What several servers' answers amount to together, and where they contradict each other. Pure. */
import { outpointKey, type Txid } from '../core/units.js';
import type { HistoryEntry, UnspentEntry } from './chain.js';

/** A script's history as one server shows it. */
export type HistoryView = {
  readonly server: string;
  readonly entries: readonly HistoryEntry[];
  /** Heights of the server's tip before and after it was asked. */
  readonly tipBefore: number;
  readonly tipAfter: number;
};

/** Blocks that a server may lag behind its own tip in what it tells of a script. */
const INDEX_LAG_BLOCKS = 1;

type Listed = { readonly view: HistoryView; readonly height: number | undefined };

/**
 * All transactions that any server shows, so that no server alone can withhold a spend. Confirmed is only what every server
 * shows in the same block; anything else counts as unconfirmed.
 */
export function mergeHistories(views: readonly HistoryView[]): HistoryEntry[] {
  const merged = [...listings(views)].map(([txid, listed]) => ({ txid, height: agreedHeight(listed) }));
  return merged.sort((a, b) => rank(a.height) - rank(b.height));
}

/** The first contradiction about a confirmed transaction, as a sentence without a subject for the script. */
export function historyContradiction(views: readonly HistoryView[]): string | undefined {
  for (const [txid, listed] of listings(views)) {
    for (const { view, height } of listed) {
      if (height === undefined || height <= 0) continue;
      const other = listed.find(
        (found) => found.height !== height && height <= found.view.tipBefore - INDEX_LAG_BLOCKS,
      )?.view;
      if (other !== undefined) return `${view.server} shows ${txid} in block ${height}, ${other.server} does not`;
    }
  }
  return undefined;
}

/** The outputs that every server shows as unspent. */
export function commonUnspent(answers: readonly (readonly UnspentEntry[])[]): UnspentEntry[] {
  const [first = [], ...others] = answers;
  const maps = others.map((entries) => new Map(entries.map((entry) => [outpointKey(entry.outpoint), entry.height])));
  return first.flatMap(({ outpoint, height }) => {
    const key = outpointKey(outpoint);
    if (!maps.every((heights) => heights.has(key))) return [];
    return [{ outpoint, height: maps.every((heights) => heights.get(key) === height) ? height : 0 }];
  });
}

/** Each transaction, with what every server says about it; undefined is "not listed". */
function listings(views: readonly HistoryView[]): Map<Txid, Listed[]> {
  const heights = views.map((view) => new Map(view.entries.map((entry) => [entry.txid, entry.height])));
  const txids = new Set(views.flatMap((view) => view.entries.map((entry) => entry.txid)));
  return new Map([...txids].map((id) => [id, views.map((view, i) => ({ view, height: heights[i]?.get(id) }))]));
}

/**
 * The height that every server names. It is not enough that those agree which have the block: a liar that is one block
 * ahead would then confirm alone. A height that no tip reaches is a lie, or news that the tip has still to catch up with.
 */
function agreedHeight(listed: readonly Listed[]): number {
  const named = listed.flatMap(({ height }) => (height === undefined ? [] : [height]));
  const [first = 0] = named;
  if (first > 0) {
    const isAgreed = listed.every(({ height }) => height === first);
    return isAgreed && listed.some(({ view }) => view.tipAfter >= first) ? first : 0;
  }
  return named.every((height) => height === -1) ? -1 : 0;
}

/** Confirmed ones first, in the order of their blocks. */
const rank = (height: number): number => (height > 0 ? height : Number.MAX_SAFE_INTEGER);
