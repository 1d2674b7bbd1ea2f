/** CreateSwap: insert first, then drive; the same request always answers with the same swap. */
import { createHash } from 'node:crypto';

import { hashPreimage, pubkeyHash } from '../core/htlc.js';
import { isFinalState, type Swap } from '../core/swap.js';
import { canonicalTerms, termsHash } from '../core/terms.js';
import { PROFILES } from '../core/timelock.js';
import { hex, msat, swapId, unixSecs, type Pubkey, type SwapId } from '../core/units.js';
import { failpointsAroundCommit } from '../failpoint.js';
import { inBackground } from '../engine/loop.js';
import { SwapError } from '../errors.js';
import type { CreateSwapRequest, Swap as SwapMessage } from '../gen/ln_liquid_swap/v1/swap.js';
import type { Quote } from '../store/quotes.js';
import { findRequest, findSwap, insertRequest, insertSwap, nextKeyIndex } from '../store/swaps.js';
import {
  requireClaimProof,
  requireInboundCapacity,
  requireQuota,
  requireShare,
  requireUnused,
  usableQuote,
  type CreateSwapInput,
} from './admission.js';
import { swapStates } from './changes.js';
import type { BuyerCall, RpcContext } from './context.js';
import { toSwapMessage } from './convert.js';
import { createSwapSchema, parseRequest } from './parse.js';
import { QUOTE_TTL_SECS, requireInventory, requireOpenForBusiness, sellerNodeId } from './quotes.js';

/** The swap may still be funded this long after its quote expired, seconds. */
const FUNDING_GRACE_SECS = 60;

/** Covers what the buyer asked for, not the proof: a proof made again is the same request. */
const bodyHash = (input: CreateSwapInput): string =>
  createHash('sha256')
    .update(`${input.quoteId}\n${input.claimPubkey}\n${input.maxPriceMsat.toString()}\n${input.minFundingConfs}\n`)
    .digest('hex');

export async function createSwap(
  ctx: RpcContext,
  request: CreateSwapRequest,
  call: BuyerCall,
): Promise<{ swap: SwapMessage }> {
  const input = parseRequest(createSwapSchema, request);
  const known = replayed(ctx, input, call.principal);
  const id = known ?? (await admit(ctx, input, call.principal));
  const swap = await driveUntil(ctx, id, { isEnough: input.waitUntilFunded ? isShown : isSigned, call });
  return { swap: await toSwapMessage(ctx, swap) };
}

/** @throws SwapError `request_id_reused` if the request id was used with another body. */
function replayed(ctx: RpcContext, input: CreateSwapInput, principal: string): SwapId | undefined {
  const known = findRequest(ctx.store, principal, input.requestId);
  if (known === undefined || known.bodyHash === bodyHash(input)) return known?.swapId;
  throw new SwapError(
    'request_id_reused',
    `request_id ${input.requestId}: expected the body it was used with before, found another; choose a new UUID`,
  );
}

/** Every check that can refuse, then the one commit of step S0. */
async function admit(ctx: RpcContext, input: CreateSwapInput, principal: string): Promise<SwapId> {
  const { tip } = requireOpenForBusiness(ctx);
  const quote = usableQuote(ctx, input, principal);
  const nodeId = await sellerNodeId(ctx);
  requireClaimProof(ctx, input, nodeId);
  await requireInboundCapacity(ctx, quote);
  const store = (): SwapId => {
    // Another call with the same request may have come first while this one asked the node.
    const known = replayed(ctx, input, principal);
    if (known !== undefined) return known;
    requireUnused(ctx, quote);
    requireQuota(ctx, principal);
    requireInventory(ctx, tip, quote);
    requireShare(ctx, quote, tip);
    const swap = newSwap(ctx, { input, principal, quote, nodeId });
    insertSwap(ctx.store, swap);
    insertRequest(ctx.store, swap, bodyHash(input));
    return swap.id;
  };
  return failpointsAroundCommit('created', () => ctx.generation.commit(store));
}

function newSwap(
  ctx: RpcContext,
  deal: { readonly input: CreateSwapInput; readonly principal: string; readonly quote: Quote; readonly nodeId: Pubkey },
): Swap & { readonly state: 'INTENT' } {
  const { input, principal, quote, nodeId } = deal;
  const id = swapId(hex(ctx.randomBytes(16)));
  const keyIndex = nextKeyIndex(ctx.store);
  const profile = PROFILES[quote.profile];
  const paymentHash = hashPreimage(ctx.keys.preimageFor(id));
  const terms = {
    genesis: ctx.genesis,
    sellerNodeId: nodeId,
    swapId: id,
    quoteId: quote.id,
    paymentHash,
    assetId: quote.assetId,
    assetAmount: quote.assetAmount,
    feeSubsidySat: quote.feeSubsidySat,
    priceMsat: quote.priceMsat,
    claimPkh: pubkeyHash(input.claimPubkey),
    refundPkh: pubkeyHash(ctx.keys.refundKey(keyIndex).pubkey),
    profile: quote.profile,
    refundDeltaBlocks: profile.refundDeltaBlocks,
    minFundingConfs: input.minFundingConfs,
    invoiceExpirySecs: profile.invoiceExpirySecs,
  };
  return {
    ...terms,
    state: 'INTENT',
    id,
    principal,
    requestId: input.requestId,
    keyIndex,
    claimPubkey: input.claimPubkey,
    terms: canonicalTerms(terms),
    termsHash: termsHash(terms),
    fundBy: unixSecs(quote.createdAt + QUOTE_TTL_SECS + FUNDING_GRACE_SECS),
    createdAt: ctx.now(),
    version: 0,
    payment: 'NONE',
    heldMsat: msat(0n),
    reason: '',
    isPreimageReleased: false,
    isRestored: false,
    isSubsidyOpen: false,
  };
}

const isSigned = (swap: Swap): boolean => swap.state !== 'INTENT' && swap.state !== 'INVOICED';
const isShown = (swap: Swap): boolean => swap.state === 'FUNDED' || isFinalState(swap.state);

/** Drives the swap until it is far enough or the call has to be answered. */
async function driveUntil(
  ctx: RpcContext,
  id: SwapId,
  options: { readonly isEnough: (swap: Swap) => boolean; readonly call: BuyerCall },
): Promise<Swap> {
  inBackground(ctx.log, 'reconcile', ctx.reconciler.reconcile(id));
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
  };
  const timer = setTimeout(end, Math.max(0, options.call.answerBy - Date.now()));
  options.call.signal.addEventListener('abort', end, { once: true });
  let last: Swap | undefined;
  for await (const swap of swapStates(ctx, id, stop.signal)) {
    last = swap;
    if (options.isEnough(swap)) break;
  }
  clearTimeout(timer);
  options.call.signal.removeEventListener('abort', end);
  const swap = findSwap(ctx.store, id) ?? last;
  if (swap === undefined) throw new Error(`swap ${id} vanished`);
  return swap;
}
