/** The two Lightning nodes: connected, and with a channel through which the buyer can pay the seller. */
import { ChannelState } from '../../gen/lnnode/v1/lnnode.js';
import type { BitcoinChain } from '../bitcoin/chain.js';
import { connectNode, type Endpoint, type NodeClient } from './grpc.js';
import { waitFor } from './wait.js';

/** Below LDK's limit of 2^24 - 1. */
const CAPACITY_SAT = 16_000_000n;
/** Given to the seller at the start, so that it can pay too. */
const PUSH_MSAT = 4_000_000_000n;
const FUNDING_SAT = 50_000_000n;
/** The seller needs coins of its own to bump a commitment transaction. */
const RESERVE_SAT = 10_000_000n;
const CHANNEL_DEPTH = 6;
const DEADLINE_MS = 120_000;

/** A running node. */
export type NodeEndpoint = Endpoint & { readonly nodeId: string; readonly p2p: string };

/** Connects the nodes; opens a channel from the buyer to the seller if there is none. May run again after a crash. */
export async function joinNodes(chain: BitcoinChain, seller: NodeEndpoint, buyer: NodeEndpoint): Promise<void> {
  const [sellerNode, buyerNode] = [connectNode(seller), connectNode(buyer)];
  const sellerId = Buffer.from(seller.nodeId, 'hex');
  try {
    await waitFor('the buyer to connect to the seller', DEADLINE_MS, () =>
      buyerNode.client.connectPeer({ nodeId: sellerId, address: seller.p2p }),
    );
    const { channels } = await buyerNode.client.listChannels({});
    const mutual = channels.filter(({ nodeId, state }) => sellerId.equals(nodeId) && state !== ChannelState.SWEEPING);
    if (mutual.length === 0) await openChannel(chain, buyerNode.client, sellerNode.client, sellerId);
    if (!mutual.some(({ isReady }) => isReady)) chain.mine(CHANNEL_DEPTH); // also after a crash between the two
    for (const node of [buyerNode.client, sellerNode.client]) {
      await waitFor('a usable channel', DEADLINE_MS, () => usableChannel(node));
    }
  } finally {
    sellerNode.close();
    buyerNode.close();
  }
}

async function usableChannel(node: NodeClient): Promise<true | undefined> {
  const { channels } = await node.listChannels({});
  return channels.some(({ isUsable }) => isUsable) ? true : undefined;
}

async function openChannel(
  chain: BitcoinChain,
  buyer: NodeClient,
  seller: NodeClient,
  sellerId: Buffer,
): Promise<void> {
  const [buyerAddress, sellerAddress] = await Promise.all([buyer.newAddress({}), seller.newAddress({})]);
  chain.faucet(buyerAddress.address, FUNDING_SAT);
  chain.faucet(sellerAddress.address, RESERVE_SAT);
  chain.mine(1);
  await waitFor("the buyer's coins", DEADLINE_MS, async () => {
    const { confirmedSats } = await buyer.walletBalance({});
    return confirmedSats >= FUNDING_SAT ? true : undefined;
  });
  await buyer.openChannel({ nodeId: sellerId, capacitySats: CAPACITY_SAT, pushMsat: PUSH_MSAT, isAnnounced: false });
}
