/** The purchases of a buyer as a table, with totals. Pure. */
import { printable } from '../buyer/printable.js';
import { isFinal, type PurchaseRecord } from '../buyer/record.js';
import type { AssetId } from '../core/units.js';
import { describeAmount, describeMsat } from './amount.js';
import { table } from './output.js';
import { purchaseView, swapIdOf } from './views.js';

/** What was claimed of one asset, and what was paid for it without routing fees. */
type Total = {
  readonly assetId: AssetId;
  readonly ticker: string;
  readonly precision: number;
  readonly purchases: number;
  readonly assetAmount: bigint;
  readonly priceMsat: bigint;
};

/** The chosen ones, oldest first. */
export function chooseRecords(
  records: readonly PurchaseRecord[],
  wanted: { readonly open: boolean; readonly asset?: string | undefined; readonly limit?: number | undefined },
): PurchaseRecord[] {
  const name = wanted.asset?.toLowerCase();
  return records
    .filter(({ progress }) => !wanted.open || !isFinal(progress.step))
    .filter(({ deal, ticker }) => name === undefined || deal.assetId === name || ticker.toLowerCase() === name)
    .slice(wanted.limit === undefined ? 0 : -wanted.limit);
}

/** One row an asset, of what ended claimed. */
function totalsOf(records: readonly PurchaseRecord[]): Total[] {
  const totals = new Map<AssetId, Total>();
  for (const { progress, deal, ticker, precision } of records) {
    if (progress.step !== 'claimed') continue;
    const before = totals.get(deal.assetId);
    totals.set(deal.assetId, {
      ...(before ?? { assetId: deal.assetId, ticker, precision }),
      purchases: (before?.purchases ?? 0) + 1,
      assetAmount: (before?.assetAmount ?? 0n) + deal.assetAmount,
      priceMsat: (before?.priceMsat ?? 0n) + deal.priceMsat,
    });
  }
  return [...totals.values()];
}

/** For scripts. */
export const historyView = (records: readonly PurchaseRecord[]): object => ({
  purchases: records.map(purchaseView),
  totals: totalsOf(records),
});

/** For people: one purchase a line, then what was bought in all. */
export function describeHistory(records: readonly PurchaseRecord[]): string {
  if (records.length === 0) return 'no such purchases';
  const rows = records.map((record) => [
    String(record.number),
    record.progress.step,
    new Date(record.createdAt * 1000).toISOString().slice(0, 19),
    describeAmount(record.deal.assetAmount, record.precision, printable(record.ticker)),
    describeMsat(record.deal.priceMsat),
    swapIdOf(record) ?? '-',
  ]);
  const totals = totalsOf(records).map(
    ({ ticker, precision, purchases, assetAmount, priceMsat }) =>
      `claimed in all: ${describeAmount(assetAmount, precision, printable(ticker))} for ${describeMsat(priceMsat)} in ${purchases}`,
  );
  return [table([['#', 'STEP', 'TIME (UTC)', 'AMOUNT', 'PRICE', 'SWAP'], ...rows]), ...totals].join('\n');
}
