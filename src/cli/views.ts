/** How records, swaps, checks and events look: for scripts, and for people. */
import type { Check } from '../buyer/check.js';
import type { Outlook } from '../buyer/outlook.js';
import { printable } from '../buyer/printable.js';
import type { SellerOffer, SellerQuote } from '../buyer/quote.js';
import type { PurchaseRecord } from '../buyer/record.js';
import type { VerificationReport } from '../buyer/verify.js';
import { displayHex, hex } from '../core/units.js';
import { NextAction, PaymentStatus, SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { describeAmount, describeMsat } from './amount.js';
import { contradiction, type KnownAsset } from './asset.js';
import { enumName } from './json.js';
import { colour, fields, table } from './output.js';

/** Time of day, local. */
export const clock = (unixSecs: number): string => new Date(unixSecs * 1000).toLocaleTimeString('en-GB');

/** A purchase without its secrets. */
export function purchaseView(record: PurchaseRecord): object {
  const { progress, deal } = record;
  return {
    number: record.number,
    step: progress.step,
    swapId: swapIdOf(record),
    requestId: record.requestId,
    createdAtUnixSecs: record.createdAt,
    seller: record.sellerAddress,
    sellerNodeId: deal.sellerNodeId,
    assetId: deal.assetId,
    ticker: record.ticker,
    precision: record.precision,
    assetAmount: deal.assetAmount,
    priceMsat: deal.priceMsat,
    feeSubsidySats: deal.feeSubsidySat,
    payoutAddress: record.payout.address,
    paymentHash: 'htlc' in progress ? progress.htlc.paymentHash : undefined,
    refundHeight: 'htlc' in progress ? progress.htlc.refundHeight : undefined,
    fundingTxid: 'htlc' in progress ? progress.htlc.outpoints[0]?.outpoint.txid : undefined,
    claimTxid: claimTxidOf(record),
    reason: progress.step === 'unpaid' ? progress.reason : undefined,
    refundTxid: progress.step === 'lost' ? progress.refundTxid : undefined,
  };
}

/** The swap id once the seller has given one. */
export function swapIdOf({ progress }: PurchaseRecord): string | undefined {
  if ('swapId' in progress) return progress.swapId;
  return 'htlc' in progress ? progress.htlc.swapId : undefined;
}

function claimTxidOf({ progress }: PurchaseRecord): string | undefined {
  if (progress.step === 'claimed') return progress.claimTxid;
  return progress.step === 'claiming' ? progress.claims.at(-1)?.txid : undefined;
}

const amountOf = ({ deal, precision, ticker }: PurchaseRecord): string =>
  describeAmount(deal.assetAmount, precision, ticker);

/** A purchase for people. */
export function describePurchase(record: PurchaseRecord): string {
  const { progress, deal } = record;
  return fields([
    ['purchase', `#${record.number}, ${progress.step}`],
    ['swap', swapIdOf(record) ?? ''],
    ['asset', deal.assetId],
    ['amount', amountOf(record)],
    ['price', describeMsat(deal.priceMsat)],
    ['paid to', record.payout.address],
    ['claim', claimTxidOf(record) ?? ''],
    ['reason', progress.step === 'unpaid' ? progress.reason : ''],
    ['refund', progress.step === 'lost' ? `${progress.refundTxid}: PAID AND REFUNDED, ask the operator` : ''],
  ]);
}

/** Offers for people; the price of one whole unit is rounded up to a satoshi. */
export function describeOffers(offers: readonly SellerOffer[], known: readonly KnownAsset[] = []): string {
  const rows = offers.map((offer) => {
    const { ticker, precision } = offer;
    const whole = offer.priceMsatNumerator * 10n ** BigInt(precision) * BigInt(1_000_000 + offer.spreadPpm);
    const unit = offer.priceDenominator * 1_000_000n * 1000n;
    const price = unit === 0n ? 'unknown' : String((whole + unit - 1n) / unit);
    const amount = (units: bigint): string => describeAmount(units, precision, ticker);
    return [
      printable(ticker),
      offer.assetId,
      ...(known.length === 0 ? [] : [judgeName(offer, known)]),
      `${price} sat`,
      amount(offer.minAssetAmount),
      amount(offer.maxAssetAmount),
      amount(offer.availableAssetAmount),
      offer.profile,
    ];
  });
  if (rows.length === 0) return 'nothing for sale';
  const listed = known.length === 0 ? [] : ['OWN LIST'];
  return table([['TICKER', 'ASSET ID', ...listed, 'ONE COSTS', 'LEAST', 'MOST', 'AVAILABLE', 'TIMELOCKS'], ...rows]);
}

/** What the user's own list says to the names that the seller gives an asset. */
function judgeName(offer: SellerOffer, known: readonly KnownAsset[]): string {
  if (contradiction(offer, known) !== undefined) return 'CONTRADICTS';
  return known.some(({ assetId }) => assetId === offer.assetId) ? 'known' : 'unknown';
}

/** A quote for people. */
export function describeQuote(quote: SellerQuote, ticker: string, precision: number): string {
  return fields([
    ['quote', quote.quoteId],
    ['asset', `${ticker} ${quote.assetId}`],
    ['amount', describeAmount(quote.assetAmount, precision, ticker)],
    ['price', describeMsat(quote.priceMsat)],
    ['for the claim fee', describeAmount(quote.feeSubsidySat, 8, 'L-BTC')],
    ['refund after', `${quote.refundDeltaBlocks} Liquid blocks (${quote.profile})`],
    ['funding depth', `${quote.minFundingConfs} to ${quote.maxFundingConfs} blocks`],
    ['seller node', quote.sellerNodeId],
    ['valid until', clock(quote.expiresAt)],
  ]);
}

/** The seller's word about a swap, for people. */
export function describeSwap(swap: Swap): string {
  const height = swap.nextActionHeight === 0 ? '' : ` at height ${swap.nextActionHeight}`;
  const eta = swap.nextActionEtaUnixSecs === 0n ? '' : `, about ${clock(Number(swap.nextActionEtaUnixSecs))}`;
  const id = (bytes: Uint8Array): string => (bytes.length === 0 ? '' : displayHex(bytes));
  return fields([
    ['swap', hex(swap.swapId)],
    ['status', enumName(SwapStatus, swap.status)],
    ['payment', enumName(PaymentStatus, swap.paymentStatus)],
    ['reason', printable(swap.reason)],
    ['next', `${enumName(NextAction, swap.nextAction)}${height}${eta}`],
    ['asset', id(swap.assetId)],
    ['amount', `${swap.assetAmount} smallest units`],
    ['price', describeMsat(swap.priceMsat)],
    ['funding', id(swap.fundingTxid)],
    ['confirmations', `${swap.fundingConfs} of ${swap.minFundingConfs}`],
    ['refund height', String(swap.refundHeight)],
    ['claim', id(swap.claimTxid)],
    ['refund', id(swap.refundTxid)],
    ['invoice', printable(swap.bolt11)],
  ]);
}

/** One line about a swap that changes. */
export function describeSwapLine(swap: Swap): string {
  const depth =
    swap.status === SwapStatus.CREATED ? `, funding ${swap.fundingConfs} of ${swap.minFundingConfs} deep` : '';
  const reason = swap.reason === '' ? '' : ` (${printable(swap.reason)})`;
  const next = enumName(NextAction, swap.nextAction);
  return `${enumName(SwapStatus, swap.status)}, payment ${enumName(PaymentStatus, swap.paymentStatus)}${depth}, next ${next}${reason}`;
}

/** A verification without the big parts, and what comes next. */
export function reportView(report: VerificationReport, next?: Outlook): object {
  const { checks, facts } = report;
  return { ok: facts !== undefined, checks, maxTotalCltvDelta: facts?.maxTotalCltvDelta, outlook: next };
}

/** Every check with its result; a failed one shows what was expected and found. `verdict` is said at the end. */
export function describeChecks(checks: readonly AnyCheck[], verdict: string): string {
  const codeWidth = Math.max(...checks.map(({ code }) => code.length));
  const lines = checks.flatMap((item) => {
    const mark = item.ok ? colour('green', 'ok  ') : colour('red', 'FAIL');
    const line = `${mark} ${item.code.padEnd(codeWidth)}  ${item.sentence}`;
    if (item.ok) return [line];
    return [line, `       expected ${printable(item.expected)}`, `       found    ${printable(item.found)}`];
  });
  const failed = checks.filter((item) => !item.ok).length;
  const end =
    failed === 0
      ? colour('green', `all ${checks.length} checks passed: ${verdict}`)
      : colour('red', `${failed} of ${checks.length} checks failed: ${verdict}`);
  return [...lines, end].join('\n');
}

type AnyCheck = Pick<Check, 'ok' | 'expected' | 'found' | 'sentence'> & { readonly code: string };

/** A verification for people, and what comes next. */
export function describeReport({ checks, facts }: VerificationReport, next?: Outlook): string {
  const isBegun = next !== undefined && next.payUntil === undefined;
  const cap = facts === undefined || isBegun ? undefined : facts.maxTotalCltvDelta;
  const unpayable = facts === undefined ? 'do not pay' : 'the asset is there';
  const verdict = cap === undefined ? unpayable : `pay with a total CLTV of at most ${cap}`;
  const sentences = next === undefined ? [] : ['', 'What happens next:', ...next.next.map((line) => `  - ${line}`)];
  return [describeChecks(checks, verdict), ...sentences].join('\n');
}
