/**
 * The node's own header chain against a server's: checked headers, and a switch only to more work. Heights are always
 * those of this chain.
 */
import type { BlockHash } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { HeaderRows, StoredHeader } from '../store/headers.js';
import type { ChainSource } from './bitcoind.js';
import { assertHeight, checkedBlock } from './blocks.js';
import { assertFollows, assertMayStart, parseHeader, workOf, type Header, type Network } from './headers.js';

/** A deeper reorg is an alarm, not a routine. */
export const MAX_REORG = 144;
/** A node that slept longer has to start anew; about a year of Bitcoin. */
const MAX_BEHIND = 50_000;

const CHAIN_NAMES: Record<Network, readonly string[]> = {
  bitcoin: ['main', 'mainnet'],
  testnet: ['test', 'testnet3'],
  regtest: ['regtest'],
};

export type HeaderChainParts = {
  readonly source: Pick<ChainSource, 'best' | 'header' | 'block'>;
  readonly headers: HeaderRows;
  readonly network: Network;
};

/** A header of the server's branch with its height. */
export type Planned = { readonly header: Header; readonly height: number };

/** The way from our tip to the server's: down `gone` (the tip first), up `branch`. Both are empty at the same tip. */
export type ChainStep = { readonly gone: readonly StoredHeader[]; readonly branch: readonly Planned[] };

/** Reads the stored chain; changes nothing. */
export function makeHeaderChain({ source, headers, network }: HeaderChainParts) {
  const tip = (): StoredHeader => {
    const best = headers.tip();
    if (best === undefined) throw new Error('the header chain has no start yet');
    return best;
  };

  const best = async (): Promise<{ hash: BlockHash; height: number }> => {
    const answer = await source.best();
    if (!CHAIN_NAMES[network].includes(answer.chain)) {
      throw new SwapError('bad_config', `node.network: expected a chain of ${network}, found one of ${answer.chain}`);
    }
    return answer;
  };

  const fetchHeader = async (hash: BlockHash): Promise<Header> => {
    const header = parseHeader(await source.header(hash), network);
    if (header.hash !== hash) throw new Error(`chain source: expected header ${hash}, found ${header.hash}`);
    return header;
  };

  /** Headers from the server's best block down to one of our best chain, and that one. */
  const branchTo = async (hash: BlockHash): Promise<{ fork: StoredHeader; branch: Planned[] }> => {
    const down: Header[] = [];
    let at = hash;
    for (;;) {
      const known = headers.find(at);
      if (known?.isBest === true) return { fork: known, branch: planned(down.reverse(), known, network) };
      if (down.length >= MAX_BEHIND)
        throw new Error(`chain source: its chain does not meet ours within ${MAX_BEHIND} blocks`);
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

  return {
    tip,
    /** The block at which a new node begins: the server's tip, at the height that its coinbase says. @throws if not */
    start: async (): Promise<{ hash: BlockHash; height: number; header: Buffer }> => {
      const { hash, height } = await best();
      const header = await fetchHeader(hash);
      assertMayStart(header, network);
      assertHeight(checkedBlock(await source.block(hash), header), height);
      return { hash, height, header: header.bytes };
    },
    /** The way to the server's tip; undefined if the server is behind. @throws if it is away or lies. */
    step: async (): Promise<ChainStep | undefined> => {
      const { hash: remote } = await best();
      if (remote === tip().hash) return { gone: [], branch: [] };
      const { fork, branch } = await branchTo(remote);
      const gone = bestAbove(fork);
      const work = (list: readonly Uint8Array[]): bigint => list.reduce((sum, header) => sum + workOf(header), 0n);
      const isBetter = work(branch.map(({ header }) => header.bytes)) > work(gone.map(({ header }) => header));
      if (!isBetter) return undefined; // keep ours
      if (gone.length > MAX_REORG) throw new Error(`a reorg of ${gone.length} blocks: the operator must look`);
      return { gone: gone.reverse(), branch };
    },
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
