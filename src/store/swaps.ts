/** Swaps: rows to the tagged union and back, compare-and-set moves, and the append-only history. */
import { z } from 'zod';

import {
  apply,
  STATE_MOVES,
  PAYMENT_MOVES,
  type PaymentStatus,
  type Swap,
  type SwapEvent,
  type SwapState,
} from '../core/swap.js';
import { PROFILES, type ProfileName } from '../core/timelock.js';
import type { HtlcOutpoint } from '../core/tx.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  msat,
  outpoint,
  paymentHash,
  pubkey,
  quoteId,
  sat,
  swapId,
  toSafeNumber,
  txid,
  unixSecs,
  type AssetId,
  type PaymentHash,
  type SwapId,
  type UnixSecs,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import type { Store } from './db.js';
import { findKeyIndexFloor } from './meta.js';
import type { SwapRow } from './schema.js';

const outpointsSchema = z.array(
  z.strictObject({ txid: z.string(), vout: z.int(), asset_id: z.string(), value: z.string().regex(/^\d+$/) }),
);

function outpointsToText(outpoints: readonly HtlcOutpoint[]): string {
  return JSON.stringify(
    outpoints.map((each) => ({
      txid: each.outpoint.txid,
      vout: each.outpoint.vout,
      asset_id: each.assetId,
      value: each.value.toString(),
    })),
  );
}

function outpointsFromText(text: string): readonly HtlcOutpoint[] {
  return outpointsSchema.parse(JSON.parse(text)).map((each) => ({
    outpoint: outpoint(each.txid, each.vout),
    assetId: assetId(each.asset_id),
    value: assetAmount(BigInt(each.value)),
  }));
}

function oneOf<Name extends string>(names: Record<Name, unknown>, value: string, what: string): Name {
  if (!Object.hasOwn(names, value)) throw new Error(`database holds unknown ${what} ${value}`);
  return value as Name;
}

function known<T>(value: T | null, column: string, row: SwapRow): T {
  if (value === null) throw new Error(`swap ${row.swap_id} is ${row.state} without ${column}`);
  return value;
}

const base = (row: SwapRow) => ({
  id: swapId(row.swap_id),
  principal: row.principal,
  requestId: row.request_id,
  quoteId: quoteId(row.quote_id),
  paymentHash: paymentHash(row.payment_hash),
  sellerNodeId: pubkey(row.seller_node_id),
  keyIndex: toSafeNumber(row.key_index),
  assetId: assetId(row.asset_id),
  assetAmount: assetAmount(row.asset_amount),
  feeSubsidySat: sat(row.fee_subsidy_sat),
  priceMsat: msat(row.price_msat),
  claimPubkey: pubkey(row.claim_pubkey),
  profile: oneOf<ProfileName>(PROFILES, row.profile, 'profile'),
  minFundingConfs: toSafeNumber(row.min_funding_confs),
  terms: row.terms,
  termsHash: row.terms_hash,
  fundBy: unixSecs(toSafeNumber(row.fund_by)),
  createdAt: unixSecs(toSafeNumber(row.created_at)),
  version: toSafeNumber(row.version),
  payment: oneOf<PaymentStatus>(PAYMENT_MOVES, row.payment, 'payment status'),
  heldMsat: msat(row.held_msat),
  reason: row.reason,
  isPreimageReleased: row.is_preimage_released === 1n,
  isRestored: row.is_restored === 1n,
  isSubsidyOpen: row.is_subsidy_open === 1n,
});

const invoiced = (row: SwapRow) => ({
  bolt11: known(row.bolt11, 'bolt11', row),
  invoiceExpiresAt: unixSecs(toSafeNumber(known(row.invoice_expires_at, 'invoice_expires_at', row))),
});

const funded = (row: SwapRow) => ({
  fundingTxid: txid(known(row.funding_txid, 'funding_txid', row)),
  refundHeight: blockHeight(toSafeNumber(known(row.refund_height, 'refund_height', row))),
  witnessScript: known(row.witness_script, 'witness_script', row),
  outpoints: outpointsFromText(known(row.outpoints, 'outpoints', row)),
});

