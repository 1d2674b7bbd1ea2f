/**
 * The payments of the Lightning port on ldk-server, for tests: it cannot set the final CLTV delta of an invoice (always
 * 42 there), and says that a payment is held only in an event, so this remembers what was told to it.
 */
import { createHash } from 'node:crypto';

import { hex, msat, preimage as preimageOf, pubkey, unixSecs, type PaymentHash } from '../../../src/core/units.js';
import type { HoldInvoice, LightningNode, PaymentResult } from '../../../src/lightning/node.js';
import { eventually } from '../eventually.js';
import { messagesOf, numberOf, textOf, type Field, type LdkServerClient, type Message } from './client.js';

const REGTEST = 4n;
const OUTBOUND = 1n;
const STATUS = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;
const MAX_PATHS = 10n;
const SATURATION = 2n;

/** What survives a restart of the server. */
export type LdkServerMemory = {
  readonly invoices: Map<PaymentHash, { bolt11: string; amountMsat: bigint; label: string; expiresAt: number }>;
  readonly held: Set<string>;
  readonly canceled: Set<string>;
};

type Paid = { readonly isOutbound: boolean; readonly status: string; readonly amountMsat: bigint; message: Message };

const never = (what: string) => (): never => {
  throw new Error(`ldk-server in tests: ${what} is not offered`);
};

/** Subscribes to events at once. `client` must outlive the port. */
export function ldkServerPort(client: LdkServerClient, { invoices, held, canceled }: LdkServerMemory): LightningNode {
  client.events((event) => {
    const [claimable] = messagesOf(event, 7);
    const [payment] = messagesOf(claimable, 1);
    if (payment !== undefined) held.add(textOf(payment, 1));
  });
  const paymentOf = async (hash: PaymentHash): Promise<Paid | undefined> => {
    const [message] = messagesOf(await client.call('GetPaymentDetails', [[1, hash]]), 1);
    if (message === undefined) return undefined;
    const status = STATUS[Number(numberOf(message, 5))] ?? 'PENDING';
    return { isOutbound: numberOf(message, 4) === OUTBOUND, status, amountMsat: numberOf(message, 3), message };
  };
  const stateOf = (hash: PaymentHash, paid: Paid | undefined): HoldInvoice['state'] => {
    if (paid?.status === 'SUCCEEDED') return 'SETTLED';
    if (canceled.has(hash)) return 'CANCELED';
    return held.has(hash) ? 'HELD' : 'OPEN';
  };
  const lookupInvoice = async (hash: PaymentHash): Promise<HoldInvoice | undefined> => {
    const known = invoices.get(hash);
    if (known === undefined) return undefined;
    const state = stateOf(hash, await paymentOf(hash));
    const amountMsat = msat(known.amountMsat);
    return {
      paymentHash: hash,
      bolt11: known.bolt11,
      state,
      amountMsat,
      heldMsat: state === 'HELD' || state === 'SETTLED' ? amountMsat : msat(0n),
      claimDeadlineHeight: undefined,
      isHtlcPending: state === 'HELD',
      isTimedOutOnChain: false,
      label: known.label,
      cancelReason: state === 'CANCELED' ? 'test' : '',
      expiresAt: unixSecs(known.expiresAt),
    };
  };
  const lookupPayment = async (hash: PaymentHash): Promise<PaymentResult | undefined> => {
    const paid = await paymentOf(hash);
    if (paid?.isOutbound !== true) return undefined;
    if (paid.status === 'PENDING') return { state: 'IN_FLIGHT' };
    if (paid.status === 'FAILED') return { state: 'FAILED', reason: 'ldk-server says no more' };
    const [kind] = messagesOf(paid.message, 2);
    const [bolt11] = messagesOf(kind, 2);
    const preimage = preimageOf(Uint8Array.from(Buffer.from(textOf(bolt11, 2), 'hex')));
    return { state: 'SUCCEEDED', preimage, feeMsat: msat(numberOf(paid.message, 7)) };
  };
  return {
    getInfo: async () => {
      const info = await client.call('GetNodeInfo', []);
      const [block] = messagesOf(info, 3);
      if (numberOf(info, 13) !== REGTEST) throw new Error('expected regtest');
      return {
        nodeId: pubkey(textOf(info, 1)),
        network: 'regtest',
        blockHeight: Number(numberOf(block, 2)),
        isSynced: true,
      };
    },
    createHoldInvoice: async ({ paymentHash, amountMsat, descriptionHash, expirySecs, label }) => {
      const description: Field[] = [[2, descriptionHash]];
      const answer = await client.call('Bolt11ReceiveForHash', [
        [1, amountMsat],
        [2, description],
        [3, BigInt(expirySecs)],
        [4, paymentHash],
      ]);
      const expiresAt = Math.floor(Date.now() / 1000) + expirySecs;
      invoices.set(paymentHash, { bolt11: textOf(answer, 1), amountMsat, label, expiresAt });
      const invoice = await lookupInvoice(paymentHash);
      if (invoice === undefined) throw new Error('the invoice was not kept');
      return invoice;
    },
    settleInvoice: async (preimage) => {
      const hash = createHash('sha256').update(preimage).digest('hex');
      await client.call('Bolt11ClaimForHash', [
        [1, hash],
        [3, hex(preimage)],
      ]);
    },
    cancelInvoice: async (hash) => {
      await client.call('Bolt11FailForHash', [[1, hash]]);
      canceled.add(hash);
    },
    lookupInvoice,
    lookupPayment,
    pay: async ({ bolt11, maxFeeMsat, maxTotalCltvDelta, timeoutSecs }) => {
      const limits: Field[] = [
        [1, maxFeeMsat],
        [2, BigInt(maxTotalCltvDelta)],
        [3, MAX_PATHS],
        [4, SATURATION],
      ];
      const answer = await client.call('Bolt11Send', [
        [1, bolt11],
        [3, limits],
      ]);
      const id = textOf(answer, 1) as PaymentHash;
      return eventually(
        'the end of the payment',
        async () => {
          const payment = await lookupPayment(id);
          return payment?.state !== 'IN_FLIGHT' && payment;
        },
        timeoutSecs * 1000,
      ).catch((): PaymentResult => ({ state: 'IN_FLIGHT' }));
    },
    inboundCapacityMsat: never('inboundCapacityMsat'),
    listHoldInvoices: never('listHoldInvoices'),
    watchInvoices: never('watchInvoices'),
    close: () => {
      client.close();
    },
  };
}
