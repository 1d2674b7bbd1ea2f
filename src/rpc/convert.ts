/** Domain to protobuf. Nothing here decides anything but what a buyer may see. */
import type { HtlcReport } from '../core/facts.js';
import {
  isFunded,
  PUBLIC_STATUS,
  type FundedSwap,
  type PaymentStatus as Payment,
  type PublicStatus,
  type Swap,
} from '../core/swap.js';
import { PROFILES } from '../core/timelock.js';
import { reversedBytes, type BlockHeight, type UnixSecs } from '../core/units.js';
import { reportHtlc } from '../engine/facts.js';
import type { Tip } from '../liquid/chain.js';
import {
  NextAction,
  PaymentStatus,
  SwapStatus,
  type Offer,
  type Quote,
  type Swap as SwapMessage,
} from '../gen/ln_liquid_swap/v1/swap.js';
import { isQuoteUsed, type Quote as StoredQuote } from '../store/quotes.js';
import { findSwapTx } from '../store/txs.js';
import type { RpcContext } from './context.js';
import type { ConfiguredOffer } from './offers.js';
import { soon } from './soon.js';

const SECS_PER_BLOCK = 60;
const NO_BYTES = Buffer.alloc(0);
const SHOWN_MS = 1_000;
const MAX_SHOWN = 1_000;

/** The public status as a number of the protocol. */
export const STATUS = {
  CREATED: SwapStatus.CREATED,
  FUNDED: SwapStatus.FUNDED,
  CLAIMED: SwapStatus.CLAIMED,
  REFUNDED: SwapStatus.REFUNDED,
  FAILED: SwapStatus.FAILED,
  OWED: SwapStatus.OWED,
} as const satisfies Record<PublicStatus, SwapStatus>;

/** The payment status as a number of the protocol. */
export const PAYMENT = {
  NONE: PaymentStatus.NONE,
  OPEN: PaymentStatus.OPEN,
  HELD: PaymentStatus.HELD,
  SETTLING: PaymentStatus.SETTLING,
  SETTLED: PaymentStatus.SETTLED,
  CANCELING: PaymentStatus.CANCELING,
  CANCELED: PaymentStatus.CANCELED,
} as const satisfies Record<Payment, PaymentStatus>;

/**
 * The swap as its buyer sees it.
 *
 * @param knownConfs depth of the funding to show if the server does not answer.
 */
export async function toSwapMessage(ctx: RpcContext, swap: Swap, knownConfs = 0): Promise<SwapMessage> {
  const tip = (await soon(ctx.chain.tip())) ?? ctx.health.tip;
  const htlc = isFunded(swap) && tip !== undefined ? await soon(shownHtlc(ctx, swap, tip)) : undefined;
  return {
    ...identity(swap),
    ...progress(swap, { tip: tip?.height, now: ctx.now() }),
    ...fundingPart(ctx, swap, htlc?.confs ?? knownConfs),
    bolt11: isInvoiceVisible(swap) && 'bolt11' in swap ? swap.bolt11 : '',
    preimage: swap.isPreimageReleased ? Buffer.from(ctx.keys.preimageFor(swap.id)) : NO_BYTES,
  };
}

/** Many readers of one swap are one question to the server: the answer is good for a short while. */
async function shownHtlc(ctx: RpcContext, swap: FundedSwap, tip: Tip): Promise<HtlcReport | undefined> {
  const key = `${swap.version} ${tip.hash}`;
  const known = ctx.shownHtlcs.get(swap.id);
  if (known?.key === key && Date.now() - known.at < SHOWN_MS) return known.report;
  const report = reportHtlc(ctx, swap, { tip: tip.height, isDecisive: false }).catch(() => undefined);
  if (ctx.shownHtlcs.size > MAX_SHOWN) ctx.shownHtlcs.clear();
  ctx.shownHtlcs.set(swap.id, { key, at: Date.now(), report });
  return report;
}

/** The invoice is shown from the moment the funding is deep enough until it can no longer be paid. */
export function isInvoiceVisible(swap: Swap): boolean {
  return swap.state === 'FUNDED' && (swap.payment === 'OPEN' || swap.payment === 'HELD');
}

function identity(swap: Swap) {
  return {
    swapId: Buffer.from(swap.id, 'hex'),
    status: STATUS[PUBLIC_STATUS[swap.state]],
    paymentStatus: PAYMENT[swap.payment],
    reason: swap.reason,
    requestId: swap.requestId,
    quoteId: Buffer.from(swap.quoteId, 'hex'),
    paymentHash: Buffer.from(swap.paymentHash, 'hex'),
    terms: swap.terms,
    termsHash: Buffer.from(swap.termsHash, 'hex'),
    assetId: reversedBytes(swap.assetId),
    assetAmount: swap.assetAmount,
    priceMsat: swap.priceMsat,
    feeSubsidySats: swap.feeSubsidySat,
    minFundingConfs: swap.minFundingConfs,
    createdAtUnixSecs: BigInt(swap.createdAt),
    version: BigInt(swap.version),
  };
}

