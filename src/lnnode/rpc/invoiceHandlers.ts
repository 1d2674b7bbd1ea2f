/** Invoices. */
import type { CallContext } from 'nice-grpc-common';
import { z } from 'zod';

import { InvoiceState, type Invoice, type LightningNodeServiceImplementation } from '../../gen/lnnode/v1/lnnode.js';
import type { PaymentHash } from '../../core/units.js';
import { NodeError } from '../errors.js';
import type { InvoiceView } from '../invoices.js';
import type { InvoiceRowState } from '../store/invoices.js';
import { assertSynced, type HandlerParts } from './nodeHandlers.js';
import { amountMsat, bytes32, hashBytes, listLimit, optionalHash, parse } from './validate.js';

const DEFAULT_CLTV_DELTA = 42;
const MAX_EXPIRY_SECS = 604_800;
const MAX_DESCRIPTION_BYTES = 639;

const SHOWN_STATE = {
  OPEN: InvoiceState.OPEN,
  HELD: InvoiceState.HELD,
  SETTLING: InvoiceState.HELD,
  SETTLED: InvoiceState.SETTLED,
  CANCELED: InvoiceState.CANCELED,
} as const satisfies Record<InvoiceRowState, InvoiceState>;

function invoiceMessage({ row, isHtlcPending, isTimedOutOnChain }: InvoiceView): Invoice {
  const state = SHOWN_STATE[row.state];
  return {
    paymentHash: Buffer.from(row.paymentHash, 'hex'),
    bolt11: row.bolt11,
    state,
    amountMsat: row.amountMsat,
    heldMsat: row.heldMsat,
    claimDeadlineHeight: state === InvoiceState.HELD ? row.claimDeadlineHeight : 0,
    isHtlcPending,
    label: row.label,
    cancelReason: row.cancelReason,
    expiresAtUnixSecs: BigInt(row.expiresAt),
    isHold: row.isHold,
    isTimedOutOnChain,
  };
}

const isFinal = ({ row }: InvoiceView): boolean => row.state === 'SETTLED' || row.state === 'CANCELED';

const isHex64 = (text: string): boolean => text.length === 64;

function schemas(minExpirySecs: number) {
  const common = {
    amountMsat,
    expirySecs: z.number().int().min(minExpirySecs).max(MAX_EXPIRY_SECS),
    minFinalCltvDelta: z
      .number()
      .int()
      .refine((blocks) => blocks === 0 || (blocks >= 24 && blocks <= 144), 'expected 24..144, or 0 for 42')
      .transform((blocks) => (blocks === 0 ? DEFAULT_CLTV_DELTA : blocks)),
    label: z.string().max(200),
  };
  return {
    create: z.object({
      ...common,
      descriptionHash: optionalHash,
      description: z
        .string()
        .refine(
          (text) => Buffer.byteLength(text) <= MAX_DESCRIPTION_BYTES,
          `expected at most ${MAX_DESCRIPTION_BYTES} bytes`,
        ),
    }),
    hold: z.object({
      ...common,
      paymentHash: hashBytes,
      descriptionHash: optionalHash.refine(isHex64, 'expected 32 bytes'),
    }),
    settle: z.object({ preimage: bytes32 }),
    byHash: z.object({ paymentHash: hashBytes }),
    wait: z.object({ paymentHash: hashBytes, timeoutSecs: z.number().int().min(1).max(600) }),
    list: z.object({
      labelPrefix: z.string().max(200),
      limit: listLimit,
      afterPaymentHash: optionalHash,
    }),
  };
}

type Names =
  | 'createInvoice'
  | 'createHoldInvoice'
  | 'settleInvoice'
  | 'cancelInvoice'
  | 'lookupInvoice'
  | 'waitInvoiceSettled'
  | 'listInvoices'
  | 'subscribeInvoices';

/** Handlers of invoices. Settle and cancel also work without a fresh chain: they only end what was begun. */
export function invoiceHandlers(
  { node }: HandlerParts,
  minExpirySecs: number,
): Pick<LightningNodeServiceImplementation, Names> {
  const { invoices } = node;
  const schema = schemas(minExpirySecs);
  return {
    createInvoice: async (request) => {
      const { descriptionHash, description, ...rest } = parse(schema.create, request);
      if (descriptionHash !== '' && description !== '') {
        throw new NodeError('invalid_argument', 'description: expected nothing beside description_hash');
      }
      assertSynced(node);
      const { bolt11, paymentHash } = invoices.createOwn({
        ...rest,
        description: descriptionHash === '' ? { text: description } : { hash: descriptionHash },
      });
      return Promise.resolve({ bolt11, paymentHash: Buffer.from(paymentHash, 'hex') });
    },
    createHoldInvoice: async (request) => {
      const { paymentHash, descriptionHash, ...rest } = parse(schema.hold, request);
      assertSynced(node);
      const { bolt11 } = invoices.createHold(paymentHash, { ...rest, description: { hash: descriptionHash } });
      return Promise.resolve({ bolt11 });
    },
    settleInvoice: async (request) => {
      invoices.settle(parse(schema.settle, request).preimage);
      return Promise.resolve({});
    },
    cancelInvoice: async (request) => {
      invoices.cancel(parse(schema.byHash, request).paymentHash);
      return Promise.resolve({});
    },
    lookupInvoice: async (request) => {
      const view = invoices.lookup(parse(schema.byHash, request).paymentHash);
      return Promise.resolve({ invoice: invoiceMessage(view) });
    },
    waitInvoiceSettled: async (request, context: CallContext) => {
      const { paymentHash, timeoutSecs } = parse(schema.wait, request);
      const final = (hash: PaymentHash): Invoice | undefined => {
        const view = invoices.lookup(hash);
        return isFinal(view) ? invoiceMessage(view) : undefined;
      };
      let invoice = final(paymentHash);
      if (invoice !== undefined) return { invoice };
      const signal = AbortSignal.any([context.signal, AbortSignal.timeout(timeoutSecs * 1000)]);
      const accepts = (hash: PaymentHash): boolean => hash === paymentHash; // changes of others never are too many
      for await (const hash of node.invoiceFeed.subscribe(signal, { accepts })) {
        invoice = final(hash);
        if (invoice !== undefined) return { invoice };
      }
      return { invoice: invoiceMessage(invoices.lookup(paymentHash)), isTimedOut: true };
    },
    listInvoices: async (request) => {
      const { labelPrefix, limit, afterPaymentHash } = parse(schema.list, request);
      const views = invoices.list(labelPrefix, limit, afterPaymentHash);
      return Promise.resolve({ invoices: views.map(invoiceMessage) });
    },
    async *subscribeInvoices(_request, context: CallContext) {
      const changes = node.invoiceFeed.subscribe(context.signal);
      context.sendHeader(); // tells the subscriber that nothing is missed from here on
      for await (const hash of changes) yield { invoice: invoiceMessage(invoices.lookup(hash)) };
    },
  };
}
