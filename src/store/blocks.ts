/** The last Liquid blocks that were seen, so that a reorganisation is noticed, also after a restart. */
import { blockHash, blockHeight, toSafeNumber, unixSecs, type BlockHeight } from '../core/units.js';
import type { BlockHash, UnixSecs } from '../core/units.js';
import type { Store } from './db.js';

/** More than any reorganisation that one could act upon. */
const KEPT_BLOCKS = 200;

/** A block that was seen. */
export type SeenBlock = { readonly height: BlockHeight; readonly hash: BlockHash; readonly time: UnixSecs };

/** Seen blocks, the highest first. */
export function recentBlocks(store: Store): SeenBlock[] {
  return store.all(store.q.selectFrom('recent_blocks').selectAll().orderBy('height', 'desc')).map((row) => ({
    height: blockHeight(toSafeNumber(row.height)),
    hash: blockHash(row.block_hash),
    time: unixSecs(toSafeNumber(row.time)),
  }));
}

/** Forgets the blocks from that height on: the chain has others now. */
export function forgetBlocksFrom(store: Store, height: BlockHeight): void {
  store.run(store.q.deleteFrom('recent_blocks').where('height', '>=', BigInt(height)));
}

/** Remembers a block as the highest one: what was seen at its height or above is forgotten. */
export function saveRecentBlock(store: Store, block: SeenBlock): void {
  const height = BigInt(block.height);
  store.run(store.q.deleteFrom('recent_blocks').where('height', '>=', height));
  store.run(store.q.deleteFrom('recent_blocks').where('height', '<', height - BigInt(KEPT_BLOCKS)));
  store.run(store.q.insertInto('recent_blocks').values({ height, block_hash: block.hash, time: BigInt(block.time) }));
}
