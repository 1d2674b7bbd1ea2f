/** Small facts that outlive the process: the pause, the generation, the accepted tip, tokens, unblinded outputs. */
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  toSafeNumber,
  txid,
  unixSecs,
  type AssetAmount,
  type AssetId,
  type BlockHash,
  type BlockHeight,
  type UnixSecs,
} from '../core/units.js';
import type { Store } from './db.js';

const PAUSE_KEY = 'pause_reason';
const GENERATION_KEY = 'generation';
const KEY_INDEX_FLOOR_KEY = 'key_index_floor';

function findMeta(store: Store, key: string): string | undefined {
  return store.first(store.q.selectFrom('meta').select('value').where('key', '=', key))?.value;
}

function saveMeta(store: Store, key: string, value: string): void {
  store.run(
    store.q
      .insertInto('meta')
      .values({ key, value })
      .onConflict((oc) => oc.column('key').doUpdateSet({ value })),
  );
}

/** Why new business is stopped, or undefined while it is not. */
export const findPause = (store: Store): string | undefined => findMeta(store, PAUSE_KEY);

export function savePause(store: Store, reason: string): void {
  saveMeta(store, PAUSE_KEY, reason);
}

export function deletePause(store: Store): void {
  store.run(store.q.deleteFrom('meta').where('key', '=', PAUSE_KEY));
}

/** How many commits that count this database has seen (engine/generation.ts); 0 for a new one. */
export const findGeneration = (store: Store): bigint => BigInt(findMeta(store, GENERATION_KEY) ?? '0');

export function saveGeneration(store: Store, generation: bigint): void {
  saveMeta(store, GENERATION_KEY, generation.toString());
}

/** Refund keys below this index may have been used by swaps that an older database forgot. */
export const findKeyIndexFloor = (store: Store): number =>
  toSafeNumber(BigInt(findMeta(store, KEY_INDEX_FLOOR_KEY) ?? '0'));

export function saveKeyIndexFloor(store: Store, index: number): void {
  saveMeta(store, KEY_INDEX_FLOOR_KEY, index.toString());
}

/** The last tip that passed the tip rule. */
export type AcceptedTip = { readonly height: BlockHeight; readonly hash: BlockHash; readonly acceptedAt: UnixSecs };

export function findAcceptedTip(store: Store): AcceptedTip | undefined {
  const row = store.first(store.q.selectFrom('tips').selectAll());
  if (row === undefined) return undefined;
  return {
    height: blockHeight(toSafeNumber(row.height)),
    hash: blockHash(row.block_hash),
    acceptedAt: unixSecs(toSafeNumber(row.accepted_at)),
  };
}

export function saveAcceptedTip(store: Store, tip: AcceptedTip): void {
  const values = { height: BigInt(tip.height), block_hash: tip.hash, accepted_at: BigInt(tip.acceptedAt) };
  store.run(
    store.q
      .insertInto('tips')
      .values({ id: 1n, ...values })
      .onConflict((oc) => oc.column('id').doUpdateSet(values)),
  );
}

/** An output of the wallet with its secrets. */
export type StoredOutput = {
  readonly assetId: AssetId;
  readonly value: AssetAmount;
  readonly assetBlinder: Buffer;
  readonly valueBlinder: Buffer;
};

/** `txid:vout` to its columns. */
function pointOf(key: string): { txid: string; vout: bigint } {
  const [id = '', vout = ''] = key.split(':');
  return { txid: txid(id), vout: BigInt(vout) };
}

/** @param key `txid:vout`. */
export function findWalletOutput(store: Store, key: string): StoredOutput | undefined {
  const point = pointOf(key);
  const row = store.first(
    store.q.selectFrom('wallet_outputs').selectAll().where('txid', '=', point.txid).where('vout', '=', point.vout),
  );
  if (row === undefined) return undefined;
  return {
    assetId: assetId(row.asset_id),
    value: assetAmount(row.value),
    assetBlinder: row.asset_blinder,
    valueBlinder: row.value_blinder,
  };
}

/** @param key `txid:vout`. */
export function saveWalletOutput(store: Store, key: string, output: StoredOutput): void {
  const point = pointOf(key);
  store.run(
    store.q
      .insertInto('wallet_outputs')
      .values({
        txid: point.txid,
        vout: point.vout,
        asset_id: output.assetId,
        value: output.value,
        asset_blinder: output.assetBlinder,
        value_blinder: output.valueBlinder,
      })
      .onConflict((oc) => oc.doNothing()),
  );
}

/** Name of the principal whose token has this hash. */
export function findPrincipal(store: Store, tokenHash: string): string | undefined {
  return store.first(store.q.selectFrom('principals').select('name').where('token_hash', '=', tokenHash))?.name;
}

/** Everybody who has a token, by name. */
export function listPrincipals(store: Store): { readonly name: string; readonly createdAt: UnixSecs }[] {
  const rows = store.all(store.q.selectFrom('principals').select(['name', 'created_at']).orderBy('name'));
  return rows.map((row) => ({ name: row.name, createdAt: unixSecs(toSafeNumber(row.created_at)) }));
}

/** Adds or replaces the token of a name. */
export function savePrincipal(store: Store, name: string, tokenHash: string, now: UnixSecs): void {
  store.run(
    store.q
      .insertInto('principals')
      .values({ name, token_hash: tokenHash, created_at: BigInt(now) })
      .onConflict((oc) => oc.column('name').doUpdateSet({ token_hash: tokenHash })),
  );
}

/** @returns false if there was no such name. */
export function deletePrincipal(store: Store, name: string): boolean {
  return store.run(store.q.deleteFrom('principals').where('name', '=', name)) === 1;
}
