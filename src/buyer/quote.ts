/** Offers and quotes: read strictly out of the seller's answers, and judged before anything is bought. */
import { z } from 'zod';

import { PROFILES, requiredRefundDelta, type ProfileName } from '../core/timelock.js';
import {
  assetAmount,
  assetId,
  blockHash,
  displayHex,
  hex,
  MAX_MONEY,
  msat,
  pubkey,
  quoteId,
  sat,
  satPerKvb,
  toSafeNumber,
  unixSecs,
  type AssetAmount,
  type AssetId,
  type BlockHash,
  type Msat,
  type Pubkey,
  type QuoteId,
  type Sat,
  type UnixSecs,
} from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { ListOffersResponse, Offer, Quote } from '../gen/ln_liquid_swap/v1/swap.js';
import { genesisOf, nowSecs, type ChainSide } from './buyer.js';
import { BuyerError } from './buyerError.js';
import { highestFeeRate, leastSubsidy } from './checkChain.js';
import { MIN_EXPIRY_LEFT_SECS } from './checkInvoice.js';
import { pinnedSeller, pinSeller } from './dataDir.js';
import { printable } from './printable.js';
import type { SellerClient } from './rpcClient.js';
import type { BuyerWallet } from './wallet.js';

/** An offer as parsed. The ticker is the seller's own word. */
export type SellerOffer = {
  readonly assetId: AssetId;
  readonly ticker: string;
  readonly precision: number;
  readonly priceMsatNumerator: bigint;
  readonly priceDenominator: bigint;
  readonly spreadPpm: number;
  readonly minAssetAmount: AssetAmount;
  readonly maxAssetAmount: AssetAmount;
  readonly availableAssetAmount: AssetAmount;
  readonly profile: string;
  readonly refundDeltaBlocks: number;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
  readonly invoiceExpirySecs: number;
};

/** Before the swap exists the subsidy must pay three claims: fees may rise until it is claimed. */
const SUBSIDY_PERCENT = 300n;

/** All offers of a seller, and what it says about itself. */
export type SellerOffers = {
  readonly offers: readonly SellerOffer[];
  readonly genesis: BlockHash;
  readonly sellerNodeId: Pubkey;
  readonly policyAsset: AssetId;
  readonly isPaused: boolean;
};

/** A quote as parsed. */
export type SellerQuote = {
  readonly quoteId: QuoteId;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly priceMsat: Msat;
  readonly feeSubsidySat: Sat;
  readonly profile: ProfileName;
  readonly refundDeltaBlocks: number;
  readonly minFundingConfs: number;
  readonly maxFundingConfs: number;
  readonly invoiceExpirySecs: number;
  readonly expiresAt: UnixSecs;
  readonly genesis: BlockHash;
  readonly sellerNodeId: Pubkey;
};

/** Runs a parser over a seller's answer; what it refuses is the seller's fault, not the user's. */
export function parseAnswer<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof SwapError)) throw cause;
    throw new BuyerError('seller_answer_invalid', `the seller's ${what} is malformed: ${errorChain(cause)}`, cause);
  }
}

function parseOffer(offer: Offer): SellerOffer {
  return {
    assetId: assetId(displayHex(offer.assetId)),
    ticker: printable(offer.ticker).slice(0, 20),
    precision: z.int().min(0).max(8).catch(0).parse(offer.precision),
    priceMsatNumerator: offer.priceMsatNumerator,
    priceDenominator: offer.priceDenominator,
    spreadPpm: offer.spreadPpm,
    minAssetAmount: assetAmount(offer.minAssetAmount),
    maxAssetAmount: assetAmount(offer.maxAssetAmount),
    availableAssetAmount: assetAmount(offer.availableAssetAmount),
    profile: printable(offer.profile),
    refundDeltaBlocks: offer.refundDeltaBlocks,
    minFundingConfs: offer.minFundingConfs,
    maxFundingConfs: offer.maxFundingConfs,
    invoiceExpirySecs: offer.invoiceExpirySecs,
  };
}

/** Asks for the offers. @throws RemoteError; BuyerError `seller_answer_invalid`. */
export async function listOffers(client: SellerClient): Promise<SellerOffers> {
  const answer: ListOffersResponse = await client.listOffers({});
  return parseAnswer('list of offers', () => ({
    offers: answer.offers.map(parseOffer),
    genesis: blockHash(displayHex(answer.genesisHash)),
    sellerNodeId: pubkey(hex(answer.sellerNodeId)),
    policyAsset: assetId(displayHex(answer.policyAssetId)),
    isPaused: answer.paused,
  }));
}

const isProfile = (name: string): name is ProfileName => Object.hasOwn(PROFILES, name);

function parseQuote(quote: Quote | undefined): SellerQuote {
  if (quote === undefined || !isProfile(quote.profile)) {
    const found = quote === undefined ? 'none' : `profile "${printable(quote.profile)}"`;
    throw new SwapError('invalid_argument', `expected a quote with a known timelock profile, found ${found}`);
  }
  return {
    quoteId: quoteId(hex(quote.quoteId)),
    assetId: assetId(displayHex(quote.assetId)),
    assetAmount: assetAmount(quote.assetAmount),
    priceMsat: msat(quote.priceMsat),
    feeSubsidySat: sat(quote.feeSubsidySats),
    profile: quote.profile,
    refundDeltaBlocks: quote.refundDeltaBlocks,
    minFundingConfs: quote.minFundingConfs,
    maxFundingConfs: quote.maxFundingConfs,
    invoiceExpirySecs: quote.invoiceExpirySecs,
    expiresAt: unixSecs(toSafeNumber(quote.expiresAtUnixSecs)),
    genesis: blockHash(displayHex(quote.genesisHash)),
    sellerNodeId: pubkey(hex(quote.sellerNodeId)),
  };
}

