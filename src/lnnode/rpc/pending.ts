/** Calls of the service that are being written. */
import type { LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import { NodeError } from '../errors.js';

type Names = 'disconnectPeer' | 'sendCustomMessage' | 'subscribePeerEvents' | 'subscribeCustomMessages';

const refuse = (): never => {
  throw new NodeError('invalid_argument', 'not written yet');
};

export const pendingHandlers: Pick<LightningNodeServiceImplementation, Names> = {
  disconnectPeer: refuse,
  sendCustomMessage: refuse,
  subscribePeerEvents: refuse,
  subscribeCustomMessages: refuse,
};
