/** Custom messages. */
import type { CallContext } from 'nice-grpc-common';
import { z } from 'zod';

import type { LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import { MAX_MESSAGE_TYPE, MAX_PAYLOAD_BYTES, MIN_MESSAGE_TYPE } from '../messages.js';
import type { HandlerParts } from './nodeHandlers.js';
import { nodeIdBytes, parse } from './validate.js';

const MAX_TYPES = 100;

const messageType = z.number().int().min(MIN_MESSAGE_TYPE).max(MAX_MESSAGE_TYPE);
const sendSchema = z.object({
  nodeId: nodeIdBytes,
  type: messageType,
  payload: z
    .instanceof(Uint8Array)
    .refine(({ length }) => length <= MAX_PAYLOAD_BYTES, `expected at most ${MAX_PAYLOAD_BYTES} bytes`),
});
const subscribeSchema = z.object({ types: z.array(messageType).max(MAX_TYPES) });

type Names = 'sendCustomMessage' | 'subscribeCustomMessages';

/** Handlers of custom messages. */
export function messageHandlers({ node }: HandlerParts): Pick<LightningNodeServiceImplementation, Names> {
  const { messages } = node;
  return {
    sendCustomMessage: async (request) => {
      const { nodeId, type, payload } = parse(sendSchema, request);
      messages.send(nodeId, type, payload);
      return Promise.resolve({});
    },
    async *subscribeCustomMessages(request, context: CallContext) {
      const received = messages.subscribe(parse(subscribeSchema, request).types, context.signal);
      yield {}; // the subscription stands
      for await (const { sequence, nodeId, type, payload } of received) {
        yield { sequence, nodeId: Buffer.from(nodeId, 'hex'), type, payload: Buffer.from(payload) };
      }
    },
  };
}
