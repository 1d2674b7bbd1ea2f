/** A Lightning node that a test moves by hand. */
import { hashPreimage } from '../../src/core/htlc.js';
import { msat, unixSecs, type PaymentHash } from '../../src/core/units.js';
import type { HoldInvoice, LightningNode } from '../../src/lightning/node.js';
import { bytesField, FIELD, integerField, rawInvoice } from '../unit/core/rawInvoice.js';
import { keyOf } from '../unit/core/zkp.js';
import { nodeOf } from '../unit/engine/testContext.js';

/** What the node answers; a test moves the states. Asked to settle or cancel it obeys. */
export type ScriptedNode = {
  readonly port: LightningNode;
  readonly states: Map<PaymentHash, HoldInvoice['state']>;
  /** Calls in order: `settle`, `cancel`. */
  readonly calls: string[];
  isAway: boolean;
  /** It answers OK and does nothing. */
  isDeaf: boolean;
};

/** A node without invoices. @param now seconds since 1970. */
export function scriptedNode(now: () => number): ScriptedNode {
  const states = new Map<PaymentHash, HoldInvoice['state']>();
  const made = new Map<PaymentHash, HoldInvoice>();
  const calls: string[] = [];
  const here = async (): Promise<void> => {
    await Promise.resolve();
    if (node.isAway) await nodeOf().getInfo();
  };
  const ask = async (what: string, hash: PaymentHash, state: HoldInvoice['state']): Promise<void> => {
    await here();
    calls.push(what);
    if (!node.isDeaf) states.set(hash, state);
  };
  const invoiceOf = (hash: PaymentHash): HoldInvoice | undefined => {
    const [invoice, state] = [made.get(hash), states.get(hash)];
    if (invoice === undefined || state === undefined) return undefined;
    const isHeld = state === 'HELD';
    const heldMsat = isHeld || state === 'SETTLED' ? invoice.amountMsat : msat(0n);
    return { ...invoice, state, heldMsat, claimDeadlineHeight: isHeld ? 200 : undefined, isHtlcPending: isHeld };
  };
  const port = nodeOf({
    getInfo: async () => {
      await here();
      return { nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true };
    },
    createHoldInvoice: async (request) => {
      await here();
      const { paymentHash, expirySecs, minFinalCltvDelta, label } = request;
      const bolt11 = rawInvoice({
        prefix: `lnbcrt${(request.amountMsat / 100_000n).toString()}u`,
        createdAt: now(),
        privateKey: keyOf('node').privateKey,
        fields: [
          [FIELD.paymentHash, bytesField(Buffer.from(paymentHash, 'hex'))],
          [FIELD.secret, bytesField(Buffer.alloc(32, 7))],
          [FIELD.descriptionHash, bytesField(Buffer.from(request.descriptionHash, 'hex'))],
          [FIELD.expiry, integerField(expirySecs, 2)],
          [FIELD.finalCltv, integerField(minFinalCltvDelta, 2)],
          [FIELD.features, [16, 8, 0]],
        ],
      });
      const pending = { claimDeadlineHeight: undefined, isHtlcPending: false, isTimedOutOnChain: false };
      const rest = { heldMsat: msat(0n), ...pending, cancelReason: '' };
      const expiresAt = unixSecs(now() + expirySecs);
      const { amountMsat } = request;
      made.set(paymentHash, { paymentHash, bolt11, state: 'OPEN', amountMsat, label, expiresAt, ...rest });
      states.set(paymentHash, 'OPEN');
      const invoice = invoiceOf(paymentHash);
      if (invoice === undefined) throw new Error('no invoice');
      return invoice;
    },
    lookupInvoice: async (hash) => {
      await here();
      return invoiceOf(hash);
    },
    listHoldInvoices: async () => {
      await here();
      return [...made.keys()].flatMap((hash) => invoiceOf(hash) ?? []);
    },
    settleInvoice: async (preimage) => {
      await ask('settle', hashPreimage(preimage), 'SETTLED');
    },
    cancelInvoice: async (hash) => {
      await ask('cancel', hash, 'CANCELED');
    },
  });
  const node: ScriptedNode = { port, states, calls, isAway: false, isDeaf: false };
  return node;
}
