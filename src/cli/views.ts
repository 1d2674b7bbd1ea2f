/** How records, swaps, checks and events look: for scripts, and for people. */
import type { CheckCode } from '../buyer/check.js';
import type { ClaimNews } from '../buyer/claimFollow.js';
import type { PurchaseEvent } from '../buyer/drive.js';
import { printable } from '../buyer/printable.js';
import type { SellerOffer, SellerQuote } from '../buyer/quote.js';
import type { PurchaseRecord } from '../buyer/record.js';
import type { VerificationReport } from '../buyer/verify.js';
import { displayHex, hex } from '../core/units.js';
import { NextAction, PaymentStatus, SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { describeAmount, describeMsat } from './amount.js';
import { enumName } from './json.js';
import { colour, fields, table } from './output.js';

/** Time of day, local. */
const clock = (unixSecs: number): string => new Date(unixSecs * 1000).toLocaleTimeString('en-GB');

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

/** All purchases, one a line. */
export function describeHistory(records: readonly PurchaseRecord[]): string {
  if (records.length === 0) return 'no purchases yet';
  return table([
    ['#', 'STEP', 'TIME', 'AMOUNT', 'PRICE', 'SWAP'],
    ...records.map((record) => [
      String(record.number),
      record.progress.step,
      new Date(record.createdAt * 1000).toISOString().slice(0, 19),
      amountOf(record),
      describeMsat(record.deal.priceMsat),
      swapIdOf(record) ?? '-',
    ]),
  ]);
}

/** Offers for people; the price of one whole unit is rounded up to a satoshi. */
export function describeOffers(offers: readonly SellerOffer[]): string {
  const rows = offers.map((offer) => {
    const { ticker, precision } = offer;
    const whole = offer.priceMsatNumerator * 10n ** BigInt(precision) * BigInt(1_000_000 + offer.spreadPpm);
    const unit = offer.priceDenominator * 1_000_000n * 1000n;
    const price = unit === 0n ? 'unknown' : String((whole + unit - 1n) / unit);
    const amount = (units: bigint): string => describeAmount(units, precision, ticker);
    return [
      ticker,
      offer.assetId,
      `${price} sat`,
      amount(offer.minAssetAmount),
      amount(offer.maxAssetAmount),
      amount(offer.availableAssetAmount),
      offer.profile,
    ];
  });
  if (rows.length === 0) return 'nothing for sale';
  return table([['TICKER', 'ASSET ID', 'ONE COSTS', 'LEAST', 'MOST', 'AVAILABLE', 'TIMELOCKS'], ...rows]);
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

/** A verification without the big parts. */
export function reportView(report: VerificationReport): object {
  return {
    ok: report.facts !== undefined,
    checks: report.checks,
    maxTotalCltvDelta: report.facts?.maxTotalCltvDelta,
  };
}

/** Every check with its result; a failed one shows what was expected and found. */
export function describeReport(report: VerificationReport): string {
  const codeWidth = Math.max(...report.checks.map(({ code }) => code.length));
  const lines = report.checks.flatMap((item) => {
    const code: CheckCode = item.code;
    const mark = item.ok ? colour('green', 'ok  ') : colour('red', 'FAIL');
    const line = `${mark} ${code.padEnd(codeWidth)}  ${item.sentence}`;
    if (item.ok) return [line];
    return [line, `       expected ${item.expected}`, `       found    ${printable(item.found)}`];
  });
  const failed = report.checks.filter((item) => !item.ok).length;
  const { facts } = report;
  const verdict =
    facts === undefined
      ? colour('red', `${failed} of ${report.checks.length} checks failed: do not pay`)
      : colour(
          'green',
          `all ${report.checks.length} checks passed: pay with a total CLTV of at most ${facts.maxTotalCltvDelta}`,
        );
  return [...lines, verdict].join('\n');
}

/** One line of progress, or undefined for what is no news. */
export function describeEvent(event: PurchaseEvent): string | undefined {
  switch (event.kind) {
    case 'step':
      return `step ${event.record.progress.step}`;
    case 'swap':
      return `seller: ${describeSwapLine(event.swap)}`;
    case 'report': {
      const passed = event.report.checks.filter((item) => item.ok).length;
      return `verified on our own servers: ${passed} of ${event.report.checks.length} checks passed`;
    }
    case 'payment':
      return `payment: ${event.state}`;
    case 'claim':
      return claimLine(event.news);
    case 'waiting':
      return `waiting: ${printable(event.problem)}`;
    default:
      throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`);
  }
}

function claimLine(news: ClaimNews): string {
  switch (news.kind) {
    case 'seen':
      return `claim ${news.txid}: ${news.confirmations} of 2 confirmations`;
    case 'broadcast':
      return `claim broadcast through ${news.server}: ${printable(news.outcome)}`;
    case 'bumped':
      return `claim signed again as ${news.txid} with a fee of ${news.feeSat.toString()} sat (${news.reason})`;
    default:
      throw new Error(`unknown news ${JSON.stringify(news satisfies never)}`);
  }
}
