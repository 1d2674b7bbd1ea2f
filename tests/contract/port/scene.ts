/** Nodes with channels, and the steps that the tests of the port share. */
import { afterAll, beforeAll } from 'vitest';

import { msat, type PaymentHash } from '../../../src/core/units.js';
import type {
  HoldInvoice,
  HoldInvoiceRequest,
  PaymentResult,
  PayRequest,
  LightningNode,
} from '../../../src/lightning/node.js';
import { eventually } from '../../support/eventually.js';
import { invoiceRequest, newSecret } from '../../support/lightningWorld.js';
import type { Backend, ChannelOptions, PortNode, PortWorld } from './portWorld.js';

/** Generous: the machine may be busy. */
const WAIT_MS = 60_000;

export const AMOUNT_MSAT = 25_000_000n;
export const FINAL_CLTV = 42;

/** The answer of a call whose outcome is unknown. */
export const unavailable = { code: 'lightning_unavailable' };

export const payRequest = (bolt11: string, change: Partial<PayRequest> = {}): PayRequest => ({
  bolt11,
  maxFeeMsat: msat(5_000_000n),
  maxTotalCltvDelta: 200,
  timeoutSecs: 20,
  ...change,
});

export type Scene = ReturnType<typeof openScene>;

/** Starts the nodes and opens the channels before the tests of a file, once. */
export function openScene({ start, ready }: Backend, channels: readonly ChannelOptions[]) {
  let opened: PortWorld | undefined;
  const world = (): PortWorld => {
    if (opened === undefined) throw new Error('the world is not open');
    return opened;
  };
  const payer = (): PortNode => world().node('payer');
  const payee = (): PortNode => world().node('payee');

  beforeAll(async () => {
    opened = await start([...new Set(['payer', 'payee', ...channels.flatMap(({ from, to }) => [from, to])])]);
    if (channels.length > 0) await opened.openChannels(channels);
    ready?.(opened);
  });
  afterAll(async () => {
    await opened?.close();
  });

  const until = async <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> => {
    try {
      return await eventually(what, probe, WAIT_MS);
    } catch (cause) {
      throw new Error(`not in time: ${what}\n${world().tails()}`, { cause });
    }
  };
  const inState = (hash: PaymentHash, state: HoldInvoice['state'], node = payee()): Promise<HoldInvoice> =>
    until(`invoice ${state}`, async () => {
      const invoice = await node.port.lookupInvoice(hash);
      return invoice?.state === state && invoice;
    });
  /** Waits until the payment is held, or throws as soon as the payer says that it failed. */
  const heldBy = (payment: Promise<PaymentResult>, hash: PaymentHash, node = payee()): Promise<HoldInvoice> => {
    const failed = new Promise<never>((_, reject) => {
      payment.then((result) => {
        if (result.state === 'FAILED') reject(new Error(`expected the payment held, found ${JSON.stringify(result)}`));
      }, reject);
    });
    return Promise.race([inState(hash, 'HELD', node), failed]);
  };
  const paymentIs = (hash: PaymentHash, state: PaymentResult['state']): Promise<PaymentResult> =>
    until(`payment ${state}`, async () => {
      const payment = await payer().port.lookupPayment(hash);
      return payment?.state === state && payment;
    });
  const newInvoice = async (change: Partial<HoldInvoiceRequest> = {}, node = payee()) => {
    const secret = newSecret();
    const request = invoiceRequest(secret.paymentHash, {
      amountMsat: msat(AMOUNT_MSAT),
      minFinalCltvDelta: FINAL_CLTV,
      ...change,
    });
    return { ...secret, request, invoice: await node.port.createHoldInvoice(request) };
  };
  /** An invoice whose payment is held, and the payer's pending call. */
  const heldInvoice = async (change: Partial<PayRequest> = {}, asked: Partial<HoldInvoiceRequest> = {}) => {
    const made = await newInvoice(asked);
    const payment = payer().port.pay(payRequest(made.invoice.bolt11, change));
    payment.catch(() => undefined); // a test that needs the answer waits for it
    const held = await heldBy(payment, made.paymentHash);
    return { ...made, payment, held };
  };

  return {
    get world(): PortWorld {
      return world();
    },
    get payer(): LightningNode {
      return payer().port;
    },
    get payee(): LightningNode {
      return payee().port;
    },
    get other(): LightningNode {
      return world().node('other').port;
    },
    until,
    inState,
    heldBy,
    paymentIs,
    newInvoice,
    heldInvoice,
    /** Waits until no HTLC is left on any channel of payer and payee. */
    noHtlcLeft: (): Promise<unknown> =>
      until('no HTLC left', async () => {
        const counts = await Promise.all([payer().pendingHtlcs(), payee().pendingHtlcs()]);
        return counts.every((count) => count === 0);
      }),
  };
}
