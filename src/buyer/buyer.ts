/** What a buyer's steps work with: its own keys, servers and node, and one seller that it does not trust. */
import { LIQUID_NETWORKS, networkOfGenesis, type LiquidNetworkName } from '../core/network.js';
import { unixSecs, type BlockHash, type Pubkey, type UnixSecs } from '../core/units.js';
import type { LightningNode } from '../lightning/node.js';
import { BuyerError } from './buyerError.js';
import type { ExternalPayer } from './externalPay.js';
import { askAll, type NamedChain } from './observe.js';
import type { SellerClient } from './rpcClient.js';
import type { BuyerWallet } from './wallet.js';

/** The buyer's side of the chain: enough to verify and to claim. */
export type ChainSide = {
  readonly network: LiquidNetworkName;
  readonly chains: readonly NamedChain[];
  /** One server is enough on mainnet, by the user's word. */
  readonly isSingleServerTrusted: boolean;
};

/** Everything a purchase needs. */
export type Buyer = ChainSide & {
  /** Data directory. */
  readonly dir: string;
  readonly seed: Buffer;
  readonly sellerAddress: string;
  readonly seller: SellerClient;
  /** Given by the user; else the node id is pinned on first use. */
  readonly givenSellerNodeId: Pubkey | undefined;
  /** Not needed before paying. */
  readonly lightning: LightningNode | undefined;
  /** Pays instead of the node. */
  readonly external: ExternalPayer | undefined;
  /** Of the same seed; nothing is asked before it is used. */
  readonly wallet: BuyerWallet;
};

/** The present time. */
export const nowSecs = (): UnixSecs => unixSecs(Math.floor(Date.now() / 1000));

/** Hash of block 0 of a network. */
export const genesisOf = (network: LiquidNetworkName): BlockHash => LIQUID_NETWORKS[network].genesis;

/**
 * The network that the buyer's own servers are on. One that does not answer is passed over here, for a claim must not
 * wait for it; a verification insists on all.
 *
 * @throws BuyerError `unknown_network` if they differ, are on a chain we do not know, or not on the expected one;
 *   SwapError `chain_unavailable` if none answers.
 */
export async function detectNetwork(
  chains: readonly NamedChain[],
  expected: LiquidNetworkName | undefined,
): Promise<LiquidNetworkName> {
  const hashes = new Set((await askAll(chains, async ({ chain }) => await chain.genesisHash())).answers);
  const [genesis] = hashes;
  const network = genesis === undefined || hashes.size > 1 ? undefined : networkOfGenesis(genesis);
  if (network === undefined || (expected !== undefined && network !== expected)) {
    throw new BuyerError(
      'unknown_network',
      `expected every Electrum server on ${expected ?? 'one known Liquid network'}, found genesis ${[...hashes].join(', ')}`,
    );
  }
  return network;
}
