/** ListOffers, CreateQuote, GetQuote. */
import { feeSubsidySat, priceMsat } from '../core/pricing.js';
import {
  hex,
  quoteId,
  reversedBytes,
  unixSecs,
  type AssetAmount,
  type BlockHeight,
  type Pubkey,
  type Sat,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import { fenceReason } from '../engine/fence.js';
import { inventory } from '../engine/inventory.js';
import { currentFeeRate } from '../engine/walletSpend.js';
import type {
  CreateQuoteRequest,
  GetQuoteRequest,
  ListOffersResponse,
  Quote as QuoteMessage,
} from '../gen/ln_liquid_swap/v1/swap.js';
import { findPause } from '../store/meta.js';
import { deleteExpiredQuotes, findQuote, insertQuote, type Quote } from '../store/quotes.js';
import { requireShare } from './admission.js';
import type { BuyerCall, RpcContext } from './context.js';
import { toOfferMessage, toQuoteMessage } from './convert.js';
import { currentOffers, offerOf, type ConfiguredOffer } from './offers.js';
import { createQuoteSchema, getQuoteSchema, parseRequest } from './parse.js';

/** Life of a quote, seconds. */
export const QUOTE_TTL_SECS = 60;
/** Unused quotes are kept this long after they expired, so that a late buyer learns why. */
const KEEP_QUOTES_SECS = 3_600;

/** The node that signs our invoices. @throws SwapError `lightning_unavailable` while it does not answer. */
export async function sellerNodeId(ctx: RpcContext): Promise<Pubkey> {
  return (ctx.health.node ?? (await ctx.lightning.getInfo())).nodeId;
}

/**
 * @throws SwapError `paused`, `read_only`, `fenced`, `degraded`, `chain_unavailable` or `lightning_unavailable` while no
 *   new business is accepted.
 */
export function requireOpenForBusiness(ctx: RpcContext): { readonly tip: BlockHeight } {
  const pause = findPause(ctx.store);
  if (pause !== undefined) throw new SwapError('paused', 'the seller takes no new swaps right now');
  if (ctx.store.isReadOnly) throw new SwapError('read_only', 'the seller cannot store new swaps right now');
  if (fenceReason(ctx) !== undefined)
    throw new SwapError('fenced', 'the seller has to check its records before it takes new swaps');
  if (ctx.health.degradedReason !== undefined)
    throw new SwapError('degraded', `the seller's view of the chain is not safe: ${ctx.health.degradedReason}`);
  if (ctx.health.tip === undefined) throw new SwapError('chain_unavailable', 'the seller has no view of the chain yet');
  if (ctx.health.lightningProblem !== undefined)
    throw new SwapError('lightning_unavailable', "the seller's Lightning node is not ready; try again");
  return { tip: ctx.health.tip.height };
}

/**
 * Amount of the asset, and of L-BTC for the subsidy, that a swap needs; they are one when L-BTC is sold.
 *
 * @throws SwapError `insufficient_inventory` with needed and found amounts.
 */
export function requireInventory(
  ctx: RpcContext,
  tip: BlockHeight,
  swap: { assetId: string; assetAmount: AssetAmount; feeSubsidySat: Sat },
): void {
  const stock = inventory(ctx, tip);
  const needs = new Map<string, bigint>([[swap.assetId, swap.assetAmount]]);
  needs.set(ctx.policyAsset, (needs.get(ctx.policyAsset) ?? 0n) + swap.feeSubsidySat);
  for (const [asset, needed] of needs) {
    const found = [...stock].find(([id]) => id === asset)?.[1].available ?? 0n;
    if (found < needed) {
      throw new SwapError(
        'insufficient_inventory',
        `asset ${asset}: ${needed.toString()} needed, ${found.toString()} for sale`,
      );
    }
  }
}

export async function listOffers(ctx: RpcContext): Promise<ListOffersResponse> {
  const nodeId = await sellerNodeId(ctx);
  const tip = ctx.health.tip?.height;
  const stock = tip === undefined ? undefined : inventory(ctx, tip);
  return {
    offers: currentOffers(ctx).map((offer) => toOfferMessage(offer, stock?.get(offer.assetId)?.available ?? 0n)),
    genesisHash: reversedBytes(ctx.genesis),
    sellerNodeId: Buffer.from(nodeId, 'hex'),
    policyAssetId: reversedBytes(ctx.policyAsset),
    paused: findPause(ctx.store) !== undefined,
  };
}

function requireAmountInLimits(offer: ConfiguredOffer, amount: AssetAmount): void {
  if (amount >= offer.minAmount && amount <= offer.maxAmount) return;
  const description = `expected ${offer.minAmount.toString()}..${offer.maxAmount.toString()}, found ${amount.toString()}`;
  throw new SwapError('invalid_argument', `asset_amount: ${description}`, {
    violations: [{ field: 'asset_amount', description }],
  });
}

export async function createQuote(
  ctx: RpcContext,
  request: CreateQuoteRequest,
  call: BuyerCall,
): Promise<{ quote: QuoteMessage }> {
  const input = parseRequest(createQuoteSchema, request);
  const { tip } = requireOpenForBusiness(ctx);
  const offer = offerOf(ctx, input.assetId);
  requireAmountInLimits(offer, input.assetAmount);
  const subsidy = feeSubsidySat(await currentFeeRate(ctx));
  const now = ctx.now();
  const quote: Quote = {
    id: quoteId(hex(ctx.randomBytes(16))),
    principal: call.principal,
    assetId: input.assetId,
    assetAmount: input.assetAmount,
    priceMsat: priceMsat({ price: offer, assetAmount: input.assetAmount, feeSubsidySat: subsidy }),
    feeSubsidySat: subsidy,
    profile: offer.profile,
    minFundingConfs: offer.minFundingConfs,
    maxFundingConfs: offer.maxFundingConfs,
    createdAt: now,
    expiresAt: unixSecs(now + QUOTE_TTL_SECS),
  };
  requireInventory(ctx, tip, quote);
  requireShare(ctx, quote, tip);
  const nodeId = await sellerNodeId(ctx);
  ctx.store.tx(() => {
    deleteExpiredQuotes(ctx.store, unixSecs(now - KEEP_QUOTES_SECS));
    insertQuote(ctx.store, quote);
  });
  return { quote: toQuoteMessage(ctx, quote, nodeId) };
}

export async function getQuote(
  ctx: RpcContext,
  request: GetQuoteRequest,
  call: BuyerCall,
): Promise<{ quote: QuoteMessage }> {
  const input = parseRequest(getQuoteSchema, request);
  const quote = findQuote(ctx.store, call.principal, input.quoteId);
  if (quote === undefined)
    throw new SwapError('quote_not_found', `expected a quote of yours, found none with id ${input.quoteId}`);
  return { quote: toQuoteMessage(ctx, quote, await sellerNodeId(ctx)) };
}
