/** The operator's calls about the stock: balance, withdrawal, split, offers. */
import { z } from 'zod';

import { reversedBytes, type AssetId } from '../core/units.js';
import { inventory } from '../engine/inventory.js';
import { split } from '../engine/split.js';
import { withdraw } from '../engine/withdraw.js';
import { SwapError } from '../errors.js';
import type {
  AssetBalance,
  SetOfferRequest,
  SetOfferResponse,
  SplitCoinsRequest,
  SplitCoinsResponse,
  WithdrawRequest,
  WithdrawResponse,
} from '../gen/ln_liquid_swap/v1/admin.js';
import { saveOfferChange } from '../store/quotes.js';
import type { RpcContext } from './context.js';
import { toOfferMessage } from './convert.js';
import { offerOf } from './offers.js';
import { amountField, assetField, parseRequest, uuidField } from './parse.js';
import { soon } from './soon.js';

const LBTC_PRECISION = 8;
const MAX_PPM = 1_000_000;

const withdrawSchema = z.object({
  requestId: uuidField,
  address: z.string().min(1, 'expected an address').max(200, 'expected an address'),
  assetId: assetField,
  assetAmount: amountField,
});
const splitSchema = z.object({
  requestId: uuidField,
  assetId: assetField,
  parts: z.int().min(2, 'expected 2..20').max(20, 'expected 2..20'),
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

/** What the wallet holds now; what it held when it was looked at last, if no server answers in time. */
export async function balances(ctx: RpcContext): Promise<AssetBalance[]> {
  await soon(ctx.wallet.sync());
  if (ctx.health.tip === undefined) throw new SwapError('chain_unavailable', 'the wallet was not scanned yet');
  const tip = ((await soon(ctx.chain.tip())) ?? ctx.health.tip).height;
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
      keptAmount: held?.kept ?? 0n,
    };
  });
}

export async function withdrawAsset(ctx: RpcContext, request: WithdrawRequest): Promise<WithdrawResponse> {
  const { txid, feeSat } = await withdraw(ctx, parseRequest(withdrawSchema, request));
  return { txid: reversedBytes(txid), feeSats: feeSat };
}

export async function splitCoins(ctx: RpcContext, request: SplitCoinsRequest): Promise<SplitCoinsResponse> {
  const { txid, feeSat } = await split(ctx, parseRequest(splitSchema, request));
  return { txid: reversedBytes(txid), feeSats: feeSat };
}

/** Changes what is given, checks the result as a whole, stores it. Quotes made before keep their price. */
export function setOffer(ctx: RpcContext, request: SetOfferRequest): SetOfferResponse {
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
  const tip = ctx.health.tip?.height;
  const available = tip === undefined ? 0n : (inventory(ctx, tip).get(next.assetId)?.available ?? 0n);
  return { offer: toOfferMessage(offerOf(ctx, next.assetId), available) };
}
