/** Node, peers, channels and the on-chain wallet. */
import * as ldk from 'lightningdevkit';
import { z } from 'zod';

import { displayHex, hex, pubkey, reversedBytes } from '../../core/units.js';
import { errorChain } from '../../errors.js';
import type { LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import type { Logger } from '../../log.js';
import { NodeError } from '../errors.js';
import { flag, isAbsent, some } from '../ldk/result.js';
import type { LnNode } from '../node.js';
import { limitMsat, nodeIdBytes, parse, sats } from './validate.js';

const connectSchema = z.object({ nodeId: nodeIdBytes, address: z.string().min(3).max(300) });
const openSchema = z.object({
  nodeId: nodeIdBytes,
  capacitySats: sats,
  pushMsat: limitMsat,
  isAnnounced: z.boolean(),
});

export type HandlerParts = {
  readonly node: LnNode;
  readonly version: string;
  /** Shown to callers, e.g. "127.0.0.1:9735". */
  readonly p2pAddress: string;
  readonly log: Logger;
};

/** Money may only move on a fresh view of the chain. @throws NodeError `not_synced` */
export function assertSynced({ follower }: LnNode): void {
  if (!follower.isSynced()) throw new NodeError('not_synced', 'the chain source was not reached for a minute');
}

type Names =
  'getNodeInfo' | 'connectPeer' | 'listPeers' | 'openChannel' | 'listChannels' | 'newAddress' | 'walletBalance';

const bytes = (hexText: string): Buffer => Buffer.from(hexText, 'hex');

/** Handlers that are no invoices or payments. */
export function nodeHandlers(parts: HandlerParts): Pick<LightningNodeServiceImplementation, Names> {
  const { node, log } = parts;
  return {
    getNodeInfo: async () => {
      const { height, hash } = node.follower.tip();
      return Promise.resolve({
        nodeId: bytes(node.nodeId),
        network: node.network,
        listenAddresses: [parts.p2pAddress],
        blockHeight: height,
        blockHash: reversedBytes(hash),
        isSynced: node.follower.isSynced(),
        version: parts.version,
      });
    },
    connectPeer: async (request) => {
      const { nodeId, address } = parse(connectSchema, request);
      if (nodeId === node.nodeId) throw new NodeError('invalid_argument', 'node_id: expected a peer, found ourselves');
      await node.peerBook.connect(nodeId, address);
      return {};
    },
    listPeers: async () =>
      Promise.resolve({
        peers: [...node.connectedPeers].map((id) => ({
          nodeId: bytes(id),
          address: node.peerBook.addressOf(pubkey(id)),
        })),
      }),
    openChannel: async (request) => {
      assertSynced(node);
      const channel = await node.channels.open(parse(openSchema, request));
      await node.repeat(channel.fundingTx).catch((error: unknown) => {
        log.warn({ why: errorChain(error) }, 'funding: will be broadcast again'); // the channel is pending all the same
      });
      return {
        channelId: bytes(channel.channelId),
        fundingTxid: reversedBytes(channel.fundingTxid),
        fundingVout: channel.fundingVout,
      };
    },
    listChannels: async () => Promise.resolve({ channels: node.manager.list_channels().map(channelMessage) }),
    newAddress: async () => Promise.resolve({ address: node.turns.run(() => node.wallet.nextKey().address) }),
    walletBalance: async () => Promise.resolve(node.wallet.balance(node.follower.tip().height)),
  };
}

function channelMessage(channel: ReturnType<LnNode['manager']['list_channels']>[number]) {
  const funding = channel.get_funding_txo();
  const hasFunding = !isAbsent(funding);
  return {
    channelId: bytes(hex(channel.get_channel_id().get_a())),
    nodeId: bytes(hex(channel.get_counterparty().get_node_id())),
    fundingTxid: hasFunding ? reversedBytes(displayHex(funding.get_txid())) : Buffer.alloc(0),
    fundingVout: hasFunding ? funding.get_index() : 0,
    capacityMsat: channel.get_channel_value_satoshis() * 1000n,
    outboundCapacityMsat: channel.get_outbound_capacity_msat(),
    inboundCapacityMsat: channel.get_inbound_capacity_msat(),
    isUsable: flag(channel.get_is_usable()),
    isReady: flag(channel.get_is_channel_ready()),
    confirmations: some(channel.get_confirmations(), ldk.Option_u32Z_Some) ?? 0,
    pendingHtlcs: channel.get_pending_inbound_htlcs().length + channel.get_pending_outbound_htlcs().length,
    isOutbound: flag(channel.get_is_outbound()),
  };
}
