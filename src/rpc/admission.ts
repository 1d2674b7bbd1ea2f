/** Who may start a swap: every refusal that comes before anything is stored. */
import type { z } from 'zod';

import { openUnpaidLimit } from '../core/quota.js';
import { verifyClaimProof } from '../core/terms.js';
import type { BlockHeight, Pubkey } from '../core/units.js';
import { inventory } from '../engine/inventory.js';
import { SwapError } from '../errors.js';
import { findQuote, isQuoteUsed, type Quote } from '../store/quotes.js';
import { countInflight, countOpenUnpaid, unpaidAmounts } from '../store/quotas.js';
import type { RpcContext } from './context.js';
import { currentOffers } from './offers.js';
import type { createSwapSchema } from './parse.js';

/** A checked CreateSwap request. */
export type CreateSwapInput = z.output<typeof createSwapSchema>;

export function usableQuote(ctx: RpcContext, input: CreateSwapInput, principal: string): Quote {
  const quote = findQuote(ctx.store, principal, input.quoteId);
  if (quote === undefined)
    throw new SwapError('quote_not_found', `expected a quote of yours, found none with id ${input.quoteId}`);
  requireUnused(ctx, quote);
  const now = ctx.now();
  if (now > quote.expiresAt)
    throw new SwapError('quote_expired', `the quote expired ${now - quote.expiresAt} s ago; ask for a new one`);
  const offer = currentOffers(ctx).find((each) => each.assetId === quote.assetId);
  if (offer?.profile !== quote.profile)
    throw new SwapError('offer_changed', 'the offer changed since the quote; ask for a new one');
  if (quote.priceMsat > input.maxPriceMsat) {
    throw new SwapError(
      'price_limit_exceeded',
      `price: expected at most ${input.maxPriceMsat.toString()} msat, found ${quote.priceMsat.toString()}`,
    );
  }
  if (input.minFundingConfs < quote.minFundingConfs || input.minFundingConfs > quote.maxFundingConfs) {
    const description = `expected ${quote.minFundingConfs}..${quote.maxFundingConfs}, found ${input.minFundingConfs}`;
    throw new SwapError('invalid_argument', `min_funding_confs: ${description}`, {
      violations: [{ field: 'min_funding_confs', description }],
    });
  }
  return quote;
}

export function requireUnused(ctx: RpcContext, quote: Quote): void {
  if (isQuoteUsed(ctx.store, quote.id))
    throw new SwapError('quote_used', 'the quote was used for another swap; ask for a new one');
}

export function requireClaimProof(ctx: RpcContext, input: CreateSwapInput, nodeId: Pubkey): void {
  const { requestId, quoteId, claimPubkey } = input;
  if (
    verifyClaimProof(input.claimProof, { genesis: ctx.genesis, sellerNodeId: nodeId, requestId, quoteId, claimPubkey })
  )
    return;
  const description = 'expected a low-S signature by claim_pubkey over this request, found another';
  throw new SwapError('invalid_argument', `claim_proof: ${description}`, {
    violations: [{ field: 'claim_proof', description }],
  });
}

export async function requireInboundCapacity(ctx: RpcContext, quote: Quote): Promise<void> {
  const inbound = await ctx.lightning.inboundCapacityMsat();
  if (inbound >= quote.priceMsat) return;
  throw new SwapError(
    'no_inbound_capacity',
    `the seller's node can receive ${inbound.toString()} msat, the price is ${quote.priceMsat.toString()} msat`,
  );
}

export function requireQuota(ctx: RpcContext, principal: string): void {
  const { maxOpenUnpaidPerPrincipal, maxInflightSwaps } = ctx.limits;
  const { open, expired } = countOpenUnpaid(ctx.store, principal);
  const allowed = openUnpaidLimit({ configured: maxOpenUnpaidPerPrincipal, expired });
  if (open >= allowed) {
    const found = expired === 0 ? `${open} unpaid swaps` : `${open} unpaid swaps, ${expired} of them expired`;
    throw new SwapError(
      'too_many_open_swaps',
      `you have ${found}, at most ${allowed} are allowed until they are paid or refunded`,
    );
  }
  const inflight = countInflight(ctx.store);
  if (inflight >= maxInflightSwaps) {
    throw new SwapError(
      'too_many_open_swaps',
      `the seller has ${inflight} swaps under way, at most ${maxInflightSwaps} are allowed; try later`,
    );
  }
}

/** Unpaid swaps lock coins for days: nobody, and not everybody together, may lock more than a share of an asset. */
export function requireShare(ctx: RpcContext, quote: Quote, tip: BlockHeight): void {
  const stock = inventory(ctx, tip).get(quote.assetId);
  const total = (stock?.available ?? 0n) + (stock?.kept ?? 0n) + (stock?.reserved ?? 0n) + (stock?.locked ?? 0n);
  const unpaid = unpaidAmounts(ctx.store, quote.assetId, quote.principal);
  const { maxAssetSharePerPrincipalPpm, maxAssetSharePpm } = ctx.limits;
  const shares: readonly [who: string, amount: bigint, ppm: number][] = [
    ['your unpaid swaps', unpaid.own, maxAssetSharePerPrincipalPpm],
    ['all unpaid swaps', unpaid.all, maxAssetSharePpm],
  ];
  for (const [who, amount, ppm] of shares) {
    const allowed = (total * BigInt(ppm)) / 1_000_000n;
    const found = amount + quote.assetAmount;
    if (found > allowed) {
      throw new SwapError(
        'too_many_open_swaps',
        `${who} would tie up ${found.toString()} of the asset, at most ${allowed.toString()} is allowed; pay or wait for refunds`,
      );
    }
  }
}
