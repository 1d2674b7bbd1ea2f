/**
 * What lnd's errors mean. This table is the only place where they are read; whatever is not in it is `lightning_unavailable`:
 * the outcome is unknown, never "failed".
 *
 * lnd gives most errors the code UNKNOWN and tells them apart by their text, so the text has to be matched. Seen on lnd
 * 0.20.1 (tests/daemons/lndTraps.test.ts, lndConnection.test.ts).
 */
import { status } from '@grpc/grpc-js';
import { z } from 'zod';

import { SwapError } from '../../errors.js';
import type { LndMethod } from './rpc.js';

/**
 * `absent` lnd itself does not know it; `exists` the hash has an invoice; `payment_known` the hash was or is being paid;
 * `no_route` refused before anything was sent; `refused` it would do nothing; `forbidden` the macaroon lacks the right;
 * `unusable` nobody is served now.
 */
type Meaning = 'absent' | 'exists' | 'payment_known' | 'no_route' | 'refused' | 'forbidden' | 'unusable';

type Row = {
  /** Undefined: any. */
  readonly method?: LndMethod;
  readonly code: status;
  /** The beginning of lnd's text. */
  readonly text: string;
  readonly meaning: Meaning;
  /** For people. */
  readonly says: string;
};

const row = (method: LndMethod | undefined, code: status, text: string, meaning: Meaning, says: string): Row => ({
  ...(method === undefined ? {} : { method }),
  code,
  text,
  meaning,
  says,
});

const { UNKNOWN, NOT_FOUND, ALREADY_EXISTS, UNAVAILABLE, DEADLINE_EXCEEDED } = status;

// prettier-ignore
const TABLE: readonly Row[] = [
  row('LookupInvoice', NOT_FOUND, 'unable to locate invoice', 'absent', 'it does not know the payment hash'),
  row('LookupInvoice', NOT_FOUND, 'there are no existing invoices', 'absent', 'it does not know the payment hash'),
  row('TrackPaymentV2', NOT_FOUND, "payment isn't initiated", 'absent', 'it never sent this payment'),
  row('GetTransaction', UNKNOWN, 'can not find transaction', 'absent', 'the transaction is not of its wallet'),
  row('AddHoldInvoice', UNKNOWN, 'invoice with payment hash already exists', 'exists', 'the payment hash has an invoice'),
  row('SettleInvoice', UNKNOWN, 'invoice still open', 'refused', 'no complete payment is held'),
  row('SettleInvoice', UNKNOWN, 'invoice already canceled', 'refused', 'the invoice is canceled'),
  row('SettleInvoice', UNKNOWN, 'unable to locate invoice', 'refused', 'it does not know the payment hash'),
  row('SettleInvoice', UNKNOWN, 'there are no existing invoices', 'refused', 'it does not know the payment hash'),
  row('CancelInvoice', UNKNOWN, 'invoice already settled', 'refused', 'the invoice is settled'),
  row('CancelInvoice', UNKNOWN, 'unable to locate invoice', 'refused', 'it does not know the payment hash'),
  row('CancelInvoice', UNKNOWN, 'there are no existing invoices', 'refused', 'it does not know the payment hash'),
  row('SendPaymentV2', ALREADY_EXISTS, '', 'payment_known', 'the payment hash was paid or is being paid'),
  row('SendPaymentV2', UNKNOWN, 'cltv limit ', 'no_route', 'the limit of the total CLTV is below the final CLTV'),
  row('SendPaymentV2', UNKNOWN, 'self-payments not allowed', 'refused', 'the invoice is its own'),
  row('SendPaymentV2', UNKNOWN, 'invoice expired', 'refused', 'the invoice is expired'),
  row(undefined, UNKNOWN, 'permission denied', 'forbidden', 'the macaroon lacks the right to this call'),
  row(undefined, UNKNOWN, 'verification failed', 'unusable', 'the macaroon is of another lnd, revoked or expired'),
  row(undefined, UNKNOWN, 'cannot get macaroon', 'unusable', 'the macaroon is of another lnd, revoked or expired'),
  row(undefined, UNKNOWN, 'cannot determine data format', 'unusable', 'the macaroon file holds no macaroon'),
  row(undefined, UNKNOWN, 'wallet locked', 'unusable', 'its wallet is locked: unlock it (lncli unlock)'),
  row(undefined, UNKNOWN, 'wallet not created', 'unusable', 'it has no wallet yet (lncli create)'),
  row(undefined, UNKNOWN, 'waiting to start', 'unusable', 'it is starting'),
  row(undefined, UNKNOWN, 'the RPC server is in the process of starting up', 'unusable', 'it is starting'),
  row(undefined, DEADLINE_EXCEEDED, '', 'unusable', 'no answer in time'),
  row(undefined, UNAVAILABLE, '', 'unusable', 'no connection: is it running, is the address right, is the certificate its own?'),
];

const grpcError = z.object({ code: z.enum(status), details: z.string() });

function find(method: LndMethod, error: unknown): Row | undefined {
  const { data } = grpcError.safeParse(error);
  if (data === undefined) return undefined;
  const { code, details } = data;
  return TABLE.find(
    (each) =>
      (each.method === undefined || each.method === method) && each.code === code && details.startsWith(each.text),
  );
}

/** What an error of a call means; undefined: unknown. */
export const meaningOf = (method: LndMethod, error: unknown): Meaning | undefined => find(method, error)?.meaning;

/** An error of a call as the port throws it. */
export function unavailable(method: LndMethod, cause: unknown): SwapError {
  if (cause instanceof SwapError) return cause;
  const says = find(method, cause)?.says ?? 'for a reason that is not known here';
  return new SwapError('lightning_unavailable', `lnd: ${method} failed: ${says}`, { cause });
}
