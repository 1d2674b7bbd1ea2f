/** Outgoing payments and reading invoices. */
import type { CallContext } from 'nice-grpc-common';
import { z } from 'zod';

import { decodeInvoice, inspectInvoice } from '../../core/invoice.js';
import { PaymentState, type LightningNodeServiceImplementation, type Payment } from '../../gen/lnnode/v1/lnnode.js';
import type { PaymentRow, PaymentRowState } from '../store/payments.js';
import { assertSynced, type HandlerParts } from './nodeHandlers.js';
import { bolt11Text, hashBytes, limitMsat, listLimit, optionalHash, parse } from './validate.js';

const decodeSchema = z.object({ bolt11: bolt11Text });
const lookupSchema = z.object({ paymentHash: hashBytes });
const listSchema = z.object({ limit: listLimit, afterPaymentHash: optionalHash });
const paySchema = z.object({
  bolt11: bolt11Text,
  maxFeeMsat: limitMsat,
  maxTotalCltvDelta: z.number().int().min(1).max(2016),
  timeoutSecs: z.number().int().min(1).max(600),
});

const SHOWN_STATE = {
  IN_FLIGHT: PaymentState.IN_FLIGHT,
  SUCCEEDED: PaymentState.SUCCEEDED,
  FAILED: PaymentState.FAILED,
} as const satisfies Record<PaymentRowState, PaymentState>;

const paymentMessage = (row: PaymentRow): Payment => ({
  paymentHash: Buffer.from(row.paymentHash, 'hex'),
  state: SHOWN_STATE[row.state],
  preimage: row.preimage ?? Buffer.alloc(0),
  feeMsat: row.feeMsat,
  amountMsat: row.amountMsat,
  failureReason: row.failureReason,
});

type Names = 'decodeInvoice' | 'payInvoice' | 'lookupPayment' | 'listPayments';

/** Handlers of payments. */
export function paymentHandlers({ node }: HandlerParts): Pick<LightningNodeServiceImplementation, Names> {
  return {
    decodeInvoice: async (request) => {
      const reading = inspectInvoice(parse(decodeSchema, request).bolt11, node.network);
      const { invoice } = reading;
      return Promise.resolve({
        payeeNodeId: Buffer.from(invoice.payee, 'hex'),
        paymentHash: Buffer.from(invoice.paymentHash, 'hex'),
        amountMsat: invoice.amountMsat,
        network: invoice.network,
        createdAtUnixSecs: BigInt(invoice.createdAt),
        expiresAtUnixSecs: BigInt(invoice.expiresAt),
        minFinalCltvDelta: invoice.minFinalCltvDelta,
        descriptionHash: Buffer.from(invoice.descriptionHash ?? '', 'hex'),
        description: invoice.description ?? '',
        features: [...reading.features],
        routeHints: reading.routeHints,
        isExpired: Date.now() / 1000 >= invoice.expiresAt,
        refusals: reading.refusals.map(({ field, description }) => `${field}: ${description}`),
      });
    },
    payInvoice: async (request, context: CallContext) => {
      const { bolt11, ...limits } = parse(paySchema, request);
      const invoice = decodeInvoice(bolt11, node.network);
      assertSynced(node);
      return { payment: paymentMessage(await node.payments.pay(invoice, limits, context.signal)) };
    },
    lookupPayment: async (request) => {
      const row = node.payments.lookup(parse(lookupSchema, request).paymentHash);
      return Promise.resolve({ payment: paymentMessage(row) });
    },
    listPayments: async (request) => {
      const { limit, afterPaymentHash } = parse(listSchema, request);
      return Promise.resolve({ payments: node.payments.list(limit, afterPaymentHash).map(paymentMessage) });
    },
  };
}
