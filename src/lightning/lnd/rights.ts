/** Which calls of lnd a role needs, and whether the macaroon allows them. docs/lightning-backends.md names the same. */
import { randomBytes } from 'node:crypto';

import type { NodeRole } from '../node.js';
import { meaningOf, unavailable } from './errors.js';
import { CALL_MS, type LndMethod, type LndRpc } from './rpc.js';

/** The calls of a role; no macaroon needs more. */
const METHODS_OF: Readonly<Record<NodeRole, readonly LndMethod[]>> = {
  seller: [
    'GetInfo',
    'ListChannels',
    'ClosedChannels',
    'WalletBalance',
    'LookupInvoice',
    'ListInvoices',
    'AddHoldInvoice',
    'SettleInvoice',
    'CancelInvoice',
    'SubscribeSingleInvoice',
    'GetTransaction',
  ],
  buyer: ['GetInfo', 'SendPaymentV2', 'TrackPaymentV2'],
};

/** Requests that lnd refuses or that change nothing: a missing right is told before lnd looks at them. */
const PROBES: Readonly<Partial<Record<LndMethod, object>>> = {
  LookupInvoice: { r_hash: randomBytes(32) },
  ListInvoices: { num_max_invoices: '1' },
  ClosedChannels: { abandoned: true },
};

const STREAMS: ReadonlySet<LndMethod> = new Set(['SubscribeSingleInvoice', 'SendPaymentV2', 'TrackPaymentV2']);

/**
 * The calls that the macaroon forbids, by their full names.
 *
 * @throws SwapError `lightning_unavailable` if lnd serves nobody.
 */
export async function missingRights(rpc: LndRpc, role: NodeRole): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const method of METHODS_OF[role]) {
    try {
      await probe(rpc, method);
    } catch (error) {
      const meaning = meaningOf(method, error);
      if (meaning === 'unusable') throw unavailable(method, error);
      if (meaning === 'forbidden') missing.push(rpc.path(method));
    }
  }
  return missing;
}

async function probe(rpc: LndRpc, method: LndMethod): Promise<void> {
  const request = PROBES[method] ?? {};
  if (!STREAMS.has(method)) {
    await rpc.call(method, request);
    return;
  }
  const stream = rpc.stream(method, request, CALL_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      stream.once('data', resolve);
      stream.once('end', resolve);
      stream.on('error', reject);
    });
  } finally {
    stream.cancel();
  }
}
