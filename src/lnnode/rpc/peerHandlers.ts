/** Peers. */
import type { CallContext } from 'nice-grpc-common';
import { z } from 'zod';

import { PeerEvent, type LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import { NodeError } from '../errors.js';
import type { HandlerParts } from './nodeHandlers.js';
import { nodeIdBytes, parse } from './validate.js';

const connectSchema = z.object({ nodeId: nodeIdBytes, address: z.string().min(3).max(300) });
const disconnectSchema = z.object({ nodeId: nodeIdBytes, isForced: z.boolean() });

type Names = 'connectPeer' | 'disconnectPeer' | 'listPeers' | 'subscribePeerEvents';

const bytes = (hexText: string): Buffer => Buffer.from(hexText, 'hex');

/** Handlers of peers. */
export function peerHandlers({ node }: HandlerParts): Pick<LightningNodeServiceImplementation, Names> {
  const { peerBook, links, peerFeed } = node;
  return {
    connectPeer: async (request) => {
      const { nodeId, address } = parse(connectSchema, request);
      if (nodeId === node.nodeId) throw new NodeError('invalid_argument', 'node_id: expected a peer, found ourselves');
      await peerBook.connect(nodeId, address);
      return {};
    },
    disconnectPeer: async (request) => {
      const { nodeId, isForced } = parse(disconnectSchema, request);
      peerBook.leave(nodeId, isForced);
      return Promise.resolve({});
    },
    listPeers: async () => {
      const nodeIds = [...new Set([...links.nodeIds(), ...peerBook.nodeIds()])].sort();
      return Promise.resolve({
        peers: nodeIds.map((id) => ({
          nodeId: bytes(id),
          address: peerBook.addressOf(id),
          isConnected: links.isUp(id),
        })),
      });
    },
    async *subscribePeerEvents(_request, context: CallContext) {
      const changes = peerFeed.subscribe(context.signal);
      const online = links.nodeIds(); // of the same moment
      context.sendHeader(); // tells the subscriber that nothing is missed from here on
      for (const id of online) yield { nodeId: bytes(id), event: PeerEvent.ONLINE };
      for await (const { nodeId, isUp } of changes) {
        yield { nodeId: bytes(nodeId), event: isUp ? PeerEvent.ONLINE : PeerEvent.OFFLINE };
      }
    },
  };
}
