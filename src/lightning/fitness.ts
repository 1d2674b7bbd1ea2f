/** Whether a Lightning node can serve its role: one sentence for people if not. */
import { SwapError } from '../errors.js';
import type { BitcoinNetwork, LightningNode, NodeInfo, NodeRole } from './node.js';

type Wanted = { readonly role: NodeRole; readonly network: BitcoinNetwork };

/**
 * What keeps a node that answers from its role, or undefined.
 *
 * @throws SwapError `lightning_unavailable` if it does not answer; its message says why.
 */
export async function whyUnfit(node: LightningNode, info: NodeInfo, wanted: Wanted): Promise<string | undefined> {
  if (info.network !== wanted.network) {
    return `the Lightning node is on ${info.network}, expected one on ${wanted.network}`;
  }
  if (!info.isSynced) return `the Lightning node is not synced to its chain; it is at block ${info.blockHeight}`;
  const missing = (await node.missingRights?.(wanted.role)) ?? [];
  if (missing.length > 0) {
    return `the macaroon lacks the right to ${missing.join(', ')}; docs/lightning-backends.md has the line that bakes it`;
  }
  // A payer who learns S and then goes away would take its payment back on the chain as well.
  const lacking = wanted.role === 'seller' ? ((await node.missingFeeCoins?.()) ?? 0n) : 0n;
  if (lacking === 0n) return undefined;
  return `the Lightning node's wallet lacks ${lacking.toString()} sat of confirmed coins: without them it could not take a payment on the chain in time`;
}

/** The start-up check: everything that `whyUnfit` tells, an error too, and whether a seller could be paid at all. */
export async function checkAtStart(node: LightningNode, wanted: Wanted): Promise<string | undefined> {
  try {
    const problem = await whyUnfit(node, await node.getInfo(), wanted);
    if (problem !== undefined || wanted.role === 'buyer') return problem;
    if ((await node.inboundCapacityMsat()) > 0n) return undefined;
    return 'no usable channel of the Lightning node can receive anything: somebody has to open one to it';
  } catch (error) {
    if (error instanceof SwapError) return error.message;
    throw error;
  }
}
