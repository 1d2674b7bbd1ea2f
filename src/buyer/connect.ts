/** Wires the buyer to its servers, its node and the seller. */
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../core/network.js';
import type { Pubkey } from '../core/units.js';
import { connectLightning, type LightningEndpoint } from '../lightning/backend.js';
import { checkAtStart } from '../lightning/fitness.js';
import type { LightningNode } from '../lightning/node.js';
import { connectElectrum } from '../liquid/electrum.js';
import type { Logger } from '../log.js';
import { detectNetwork, type Buyer, type ChainSide } from './buyer.js';
import { readSeed } from './dataDir.js';
import type { ExternalPayer } from './externalPay.js';
import { openSeller, type RpcEndpoint } from './rpcClient.js';
import { openBuyerWallet, type PayoutWallet } from './wallet.js';

/** Electrum servers of the buyer. */
export type ElectrumEndpoints = {
  /** `ssl://host:port` or `tcp://host:port`; each is asked on its own, so that they check each other. */
  readonly servers: readonly string[];
  readonly caFile?: string | undefined;
  readonly isSingleServerTrusted: boolean;
  /** Refuse servers of another network. */
  readonly network?: LiquidNetworkName | undefined;
};

/** Where everything is. */
export type BuyerEndpoints = {
  readonly dir: string;
  readonly seller: RpcEndpoint & { readonly nodeId?: Pubkey | undefined };
  readonly electrum: ElectrumEndpoints;
  readonly lightning?: LightningEndpoint | undefined;
  /** A person with another wallet pays instead of the node. */
  readonly external?: ExternalPayer | undefined;
  readonly log: Logger;
};

/** Something open, and how to close it. */
export type Opened<T> = { readonly value: T; close(): void };

/** @throws SwapError `chain_unavailable`; BuyerError `unknown_network`. */
export async function connectChains(electrum: ElectrumEndpoints, log: Logger): Promise<Opened<ChainSide>> {
  const { caFile, isSingleServerTrusted } = electrum;
  const chains = electrum.servers.map((name) => ({
    name,
    chain: connectElectrum({ servers: [name], log, ...(caFile === undefined ? {} : { caFile }) }),
  }));
  const close = (): void => {
    for (const { chain } of chains) chain.close();
  };
  try {
    const network = await detectNetwork(chains, electrum.network);
    return { value: { network, chains, isSingleServerTrusted }, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Connects everything a purchase needs. */
export async function connectBuyer(endpoints: BuyerEndpoints): Promise<Opened<Buyer>> {
  const { dir, log } = endpoints;
  const seed = readSeed(dir);
  const chains = await connectChains(endpoints.electrum, log);
  const wallet = openBuyerWallet(chains.value, { dir, seed, log });
  const seller = openSeller(endpoints.seller);
  const lightning = endpoints.lightning === undefined ? undefined : openLightning(endpoints.lightning, log);
  return {
    value: {
      ...chains.value,
      dir,
      seed,
      sellerAddress: endpoints.seller.address,
      seller: seller.client,
      givenSellerNodeId: endpoints.seller.nodeId,
      lightning,
      external: endpoints.external,
      wallet,
    },
    close: () => {
      seller.close();
      lightning?.close();
      wallet.close();
      chains.close();
    },
  };
}

/** The buyer's Lightning node alone. @throws SwapError `bad_config`. */
export const openLightning = (endpoint: LightningEndpoint, log: Logger): LightningNode =>
  connectLightning(endpoint, log);

/** What keeps a node from paying on a Liquid network, in one sentence; undefined if nothing does. */
export const whyCannotPay = async (node: LightningNode, network: LiquidNetworkName): Promise<string | undefined> =>
  await checkAtStart(node, { role: 'buyer', network: LIQUID_NETWORKS[network].bitcoinNetwork });

/** Looks at the wallet of a data directory once. @throws SwapError `chain_unavailable`. */
export async function readPayoutWallet(
  side: ChainSide,
  dir: string,
  seed: Uint8Array,
  log: Logger,
): Promise<PayoutWallet> {
  const wallet = openBuyerWallet(side, { dir, seed, log });
  try {
    return await wallet.look();
  } finally {
    wallet.close();
  }
}