function fromRow(row: SwapRow): Swap {
  const state = oneOf<SwapState>(STATE_MOVES, row.state, 'state');
  switch (state) {
    case 'INTENT':
      return { ...base(row), state };
    case 'INVOICED':
      return { ...base(row), ...invoiced(row), state };
    case 'FUNDING_SIGNED':
    case 'ABORTING':
    case 'FUNDED':
    case 'OWED':
      return { ...base(row), ...invoiced(row), ...funded(row), state };
    case 'CLAIM_SEEN':
    case 'CLAIMED':
      return {
        ...base(row),
        ...invoiced(row),
        ...funded(row),
        state,
        claimTxid: txid(known(row.claim_txid, 'claim_txid', row)),
      };
    case 'REFUND_SEEN':
    case 'REFUNDED':
      return {
        ...base(row),
        ...invoiced(row),
        ...funded(row),
        state,
        refundTxid: txid(known(row.refund_txid, 'refund_txid', row)),
      };
    case 'FAILED':
      return {
        ...base(row),
        ...(row.bolt11 === null ? {} : invoiced(row)),
        ...(row.funding_txid === null ? {} : funded(row)),
        state,
      };
    default:
      throw new Error(`unknown state ${state satisfies never}`);
  }
}

function toColumns(swap: Swap, now: UnixSecs) {
  return {
    state: swap.state,
    payment: swap.payment,
    version: BigInt(swap.version),
    updated_at: BigInt(now),
    held_msat: swap.heldMsat,
    reason: swap.reason,
    is_preimage_released: swap.isPreimageReleased ? 1n : 0n,
    is_restored: swap.isRestored ? 1n : 0n,
    is_subsidy_open: swap.isSubsidyOpen ? 1n : 0n,
    bolt11: 'bolt11' in swap ? swap.bolt11 : null,
    invoice_expires_at: 'invoiceExpiresAt' in swap ? BigInt(swap.invoiceExpiresAt) : null,
    funding_txid: 'fundingTxid' in swap ? swap.fundingTxid : null,
    refund_height: 'refundHeight' in swap ? BigInt(swap.refundHeight) : null,
    witness_script: 'witnessScript' in swap ? swap.witnessScript : null,
    outpoints: 'outpoints' in swap ? outpointsToText(swap.outpoints) : null,
    claim_txid: 'claimTxid' in swap ? swap.claimTxid : null,
    refund_txid: 'refundTxid' in swap ? swap.refundTxid : null,
  };
}

/** Stores a new swap in state INTENT. Call inside a transaction, after the quote was found usable. */
export function insertSwap(store: Store, swap: Swap & { readonly state: 'INTENT' }): void {
  store.run(
    store.q.insertInto('swaps').values({
      ...toColumns(swap, swap.createdAt),
      swap_id: swap.id,
      principal: swap.principal,
      request_id: swap.requestId,
      quote_id: swap.quoteId,
      payment_hash: swap.paymentHash,
      seller_node_id: swap.sellerNodeId,
      key_index: BigInt(swap.keyIndex),
      asset_id: swap.assetId,
      asset_amount: swap.assetAmount,
      fee_subsidy_sat: swap.feeSubsidySat,
      price_msat: swap.priceMsat,
      claim_pubkey: swap.claimPubkey,
      profile: swap.profile,
      min_funding_confs: BigInt(swap.minFundingConfs),
      terms: swap.terms,
      terms_hash: swap.termsHash,
      fund_by: BigInt(swap.fundBy),
      created_at: BigInt(swap.createdAt),
    }),
  );
}

/** The swap as stored, or undefined. */
export function findSwap(store: Store, id: SwapId): Swap | undefined {
  const row = store.first<SwapRow>(store.q.selectFrom('swaps').selectAll().where('swap_id', '=', id));
  return row === undefined ? undefined : fromRow(row);
}

/**
 * Applies an event and stores the result with a history row, if the stored swap is still the one given. Call inside a
 * transaction.
 *
 * @throws SwapError `version_conflict` if somebody moved it in between: load it again.
 */
export function moveSwap(store: Store, swap: Swap, event: SwapEvent, now: UnixSecs): Swap {
  const next = apply(swap, event);
  const changed = store.run(
    store.q
      .updateTable('swaps')
      .set(toColumns(next, now))
      .where('swap_id', '=', swap.id)
      .where('state', '=', swap.state)
      .where('payment', '=', swap.payment)
      .where('version', '=', BigInt(swap.version)),
  );
  if (changed !== 1) {
    throw new SwapError('version_conflict', `swap ${swap.id}: expected version ${swap.version}, found another`);
  }
  store.run(
    store.q.insertInto('swap_events').values({
      swap_id: swap.id,
      kind: event.kind,
      from_state: swap.state,
      to_state: next.state,
      from_payment: swap.payment,
      to_payment: next.payment,
      detail: 'reason' in event ? event.reason : 'txid' in event ? event.txid : '',
      created_at: BigInt(now),
    }),
  );
  return next;
}

