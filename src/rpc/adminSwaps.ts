/** The operator's calls about swaps: list, show, drain. */
import { z } from 'zod';

import { PUBLIC_STATUS, SWAP_STATES, type Swap, type SwapState } from '../core/swap.js';
import { reversedBytes } from '../core/units.js';
import { SwapError } from '../errors.js';
import type {
  AdminSwap,
  DrainRequest,
  DrainResponse,
  ListSwapsRequest,
  OpenSwap,
  ShowSwapRequest,
  ShowSwapResponse,
} from '../gen/ln_liquid_swap/v1/admin.js';
import { SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';
import { listEvents, listSwapTxs } from '../store/history.js';
import { findPause, savePause } from '../store/meta.js';
import { findSwap, listSwaps, openSwapIds } from '../store/swaps.js';
import type { RpcContext } from './context.js';
import { nextAction, PAYMENT, STATUS, toSwapMessage } from './convert.js';
import { parseRequest, reasonField, swapIdSchema } from './parse.js';

const DEFAULT_LIMIT = 100;
const NO_BYTES = Buffer.alloc(0);

const listSchema = z.object({
  status: z.enum(SwapStatus, 'expected a known status'),
  limit: z.int().max(1000, 'expected at most 1000'),
});
const drainSchema = z.object({ reason: reasonField });

/** Internal states behind a public status; all of them for "unspecified". */
function statesOf(wanted: SwapStatus): readonly SwapState[] | undefined {
  if (wanted === SwapStatus.UNSPECIFIED) return undefined;
  return SWAP_STATES.filter((state) => STATUS[PUBLIC_STATUS[state]] === wanted);
}

/** What the buyer sees and its name; the preimage is the buyer's alone. */
async function toAdminSwap(ctx: RpcContext, swap: Swap): Promise<AdminSwap> {
  const message = { ...(await toSwapMessage(ctx, swap)), preimage: NO_BYTES };
  return { swap: message, internalState: swap.state, principal: swap.principal };
}

export async function swapList(ctx: RpcContext, request: ListSwapsRequest): Promise<AdminSwap[]> {
  const { status: wanted, limit } = parseRequest(listSchema, request);
  const states = statesOf(wanted);
  const found = listSwaps(ctx.store, {
    limit: limit === 0 ? DEFAULT_LIMIT : limit,
    ...(states === undefined ? {} : { states }),
  });
  return Promise.all(found.map((swap) => toAdminSwap(ctx, swap)));
}

/** @throws SwapError `swap_not_found`. */
export async function showSwap(ctx: RpcContext, request: ShowSwapRequest): Promise<ShowSwapResponse> {
  const { swapId: id } = parseRequest(swapIdSchema, request);
  const swap = findSwap(ctx.store, id);
  if (swap === undefined) throw new SwapError('swap_not_found', `expected a swap, found none with id ${id}`);
  return {
    swap: await toAdminSwap(ctx, swap),
    keyIndex: swap.keyIndex,
    bolt11: 'bolt11' in swap ? swap.bolt11 : '',
    invoiceExpiresAtUnixSecs: BigInt('invoiceExpiresAt' in swap ? swap.invoiceExpiresAt : 0),
    fundByUnixSecs: BigInt(swap.fundBy),
    heldMsat: swap.heldMsat,
    profile: swap.profile,
    claimPubkey: Buffer.from(swap.claimPubkey, 'hex'),
    sellerNodeId: Buffer.from(swap.sellerNodeId, 'hex'),
    isPreimageReleased: swap.isPreimageReleased,
    isRestored: swap.isRestored,
    isSubsidyOpen: swap.isSubsidyOpen,
    events: listEvents(ctx.store, id).map(({ createdAt, ...event }) => ({
      ...event,
      createdAtUnixSecs: BigInt(createdAt),
    })),
    transactions: listSwapTxs(ctx.store, id).map(({ createdAt, feeSat, txid, ...own }) => ({
      ...own,
      txid: reversedBytes(txid),
      feeSats: feeSat,
      createdAtUnixSecs: BigInt(createdAt),
    })),
  };
}

const toOpenSwap = (swap: Swap): OpenSwap => ({
  swapId: Buffer.from(swap.id, 'hex'),
  internalState: swap.state,
  paymentStatus: PAYMENT[swap.payment],
  nextAction: nextAction(swap),
  refundHeight: 'refundHeight' in swap ? swap.refundHeight : 0,
  principal: swap.principal,
});

/** Stops new business and tells what is left; a reason that was given before stays unless there is a new one. */
export function drainSwaps(ctx: RpcContext, request: DrainRequest): DrainResponse {
  const given = parseRequest(drainSchema, request).reason;
  const reason = given === '' ? (findPause(ctx.store) ?? 'draining: the operator lets open swaps end') : given;
  ctx.store.tx(() => {
    savePause(ctx.store, reason);
  });
  const openSwaps = openSwapIds(ctx.store).flatMap((id) => {
    const swap = findSwap(ctx.store, id);
    return swap === undefined ? [] : [toOpenSwap(swap)];
  });
  return { reason, openSwaps };
}