/** Asks for a price. @throws RemoteError; BuyerError `seller_answer_invalid`, also for a quote of something else. */
export async function requestQuote(
  client: SellerClient,
  order: { readonly assetId: AssetId; readonly assetAmount: AssetAmount },
): Promise<SellerQuote> {
  const { quote } = await client.createQuote({
    assetId: Buffer.from(order.assetId, 'hex').reverse(),
    assetAmount: order.assetAmount,
  });
  const parsed = parseAnswer('quote', () => parseQuote(quote));
  if (parsed.assetId !== order.assetId || parsed.assetAmount !== order.assetAmount) {
    throw new BuyerError(
      'seller_answer_invalid',
      `expected a quote of ${order.assetAmount} of ${order.assetId}, found ${parsed.assetAmount} of ${parsed.assetId}`,
    );
  }
  return parsed;
}

/** No fee rate that a server may name (1000 sat/vB) explains a greater subsidy: it would be a price of its own. */
const MAX_SUBSIDY_SAT = leastSubsidy(satPerKvb(1_000_000n), SUBSIDY_PERCENT);
/** A quote is a matter of minutes, an invoice one of hours, a refund one of weeks. */
const MAX_QUOTE_LIFE_SECS = 86_400;
const MAX_INVOICE_EXPIRY_SECS = 86_400;
const MAX_REFUND_DELTA_BLOCKS = 100_000;

/** A problem, unless it holds. */
const unless = (holds: boolean, problem: string): string[] => (holds ? [] : [problem]);
const between = (what: string, found: number | bigint, least: number | bigint, most: number | bigint): string[] =>
  unless(found >= least && found <= most, `expected ${least}..${most} ${what}, found ${found}`);

/**
 * What the buyer insists on before it starts a swap; the sentences say what is wrong. The subsidy may be small if the
 * buyer's own wallet holds that much L-BTC; the wallet is asked only then.
 *
 * @throws BuyerError `quote_refused`; SwapError `chain_unavailable` if a server, or the wallet, does not answer.
 */
export async function refuseBadQuote(
  side: ChainSide & { readonly wallet?: Pick<BuyerWallet, 'lbtcSat'> | undefined },
  quote: SellerQuote,
  wishes: { readonly minFundingConfs: number; readonly maxPriceMsat: Msat | undefined },
): Promise<void> {
  const { network, chains, wallet } = side;
  const feeRates = await Promise.all(chains.map(async ({ chain }) => ({ feeRate: await chain.feeRate() })));
  const subsidy = leastSubsidy(highestFeeRate(feeRates), SUBSIDY_PERCENT);
  const { minFundingConfs, maxPriceMsat = quote.priceMsat } = wishes;
  const { priceMsat, feeSubsidySat, refundDeltaBlocks, invoiceExpirySecs, profile } = quote;
  const genesis = genesisOf(network);
  const secsLeft = quote.expiresAt - nowSecs();
  const problems = [
    ...unless(quote.genesis === genesis, `expected chain ${genesis}, found ${quote.genesis}`),
    ...unless(profile !== 'regtest' || network === 'regtest', 'profile "regtest" is for regtest only'),
    ...between('refund blocks', refundDeltaBlocks, requiredRefundDelta(PROFILES[profile]), MAX_REFUND_DELTA_BLOCKS),
    ...between('confirmations', minFundingConfs, quote.minFundingConfs, quote.maxFundingConfs),
    ...between('seconds of invoice life', invoiceExpirySecs, MIN_EXPIRY_LEFT_SECS, MAX_INVOICE_EXPIRY_SECS),
    ...unless(priceMsat <= maxPriceMsat, `expected a price of at most ${maxPriceMsat} msat, found ${priceMsat} msat`),
    ...unless(
      quote.assetAmount > 0n && quote.assetAmount + feeSubsidySat <= MAX_MONEY,
      `expected an amount that the chain can hold, found ${quote.assetAmount} and ${feeSubsidySat} sat`,
    ),
    ...unless(
      feeSubsidySat <= MAX_SUBSIDY_SAT,
      `expected at most ${MAX_SUBSIDY_SAT} sat for the claim fee, found ${feeSubsidySat}`,
    ),
    ...unless(secsLeft > 0, `the quote expired ${-secsLeft} s ago; ask for a new one`),
    ...unless(secsLeft <= MAX_QUOTE_LIFE_SECS, `expected a quote for a day at most, found one for ${secsLeft} s`),
  ];
  // A wallet takes its time: it is not looked at for a quote that is refused anyway.
  const isShort = feeSubsidySat < subsidy;
  const own = isShort && problems.length === 0 && wallet !== undefined ? await wallet.lbtcSat() : 0n;
  if (isShort && own < subsidy) {
    problems.push(
      `expected ${subsidy} sat for the claim fee, found ${feeSubsidySat} (and ${own} sat in our own wallet)`,
    );
  }
  if (problems.length > 0) throw new BuyerError('quote_refused', problems.join('; '));
}

/**
 * The seller's node id: given by the user, or pinned on first use in the data directory.
 *
 * @throws BuyerError `seller_node_changed` if the seller names another one.
 */
export function trustedNodeId(
  dir: string,
  seller: { readonly address: string; readonly given: Pubkey | undefined },
  named: Pubkey,
): Pubkey {
  const pinned = seller.given ?? pinnedSeller(dir, seller.address);
  if (pinned !== undefined && pinned !== named) {
    throw new BuyerError(
      'seller_node_changed',
      `expected Lightning node ${pinned} behind ${seller.address}, found ${named}; do not buy before you know why`,
    );
  }
  if (pinned === undefined) pinSeller(dir, seller.address, named);
  return named;
}
