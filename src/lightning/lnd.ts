/**
 * The Lightning port over lnd's gRPC: docs/lightning-backends.md, docs/adr/0016-lnd.md.
 *
 * What lnd answers is never taken for more than it says: a settled invoice is a decision, not money; an error is unknown
 * unless lnd/errors.ts lists it; how a payment ended is read from lnd's record of it alone.
 */
import { EventEmitter } from 'node:events';

import type { PaymentHash } from '../core/units.js';
import type { Logger } from '../log.js';
import { DEFAULT_HOLD_EXPIRY_DELTA } from './lnd/invoice.js';
import { invoiceMethods } from './lnd/invoices.js';
import { nodeMethods } from './lnd/node.js';
import { paymentMethods } from './lnd/payments.js';
import { missingRights } from './lnd/rights.js';
import { openRpc, type LndEndpoint } from './lnd/rpc.js';
import { watchInvoices } from './lnd/watch.js';
import type { LightningNode, NodeRole } from './node.js';

export type LndOptions = LndEndpoint & {
  /** lnd's `invoices.holdexpirydelta`, Bitcoin blocks, if its operator changed it. */
  readonly holdExpiryDelta?: number;
  readonly log: Logger;
};

/** Connects lazily. @throws SwapError `bad_config` if a file cannot be read. */
export function connectLnd({
  holdExpiryDelta = DEFAULT_HOLD_EXPIRY_DELTA,
  log,
  ...endpoint
}: LndOptions): LightningNode {
  const rpc = openRpc(endpoint);
  const rights = new Map<NodeRole, readonly string[]>();
  const made = new EventEmitter<{ made: [PaymentHash] }>();
  const node = nodeMethods(rpc);
  const invoices = invoiceMethods({ rpc, holdExpiryDelta, onMade: (hash) => made.emit('made', hash) });
  return {
    ...node,
    ...invoices,
    ...paymentMethods({ rpc, getInfo: node.getInfo, log }),
    watchInvoices: (signal) =>
      watchInvoices(
        {
          rpc,
          lookup: invoices.lookupInvoice,
          onMade: (listener) => {
            made.on('made', listener);
            return () => made.off('made', listener);
          },
        },
        signal,
      ),
    missingRights: async (role) => {
      const known = rights.get(role) ?? (await missingRights(rpc, role));
      rights.set(role, known); // a macaroon does not change while it is used
      return known;
    },
    close: () => {
      log.debug({ address: endpoint.address }, 'lnd: closed');
      rpc.close();
    },
  };
}
