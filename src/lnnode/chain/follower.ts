/**
 * Follows the full node's best chain: checked headers, whole blocks, reorgs by disconnecting. Polling is level-triggered:
 * every round compares our tip with the server's, so a missed block or a restart needs no special path.
 */
import type { Block } from 'bitcoinjs-lib';

import { type BlockHash } from '../../core/units.js';
import type { HeaderRows, StoredHeader } from '../store/headers.js';
import type { ChainSource } from './bitcoind.js';
import { checkedBlock } from './blocks.js';
import { freshnessProblem } from './freshness.js';
import { makeHeaderChain, type Planned } from './headerChain.js';
import { parseHeader, type Network } from './headers.js';

/** Blocks fetched in parallel, and held in memory at once. */
export const PREFETCH = 8;

export type ConnectedBlock = {
  readonly hash: BlockHash;
  readonly height: number;
  readonly header: Buffer;
  readonly raw: Uint8Array;
  readonly block: Block;
};

/** What follows the chain; each call is one turn. */
export type ChainListener = {
  connect(block: ConnectedBlock): void;
  /** A reorg as a whole: from the tip down, then up again. */
  reorganize(gone: readonly StoredHeader[], fresh: readonly ConnectedBlock[]): void;
};

export type BlockFollower = ReturnType<typeof makeFollower>;

export type FollowerParts = {
  readonly source: ChainSource;
  readonly headers: HeaderRows;
  readonly network: Network;
};

/** Makes the follower; nothing happens before `round`. */
export function makeFollower({ source, headers, network }: FollowerParts) {
  const chain = makeHeaderChain({ source, headers, network });
  let syncedAt = Number.NEGATIVE_INFINITY;
  const problem = (): string => freshnessProblem(chain.tip(), network, performance.now() - syncedAt);

  const fetchBlock = async ({ header, height }: Planned): Promise<ConnectedBlock> => {
    const raw = await source.block(header.hash);
    return { hash: header.hash, height, header: header.bytes, raw, block: checkedBlock(raw, header) };
  };

  const extend = async (branch: readonly Planned[], listener: ChainListener): Promise<void> => {
    for (let start = 0; start < branch.length; start += PREFETCH) {
      const blocks = await Promise.all(branch.slice(start, start + PREFETCH).map(fetchBlock));
      for (const block of blocks) listener.connect(block);
    }
  };

  return {
    kind: 'blocks' as const,
    tip: chain.tip,
    start: chain.start,
    fetchBlock: async (stored: StoredHeader): Promise<ConnectedBlock> =>
      fetchBlock({ header: parseHeader(stored.header, network), height: stored.height }),
    /** One comparison with the server; brings the listener to its tip. @throws if the server is away or lies. */
    round: async (listener: ChainListener): Promise<void> => {
      const step = await chain.step();
      if (step === undefined) return; // the server is behind: it does not count as synced
      const { gone, branch } = step;
      // As many as were lost and one more are held in memory; after days away the branch may be much longer.
      const atOnce = gone.length === 0 ? 0 : gone.length + 1;
      if (atOnce > 0) listener.reorganize(gone, await Promise.all(branch.slice(0, atOnce).map(fetchBlock)));
      await extend(branch.slice(atOnce), listener);
      syncedAt = performance.now();
    },
    /** True once a round ended at the server's tip. */
    hasSynced: (): boolean => syncedAt > Number.NEGATIVE_INFINITY,
    /** Why money does not move now; empty while the view of the chain is fresh. */
    problem,
    isSynced: (): boolean => problem() === '',
  };
}
