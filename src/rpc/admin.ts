/** The operator's calls. */
import { z } from 'zod';

import { PUBLIC_STATUS, SWAP_STATES, type SwapState } from '../core/swap.js';
import { reversedBytes, type AssetId } from '../core/units.js';
import { SwapError } from '../errors.js';
import { inventory } from '../engine/inventory.js';
import { withdraw as withdrawFromWallet } from '../engine/withdraw.js';
import type {
  AdminServiceImplementation,
  AdminSwap,
  AssetBalance,
  GetStatusResponse,
  ListSwapsRequest,
  SetOfferRequest,
} from '../gen/ln_liquid_swap/v1/admin.js';
import { SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';
import { deletePause, findPause, savePause } from '../store/meta.js';
import { saveOfferChange } from '../store/quotes.js';
import { listSwaps, openSwapIds } from '../store/swaps.js';
import type { RpcContext } from './context.js';
import { STATUS, toOfferMessage, toSwapMessage } from './convert.js';
import { offerOf } from './offers.js';
import { amountField, assetField, parseRequest, uuidField } from './parse.js';

const LBTC_PRECISION = 8;
const DEFAULT_LIMIT = 100;
const MAX_PPM = 1_000_000;

const withdrawSchema = z.object({
  requestId: uuidField,
  address: z.string().min(1, 'expected an address').max(200, 'expected an address'),
  assetId: assetField,
  assetAmount: amountField,
});
const pauseSchema = z.object({ reason: z.string().max(200, 'expected at most 200 characters') });
const listSchema = z.object({
  status: z.enum(SwapStatus, 'expected a known status'),
  limit: z.int().max(1000, 'expected at most 1000'),
});
const price = z
  .bigint()
  .positive('expected at least 1')
  .max(2n ** 62n, 'expected at most 2^62')
  .optional();
const setOfferSchema = z.object({
  assetId: assetField,
  priceMsatNumerator: price,
  priceDenominator: price,
  spreadPpm: z.int().max(MAX_PPM, 'expected at most 1000000').optional(),
  minAssetAmount: amountField.optional(),
  maxAssetAmount: amountField.optional(),
});

function status(ctx: RpcContext): GetStatusResponse {
  const { health } = ctx;
  const modes: [mode: string, reason: string][] = [];
  const pause = findPause(ctx.store);
  if (pause !== undefined) modes.push(['PAUSED', pause]);
  if (health.degradedReason !== undefined) modes.push(['DEGRADED', health.degradedReason]);
  if (ctx.store.isReadOnly) modes.push(['READ_ONLY', 'the database refused a commit; restart after the disk is fixed']);
  if (health.lightningProblem !== undefined) modes.push(['LIGHTNING', health.lightningProblem]);
  return {
    version: ctx.version,
    network: ctx.network,
    genesisHash: reversedBytes(ctx.genesis),
    liquidHeight: health.tip?.height ?? 0,
    modes: modes.map(([mode]) => mode),
    modeReasons: modes.map(([, reason]) => reason),
    isLightningReady: health.node?.isSynced === true && health.lightningProblem === undefined,
    nodeId: Buffer.from(health.node?.nodeId ?? '', 'hex'),
    inboundCapacityMsat: 0n,
    openSwaps: openSwapIds(ctx.store).length,
    startedAtUnixSecs: BigInt(ctx.startedAt),
    trustsSingleElectrum: ctx.trustsSingleElectrum,
    alarms: health.alarms,
  };
}

function balances(ctx: RpcContext): AssetBalance[] {
  const tip = ctx.health.tip?.height;
  if (tip === undefined) throw new SwapError('chain_unavailable', 'the wallet was not scanned yet');
  const stock = inventory(ctx, tip);
  const assets = new Set<AssetId>([ctx.policyAsset, ...ctx.offers.map((offer) => offer.assetId), ...stock.keys()]);
  return [...assets].map((asset) => {
    const offer = ctx.offers.find((each) => each.assetId === asset);
    const held = stock.get(asset);
    return {
      assetId: reversedBytes(asset),
      ticker: offer?.ticker ?? (asset === ctx.policyAsset ? 'L-BTC' : ''),
      precision: offer?.precision ?? (asset === ctx.policyAsset ? LBTC_PRECISION : 0),
      availableAmount: held?.available ?? 0n,
      reservedAmount: held?.reserved ?? 0n,
      lockedAmount: held?.locked ?? 0n,
      pendingAmount: held?.pending ?? 0n,
    };
  });
}

/** Internal states behind a public status; all of them for "unspecified". */
function statesOf(wanted: SwapStatus): readonly SwapState[] | undefined {
  if (wanted === SwapStatus.UNSPECIFIED) return undefined;
  return SWAP_STATES.filter((state) => STATUS[PUBLIC_STATUS[state]] === wanted);
}

async function swaps(ctx: RpcContext, request: ListSwapsRequest): Promise<AdminSwap[]> {
  const { status: wanted, limit } = parseRequest(listSchema, request);
  const states = statesOf(wanted);
  const found = listSwaps(ctx.store, {
    limit: limit === 0 ? DEFAULT_LIMIT : limit,
    ...(states === undefined ? {} : { states }),
  });
  return Promise.all(
    found.map(async (swap) => ({
      swap: await toSwapMessage(ctx, swap),
      internalState: swap.state,
      principal: swap.principal,
    })),
  );
}

/** Changes what is given, checks the result as a whole, stores it. Quotes made before keep their price. */
function setOffer(ctx: RpcContext, request: SetOfferRequest): void {
  const input = parseRequest(setOfferSchema, request);
  const old = offerOf(ctx, input.assetId);
  const next = {
    assetId: input.assetId,
    priceMsatNumerator: input.priceMsatNumerator ?? old.priceMsatNumerator,
    priceDenominator: input.priceDenominator ?? old.priceDenominator,
    spreadPpm: input.spreadPpm ?? old.spreadPpm,
    minAmount: input.minAssetAmount ?? old.minAmount,
    maxAmount: input.maxAssetAmount ?? old.maxAmount,
  };
  if (next.maxAmount < next.minAmount) {
    const description = `expected at least min_asset_amount ${next.minAmount.toString()}, found ${next.maxAmount.toString()}`;
    throw new SwapError('invalid_argument', `max_asset_amount: ${description}`, {
      violations: [{ field: 'max_asset_amount', description }],
    });
  }
  ctx.store.tx(() => {
    saveOfferChange(ctx.store, next, ctx.now());
  });
  ctx.log.info({ offer: next.assetId, priceMsatNumerator: next.priceMsatNumerator.toString() }, 'offer changed');
}

export function adminService(ctx: RpcContext): AdminServiceImplementation {
  return {
    getStatus: async () => ({
      ...status(ctx),
      inboundCapacityMsat: await ctx.lightning.inboundCapacityMsat().catch(() => 0n),
    }),
    getBalance: () => promised(() => ({ balances: balances(ctx) })),
    newAddress: () => promised(() => ({ address: ctx.wallet.receiveAddress().address })),
    withdraw: async (request) => {
      const { txid, feeSat } = await withdrawFromWallet(ctx, parseRequest(withdrawSchema, request));
      return { txid: reversedBytes(txid), feeSats: feeSat };
    },
    listSwaps: async (request) => ({ swaps: await swaps(ctx, request) }),
    pause: (request) =>
      promised(() => {
        const { reason } = parseRequest(pauseSchema, request);
        ctx.store.tx(() => {
          savePause(ctx.store, reason === '' ? 'paused by the operator' : reason);
        });
        return {};
      }),
    resume: () =>
      promised(() => {
        ctx.store.tx(() => {
          deletePause(ctx.store);
        });
        return {};
      }),
    setOffer: (request) =>
      promised(() => {
        setOffer(ctx, request);
        const offer = offerOf(ctx, parseRequest(setOfferSchema, request).assetId);
        const tip = ctx.health.tip?.height;
        const available = tip === undefined ? 0n : (inventory(ctx, tip).get(offer.assetId)?.available ?? 0n);
        return { offer: toOfferMessage(offer, available) };
      }),
  };
}

/** A synchronous handler; what it throws becomes a rejection. */
async function promised<T>(work: () => T): Promise<T> {
  return Promise.resolve().then(work);
}
