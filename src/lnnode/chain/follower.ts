/**
 * Follows the full node's best chain: checked headers, whole blocks, reorgs by disconnecting. Polling is level-triggered:
 * every round compares our tip with the server's, so a missed block or a restart needs no special path.
 */
import { Block } from 'bitcoinjs-lib';

import { type BlockHash } from '../../core/units.js';
import type { HeaderRows, StoredHeader } from '../store/headers.js';
import type { ChainSource } from './bitcoind.js';
import { assertFollows, parseHeader, workOf, type Header, type Network } from './headers.js';

/** A deeper reorg is an alarm, not a routine. */
const MAX_REORG = 144;
/** A node that slept longer has to start anew; about a year of Bitcoin. */
const MAX_BEHIND = 50_000;
/** Blocks fetched in parallel. */
const PREFETCH = 8;
const SYNC_FRESHNESS_MS = 60_000;

const CHAIN_NAMES: Record<Network, readonly string[]> = {
  bitcoin: ['main', 'mainnet'],
  testnet: ['test', 'testnet3'],
  regtest: ['regtest'],
};

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

export type Follower = ReturnType<typeof makeFollower>;

export type FollowerParts = {
  readonly source: ChainSource;
  readonly headers: HeaderRows;
  readonly network: Network;
};

type Planned = { readonly header: Header; readonly height: number };

/** Makes the follower; nothing happens before `round`. */
export function makeFollower({ source, headers, network }: FollowerParts) {
  let syncedAt = Number.NEGATIVE_INFINITY;

  const tip = (): StoredHeader => {
    const best = headers.tip();
    if (best === undefined) throw new Error('the header chain has no start yet');
    return best;
  };

  const best = async (): Promise<{ hash: BlockHash; height: number }> => {
    const answer = await source.best();
    if (!CHAIN_NAMES[network].includes(answer.chain)) {
      throw new Error(`full node: expected a chain of ${network}, found ${answer.chain}`);
    }
    return answer;
  };

  const fetchHeader = async (hash: BlockHash): Promise<Header> => {
    const header = parseHeader(await source.header(hash), network);
    if (header.hash !== hash) throw new Error(`full node: expected header ${hash}, found ${header.hash}`);
    return header;
  };

  const fetchBlock = async ({ header, height }: Planned): Promise<ConnectedBlock> => {
    const raw = await source.block(header.hash);
    return { hash: header.hash, height, header: header.bytes, raw, block: checkedBlock(raw, header) };
  };

  /** Headers from the server's best block down to one of our best chain, and that one. */
  const branchTo = async (hash: BlockHash): Promise<{ fork: StoredHeader; branch: Planned[] }> => {
    const down: Header[] = [];
    let at = hash;
    for (;;) {
      const known = headers.find(at);
      if (known?.isBest === true) return { fork: known, branch: planned(down.reverse(), known, network) };
      if (down.length >= MAX_BEHIND)
        throw new Error(`full node: its chain does not meet ours within ${MAX_BEHIND} blocks`);
      const header = known === undefined ? await fetchHeader(at) : parseHeader(known.header, network);
      down.push(header);
      at = header.prevHash;
    }
  };

  const bestAbove = (fork: StoredHeader): StoredHeader[] => {
    const above: StoredHeader[] = [];
    for (let at = headers.at(fork.height + 1); at !== undefined; at = headers.at(at.height + 1)) above.push(at);
    return above;
  };

  const extend = async (branch: readonly Planned[], listener: ChainListener): Promise<void> => {
    for (let start = 0; start < branch.length; start += PREFETCH) {
      const blocks = await Promise.all(branch.slice(start, start + PREFETCH).map(fetchBlock));
      for (const block of blocks) listener.connect(block);
    }
  };

  return {
    tip,
    fetchBlock: async (stored: StoredHeader): Promise<ConnectedBlock> =>
      fetchBlock({ header: parseHeader(stored.header, network), height: stored.height }),
    /** The block at which a new node begins: the server's tip. The only height that is taken on trust. */
    start: async (): Promise<{ hash: BlockHash; height: number; header: Buffer }> => {
      const { hash, height } = await best();
      return { hash, height, header: (await fetchHeader(hash)).bytes };
    },
    /** One comparison with the server; brings the listener to its tip. @throws if the server is away or lies. */
    round: async (listener: ChainListener): Promise<void> => {
      const { hash: remote } = await best();
      if (remote !== tip().hash) {
        const { fork, branch } = await branchTo(remote);
        const gone = bestAbove(fork);
        const work = (list: readonly Uint8Array[]): bigint => list.reduce((sum, header) => sum + workOf(header), 0n);
        const isBetter = work(branch.map(({ header }) => header.bytes)) > work(gone.map(({ header }) => header));
        if (!isBetter) return; // the server is behind: keep ours, and it does not count as synced
        if (gone.length > MAX_REORG) throw new Error(`a reorg of ${gone.length} blocks: the operator must look`);
        if (gone.length === 0) await extend(branch, listener);
        else listener.reorganize(gone.reverse(), await Promise.all(branch.map(fetchBlock)));
      }
      syncedAt = performance.now();
    },
    /** True if the last round that ended at the server's tip is fresh. */
    isSynced: (): boolean => performance.now() - syncedAt < SYNC_FRESHNESS_MS,
  };
}

function planned(headers: readonly Header[], fork: StoredHeader, network: Network): Planned[] {
  let parent: { hash: BlockHash; header: Uint8Array } = fork;
  return headers.map((header, index) => {
    const height = fork.height + 1 + index;
    assertFollows(header, parent, height, network);
    parent = { hash: header.hash, header: header.bytes };
    return { header, height };
  });
}

/** LDK panics on bytes that are no block, so they are parsed and compared here first. */
function checkedBlock(raw: Buffer, header: Header): Block {
  if (!raw.subarray(0, 80).equals(header.bytes)) throw new Error(`full node: block ${header.hash} has another header`);
  const block = Block.fromBuffer(raw);
  const transactions = block.transactions ?? [];
  if (transactions.length === 0 || !Buffer.from(block.toBuffer()).equals(raw)) {
    throw new Error(`full node: block ${header.hash} is malformed`);
  }
  if (!block.checkTxRoots()) throw new Error(`full node: block ${header.hash} has other transactions`);
  return block;
}