function fundingPart(ctx: RpcContext, swap: Swap, fundingConfs: number) {
  const own = isFunded(swap) ? findSwapTx(ctx.store, swap.id, 'funding') : undefined;
  if (!isFunded(swap) || own === undefined) {
    return {
      witnessScript: NO_BYTES,
      refundHeight: 0,
      fundingTxid: NO_BYTES,
      fundingTx: NO_BYTES,
      outpoints: [],
      fundingConfs: 0,
      claimTxid: NO_BYTES,
      refundTxid: NO_BYTES,
    };
  }
  return {
    witnessScript: swap.witnessScript,
    refundHeight: swap.refundHeight,
    fundingTxid: reversedBytes(swap.fundingTxid),
    fundingTx: own.raw,
    outpoints: swap.outpoints.map((each) => ({
      txid: reversedBytes(each.outpoint.txid),
      vout: each.outpoint.vout,
      assetId: reversedBytes(each.assetId),
      value: each.value,
    })),
    fundingConfs,
    claimTxid: 'claimTxid' in swap ? reversedBytes(swap.claimTxid) : NO_BYTES,
    refundTxid: 'refundTxid' in swap ? reversedBytes(swap.refundTxid) : NO_BYTES,
  };
}

type When = { readonly tip: BlockHeight | undefined; readonly now: UnixSecs };

function progress(swap: Swap, when: When) {
  const action = nextAction(swap);
  const height = action === NextAction.SELLER_REFUNDS && isFunded(swap) ? swap.refundHeight : 0;
  const blocks = when.tip === undefined ? 0 : Math.max(0, height - when.tip);
  return {
    nextAction: action,
    nextActionHeight: height,
    nextActionEtaUnixSecs: height === 0 ? 0n : BigInt(when.now + blocks * SECS_PER_BLOCK),
  };
}

/** Who does what next. */
export function nextAction(swap: Swap): NextAction {
  switch (swap.state) {
    case 'INTENT':
    case 'INVOICED':
      return NextAction.SELLER_FUNDS;
    case 'FUNDING_SIGNED':
    case 'ABORTING':
      return NextAction.WAIT_FOR_CONFIRMATIONS;
    case 'FUNDED':
      return actionWhenFunded(swap.payment);
    case 'CLAIM_SEEN':
    case 'REFUND_SEEN':
      return NextAction.WAIT_FOR_FINALITY;
    case 'CLAIMED':
    case 'REFUNDED':
    case 'FAILED':
    case 'OWED':
      return NextAction.NONE;
    default:
      throw new Error(`unknown state ${JSON.stringify(swap satisfies never)}`);
  }
}

function actionWhenFunded(payment: Payment): NextAction {
  switch (payment) {
    case 'NONE':
    case 'OPEN':
      return NextAction.BUYER_PAYS;
    case 'HELD':
    case 'SETTLING':
      return NextAction.SELLER_SETTLES;
    case 'SETTLED':
      return NextAction.BUYER_CLAIMS;
    case 'CANCELING':
    case 'CANCELED':
      return NextAction.SELLER_REFUNDS;
    default:
      throw new Error(`unknown payment status ${payment satisfies never}`);
  }
}

/** @throws SwapError `lightning_unavailable` while the node was never seen: the buyer must know who signs. */
export function toQuoteMessage(ctx: RpcContext, quote: StoredQuote, sellerNodeId: string): Quote {
  const profile = PROFILES[quote.profile];
  return {
    quoteId: Buffer.from(quote.id, 'hex'),
    assetId: reversedBytes(quote.assetId),
    assetAmount: quote.assetAmount,
    priceMsat: quote.priceMsat,
    feeSubsidySats: quote.feeSubsidySat,
    profile: quote.profile,
    refundDeltaBlocks: profile.refundDeltaBlocks,
    minFundingConfs: quote.minFundingConfs,
    maxFundingConfs: quote.maxFundingConfs,
    invoiceExpirySecs: profile.invoiceExpirySecs,
    expiresAtUnixSecs: BigInt(quote.expiresAt),
    genesisHash: reversedBytes(ctx.genesis),
    sellerNodeId: Buffer.from(sellerNodeId, 'hex'),
    isUsed: isQuoteUsed(ctx.store, quote.id),
  };
}

export function toOfferMessage(offer: ConfiguredOffer, availableAmount: bigint): Offer {
  const profile = PROFILES[offer.profile];
  return {
    assetId: reversedBytes(offer.assetId),
    ticker: offer.ticker,
    precision: offer.precision,
    priceMsatNumerator: offer.priceMsatNumerator,
    priceDenominator: offer.priceDenominator,
    spreadPpm: offer.spreadPpm,
    minAssetAmount: offer.minAmount,
    maxAssetAmount: offer.maxAmount,
    profile: offer.profile,
    refundDeltaBlocks: profile.refundDeltaBlocks,
    minFundingConfs: offer.minFundingConfs,
    maxFundingConfs: offer.maxFundingConfs,
    invoiceExpirySecs: profile.invoiceExpirySecs,
    availableAssetAmount: availableAmount < offer.maxAmount ? availableAmount : offer.maxAmount,
  };
}
