/**
 * The Lightning port over lnnoded's gRPC.
 *
 * Only the node's own words "invoice_not_found" and "payment_not_found" become undefined, and only "payment_hash_reused"
 * has a code of its own; every other error, also of a precondition, is `lightning_unavailable`: the outcome is unknown.
 */
import { readFileSync } from 'node:fs';

import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, type Client } from 'nice-grpc';
import { deadlineMiddleware, type DeadlineOptions } from 'nice-grpc-client-middleware-deadline';
import { Metadata, type CallOptions } from 'nice-grpc-common';

import {
  hex,
  msat,
  paymentHash as paymentHashOf,
  preimage as preimageOf,
  pubkey,
  toSafeNumber,
  unixSecs,
  type PaymentHash,
} from '../core/units.js';
import { SwapError, type ErrorCode } from '../errors.js';
import {
  InvoiceState,
  LightningNodeServiceDefinition,
  PaymentState,
  type Invoice,
  type Payment,
} from '../gen/lnnode/v1/lnnode.js';
import type { Logger } from '../log.js';
import type { BitcoinNetwork, HoldInvoice, LightningNode, PaymentResult } from './node.js';

const CALL_MS = 10_000;
/** On top of the payment's own timeout. */
const PAY_SLACK_MS = 10_000;
const PAGE = 1000;

const CHANNEL_OPTIONS = {
  // A restarted node is found again at once: grpc's own backoff grows to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5000,
};

/** lnnoded's error codes that mean more than "unknown outcome". */
const MEANING: Readonly<Record<string, ErrorCode | 'absent'>> = {
  invoice_not_found: 'absent',
  payment_not_found: 'absent',
  payment_hash_reused: 'payment_hash_reused',
};

type NodeClient = Client<typeof LightningNodeServiceDefinition, DeadlineOptions>;
type Ask = <T>(what: string, ms: number, body: (options: CallOptions & DeadlineOptions) => Promise<T>) => Promise<T>;

export type LnnodedEndpoint = {
  /** host:port of lnnoded's gRPC. */
  readonly address: string;
  readonly tokenFile?: string;
  /** PEM certificate of the server; without it the connection is plaintext and must stay on the machine. */
  readonly tlsCertFile?: string;
  readonly log: Logger;
};

/** The node says that it does not know the hash. */
class Absent extends Error {}

/** Connects lazily. @throws SwapError `bad_config` if a file cannot be read. */
export function connectLnnoded({ address, tokenFile, tlsCertFile, log }: LnnodedEndpoint): LightningNode {
  const credentials =
    tlsCertFile === undefined
      ? ChannelCredentials.createInsecure()
      : ChannelCredentials.createSsl(readFile('lightning.tls_cert_file', tlsCertFile));
  const token =
    tokenFile === undefined ? undefined : readFile('lightning.token_file', tokenFile).toString('utf8').trim();
  const metadata = token === undefined ? Metadata() : Metadata({ authorization: `Bearer ${token}` });
  const channel = createChannel(address, credentials, CHANNEL_OPTIONS);
  const client: NodeClient = createClientFactory()
    .use(deadlineMiddleware)
    .create(LightningNodeServiceDefinition, channel, { '*': { metadata } });
  return {
    ...invoiceMethods(client, ask),
    ...paymentMethods(client, ask),
    watchInvoices: (signal) => watch(client, signal),
    close: () => {
      log.debug({ address }, 'lnnoded: closed');
      channel.close();
    },
  };
}

function readFile(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SwapError('bad_config', `${key}: expected a readable file at ${path}`, { cause });
  }
}

/** One call with its deadline; the only place where an upstream error is read. */
const ask: Ask = async (what, ms, body) => {
  let code: string | undefined;
  const onTrailer = (trailer: Metadata): void => {
    code = trailer.get('lnnode-error-code');
  };
  try {
    return await body({ deadline: ms, onTrailer });
  } catch (cause) {
    const meaning = code === undefined ? undefined : MEANING[code];
    if (meaning === 'absent') throw new Absent(code, { cause });
    throw new SwapError(meaning ?? 'lightning_unavailable', `lnnoded: ${what} failed (${code ?? 'no answer'})`, {
      cause,
    });
  }
};

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Absent) return undefined;
    throw error;
  }
}

/** For calls where "I do not know it" is an error like any other. */
async function present<T>(what: string, answer: Promise<T>): Promise<T> {
  const value = await orUndefined(answer.then((result) => ({ result })));
  if (value === undefined)
    throw new SwapError('lightning_unavailable', `lnnoded: ${what} failed: unknown payment hash`);
  return value.result;
}

const bytes = (hexText: string): Buffer => Buffer.from(hexText, 'hex');

type InvoiceMethods = Pick<
  LightningNode,
  'createHoldInvoice' | 'settleInvoice' | 'cancelInvoice' | 'lookupInvoice' | 'listHoldInvoices'
>;