/** Swaps that may still need work: neither side is done. Oldest first. */
export function openSwapIds(store: Store): SwapId[] {
  const query = store.q
    .selectFrom('swaps')
    .select('swap_id')
    .where((eb) =>
      eb.not(
        eb.and([
          eb('state', 'in', ['CLAIMED', 'REFUNDED', 'FAILED', 'OWED']),
          eb('is_subsidy_open', '=', 0n),
          eb.or([
            eb('payment', 'in', ['CANCELED', 'NONE']),
            eb.and([eb('payment', '=', 'SETTLED'), eb('is_preimage_released', '=', 1n)]),
          ]),
        ]),
      ),
    )
    .orderBy('created_at');
  return store.all(query).map((row) => swapId(row.swap_id));
}

/** The swap with this payment hash, if any. */
export function swapIdOfHash(store: Store, hash: PaymentHash): SwapId | undefined {
  const row = store.first(store.q.selectFrom('swaps').select('swap_id').where('payment_hash', '=', hash));
  return row === undefined ? undefined : swapId(row.swap_id);
}

/** Newest swaps first, of the given states or all. */
export function listSwaps(
  store: Store,
  options: { readonly states?: readonly SwapState[]; readonly limit: number },
): Swap[] {
  let query = store.q
    .selectFrom('swaps')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('key_index', 'desc')
    .limit(options.limit);
  if (options.states !== undefined) query = query.where('state', 'in', [...options.states]);
  return store.all<SwapRow>(query).map(fromRow);
}

/**
 * Index for the refund key of the next swap; never used before, by this database or one that it replaced. Call inside the
 * inserting transaction.
 */
export function nextKeyIndex(store: Store): number {
  const row = store.first(store.q.selectFrom('swaps').select((eb) => eb.fn.max('key_index').as('last')));
  const last: unknown = row?.last;
  return Math.max(typeof last === 'bigint' ? toSafeNumber(last) + 1 : 0, findKeyIndexFloor(store));
}

/** What swaps tie up of one asset, smallest units. L-BTC fee subsidies count to L-BTC. */
export type TiedUp = {
  /** Promised, no funding signed yet. */
  readonly reserved: bigint;
  /** In HTLCs that are not final. */
  readonly locked: bigint;
};

const BEFORE_FUNDING: readonly string[] = ['INTENT', 'INVOICED'];

/** Everything tied up by open swaps, per asset. */
export function tiedUp(store: Store, policyAsset: AssetId): Map<AssetId, TiedUp> {
  const rows = store.all(
    store.q
      .selectFrom('swaps')
      .select(['asset_id', 'asset_amount', 'fee_subsidy_sat', 'state'])
      .where('state', 'not in', ['CLAIMED', 'REFUNDED', 'FAILED', 'OWED']),
  );
  const result = new Map<AssetId, TiedUp>();
  const add = (asset: AssetId, amount: bigint, isReserved: boolean): void => {
    const old = result.get(asset) ?? { reserved: 0n, locked: 0n };
    result.set(
      asset,
      isReserved ? { ...old, reserved: old.reserved + amount } : { ...old, locked: old.locked + amount },
    );
  };
  for (const row of rows) {
    const isReserved = BEFORE_FUNDING.includes(row.state);
    add(assetId(row.asset_id), row.asset_amount, isReserved);
    add(policyAsset, row.fee_subsidy_sat, isReserved);
  }
  return result;
}

/** The swap that a request made before, with the hash of that request's body. */
export function findRequest(
  store: Store,
  principal: string,
  requestId: string,
): { readonly swapId: SwapId; readonly bodyHash: string } | undefined {
  const row = store.first(
    store.q
      .selectFrom('requests')
      .select(['swap_id', 'body_hash'])
      .where('principal', '=', principal)
      .where('request_id', '=', requestId),
  );
  return row === undefined ? undefined : { swapId: swapId(row.swap_id), bodyHash: row.body_hash };
}

/** Remembers a request for ever. Call inside the transaction that stores the swap. */
export function insertRequest(store: Store, swap: Swap, bodyHash: string): void {
  store.run(
    store.q.insertInto('requests').values({
      principal: swap.principal,
      request_id: swap.requestId,
      body_hash: bodyHash,
      swap_id: swap.id,
      created_at: BigInt(swap.createdAt),
    }),
  );
}
