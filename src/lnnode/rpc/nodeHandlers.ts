/** The node itself, and opening of channels. */
import { z } from 'zod';

import { reversedBytes } from '../../core/units.js';
import { errorChain } from '../../errors.js';
import type { LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import type { Logger } from '../../log.js';
import { NodeError } from '../errors.js';
import { heapBytes, ldkVersion } from '../ldk/wasm.js';
import type { LnNode } from '../node.js';
import { limitMsat, nodeIdBytes, parse, sats } from './validate.js';

const openSchema = z.object({
  nodeId: nodeIdBytes,
  capacitySats: sats,
  pushMsat: limitMsat,
  isAnnounced: z.boolean(),
});

export type HandlerParts = {
  readonly node: LnNode;
  readonly version: string;
  readonly heapLimitBytes: number;
  /** Chosen by the operator. */
  readonly alias: string;
  /** Shown to callers, e.g. "127.0.0.1:9735". */
  readonly p2pAddress: string;
  readonly log: Logger;
};

/** Money may only move on a fresh view of the chain. @throws NodeError `not_synced` */
export function assertSynced(node: LnNode): void {
  const problem = node.syncProblem();
  if (problem !== '') throw new NodeError('not_synced', problem);
}

type Names = 'getNodeInfo' | 'openChannel';

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
        ldkVersion: ldkVersion(),
        alias: parts.alias,
        chainSource: node.follower.kind === 'blocks' ? 'bitcoind' : 'esplora',
        syncProblem: node.syncProblem(),
        heapBytes: BigInt(heapBytes()),
        heapLimitBytes: BigInt(parts.heapLimitBytes),
        gossipAtUnixSecs: BigInt(node.gossip?.madeAt() ?? 0),
      });
    },
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
  };
}