function invoiceMethods(client: NodeClient, call: Ask): InvoiceMethods {
  const lookup = (hash: PaymentHash): Promise<HoldInvoice> =>
    call('LookupInvoice', CALL_MS, async (options) =>
      holdInvoice((await client.lookupInvoice({ paymentHash: bytes(hash) }, options)).invoice),
    );
  const page = (labelPrefix: string, after: string): Promise<Invoice[]> =>
    call('ListInvoices', CALL_MS, async (options) => {
      const request = { labelPrefix, limit: PAGE, afterPaymentHash: bytes(after) };
      return (await client.listInvoices(request, options)).invoices;
    });
  return {
    createHoldInvoice: async (request) => {
      if (request.minFinalCltvDelta <= 0)
        throw new SwapError('lightning_unavailable', 'lnnoded: expected minFinalCltvDelta of at least 1'); // 0 is its default
      const message = {
        ...request,
        paymentHash: bytes(request.paymentHash),
        descriptionHash: bytes(request.descriptionHash),
      };
      await call('CreateHoldInvoice', CALL_MS, (options) => client.createHoldInvoice(message, options));
      return present('CreateHoldInvoice', lookup(request.paymentHash));
    },
    settleInvoice: async (preimage) => {
      const answer = call('SettleInvoice', CALL_MS, (options) =>
        client.settleInvoice({ preimage: Buffer.from(preimage) }, options),
      );
      await present('SettleInvoice', answer);
    },
    cancelInvoice: async (hash) => {
      const request = { paymentHash: bytes(hash) };
      const answer = call('CancelInvoice', CALL_MS, (options) => client.cancelInvoice(request, options));
      await present('CancelInvoice', answer);
    },
    lookupInvoice: (hash) => orUndefined(lookup(hash)),
    listHoldInvoices: async (labelPrefix) => {
      const found: HoldInvoice[] = [];
      let after = '';
      for (;;) {
        const invoices = await page(labelPrefix, after);
        found.push(...invoices.filter(({ isHold }) => isHold).map(holdInvoice));
        const last = invoices.at(-1);
        if (last === undefined || invoices.length < PAGE) return found;
        after = hex(last.paymentHash);
      }
    },
  };
}

type PaymentMethods = Pick<LightningNode, 'getInfo' | 'inboundCapacityMsat' | 'pay' | 'lookupPayment'>;

function paymentMethods(client: NodeClient, call: Ask): PaymentMethods {
  return {
    getInfo: () =>
      call('GetNodeInfo', CALL_MS, async (options) => {
        const info = await client.getNodeInfo({}, options);
        const { blockHeight, isSynced } = info;
        return { nodeId: pubkey(hex(info.nodeId)), network: networkOf(info.network), blockHeight, isSynced };
      }),
    inboundCapacityMsat: () =>
      call('ListChannels', CALL_MS, async (options) => {
        const { channels } = await client.listChannels({}, options);
        const usable = channels.filter(({ isUsable }) => isUsable);
        return msat(usable.reduce((sum, channel) => sum + channel.inboundCapacityMsat, 0n));
      }),
    pay: (request) =>
      present(
        'PayInvoice',
        call('PayInvoice', request.timeoutSecs * 1000 + PAY_SLACK_MS, async (options) =>
          paymentResult((await client.payInvoice(request, options)).payment),
        ),
      ),
    lookupPayment: (hash) =>
      orUndefined(
        call('LookupPayment', CALL_MS, async (options) =>
          paymentResult((await client.lookupPayment({ paymentHash: bytes(hash) }, options)).payment),
        ),
      ),
  };
}

async function* watch(client: NodeClient, signal: AbortSignal): AsyncIterable<PaymentHash> {
  try {
    for await (const { invoice } of client.subscribeInvoices({}, { signal })) {
      if (invoice !== undefined) yield paymentHashOf(hex(invoice.paymentHash));
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw new SwapError('lightning_unavailable', 'lnnoded: the stream of invoices was lost', { cause });
  }
}

function networkOf(name: string): BitcoinNetwork {
  if (name === 'bitcoin' || name === 'testnet' || name === 'regtest') return name;
  throw new Error(`network: expected bitcoin, testnet or regtest, found ${name}`);
}

function invoiceState(state: InvoiceState): HoldInvoice['state'] {
  switch (state) {
    case InvoiceState.OPEN:
      return 'OPEN';
    case InvoiceState.HELD:
      return 'HELD';
    case InvoiceState.SETTLED:
      return 'SETTLED';
    case InvoiceState.CANCELED:
      return 'CANCELED';
    case InvoiceState.UNSPECIFIED:
    case InvoiceState.UNRECOGNIZED:
      throw new Error(`invoice: expected a known state, found ${state}`);
    default:
      throw new Error(`invoice: expected a known state, found ${state satisfies never}`);
  }
}

function holdInvoice(invoice: Invoice | undefined): HoldInvoice {
  if (invoice === undefined) throw new Error('expected an invoice, found none');
  const state = invoiceState(invoice.state);
  return {
    paymentHash: paymentHashOf(hex(invoice.paymentHash)),
    bolt11: invoice.bolt11,
    state,
    amountMsat: msat(invoice.amountMsat),
    heldMsat: msat(invoice.heldMsat),
    claimDeadlineHeight: state === 'HELD' ? invoice.claimDeadlineHeight : undefined,
    isHtlcPending: invoice.isHtlcPending,
    isTimedOutOnChain: invoice.isTimedOutOnChain,
    label: invoice.label,
    cancelReason: invoice.cancelReason,
    expiresAt: unixSecs(toSafeNumber(invoice.expiresAtUnixSecs)),
  };
}

function paymentResult(payment: Payment | undefined): PaymentResult {
  if (payment === undefined) throw new Error('expected a payment, found none');
  switch (payment.state) {
    case PaymentState.IN_FLIGHT:
      return { state: 'IN_FLIGHT' };
    case PaymentState.SUCCEEDED:
      return { state: 'SUCCEEDED', preimage: preimageOf(payment.preimage), feeMsat: msat(payment.feeMsat) };
    case PaymentState.FAILED:
      return { state: 'FAILED', reason: payment.failureReason };
    case PaymentState.UNSPECIFIED:
    case PaymentState.UNRECOGNIZED:
      throw new Error(`payment: expected a known state, found ${payment.state}`);
    default:
      throw new Error(`payment: expected a known state, found ${payment.state satisfies never}`);
  }
}
