/** The invoices of lnd: made, decided, looked up. */
import { z } from 'zod';

import { unixSecs, type PaymentHash } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { HoldInvoice, HoldInvoiceRequest, LightningNode } from '../node.js';
import {
  channelsAnswer,
  closedChannelsAnswer,
  invoiceAnswer,
  invoicesAnswer,
  transactionAnswer,
  type InvoiceAnswer,
} from './answers.js';
import { ask, askFor } from './ask.js';
import { meaningOf, unavailable } from './errors.js';
import { claimsToCheck, fateOf, needsChannels, needsClosed, type Channels, type OwnTx } from './htlcs.js';
import { differenceTo, toHoldInvoice } from './invoice.js';
import type { LndRpc } from './rpc.js';

/** lnd reads the text of each invoice anew, at best two thousand in a second. */
const PAGE = 250;
/** `0:sweep`: version and kind (lnd's package labels); fields may follow. */
const SWEEP_LABEL = /^\d+:sweep(:|$)/;
const ignored = z.unknown();

const bytes = (hexText: string): Buffer => Buffer.from(hexText, 'hex');

type Parts = { readonly rpc: LndRpc; readonly holdExpiryDelta: number; readonly onMade: (hash: PaymentHash) => void };

type InvoiceMethods = Pick<
  LightningNode,
  'createHoldInvoice' | 'settleInvoice' | 'cancelInvoice' | 'lookupInvoice' | 'listHoldInvoices'
>;

/** @param parts.onMade hears of every invoice that is made here. */
export function invoiceMethods({ rpc, holdExpiryDelta, onMade }: Parts): InvoiceMethods {
  const tell = async (invoices: readonly InvoiceAnswer[]): Promise<HoldInvoice[]> => {
    const { channels, isOwn } = await readChannels(rpc, invoices);
    const now = unixSecs(Math.floor(Date.now() / 1000));
    return invoices.map((invoice) =>
      toHoldInvoice(invoice, { fate: fateOf(invoice, channels, isOwn), holdExpiryDelta, now }),
    );
  };
  const lookup = (hash: PaymentHash): Promise<InvoiceAnswer | undefined> =>
    askFor(rpc, 'LookupInvoice', { r_hash: bytes(hash) }, invoiceAnswer);
  return {
    createHoldInvoice: async (request) => {
      const isNew = await add(rpc, request);
      const found = await lookup(request.paymentHash);
      if (found === undefined)
        throw new SwapError('lightning_unavailable', 'lnd: the invoice that was made is not there');
      const wrong = differenceTo(found, request);
      if (wrong !== undefined) {
        const code = isNew ? 'lightning_unavailable' : 'payment_hash_reused';
        throw new SwapError(code, `lnd: the payment hash has an invoice with another ${wrong}`);
      }
      onMade(request.paymentHash);
      return only(await tell([found]));
    },
    settleInvoice: async (preimage) => {
      await ask(rpc, 'SettleInvoice', { preimage: Buffer.from(preimage) }, ignored);
    },
    cancelInvoice: async (hash) => {
      await ask(rpc, 'CancelInvoice', { payment_hash: bytes(hash) }, ignored);
    },
    lookupInvoice: async (hash) => {
      const found = await lookup(hash);
      return found === undefined ? undefined : only(await tell([found]));
    },
    listHoldInvoices: async (labelPrefix) => {
      const found: InvoiceAnswer[] = [];
      for await (const page of pagesOf(rpc)) found.push(...page.filter(({ memo }) => memo.startsWith(labelPrefix)));
      return tell(found);
    },
  };
}

function only<T>([value]: readonly T[]): T {
  if (value === undefined) throw new Error('expected one invoice, found none');
  return value;
}

/**
 * @returns false if the hash had an invoice.
 * @throws SwapError `lightning_unavailable`, also for what lnd would take for "not given".
 */
async function add(rpc: LndRpc, request: HoldInvoiceRequest): Promise<boolean> {
  for (const field of ['amountMsat', 'expirySecs', 'minFinalCltvDelta'] as const) {
    if (request[field] <= 0) throw new SwapError('lightning_unavailable', `lnd: expected ${field} of at least 1`);
  }
  try {
    await rpc.call('AddHoldInvoice', {
      hash: bytes(request.paymentHash),
      memo: request.label,
      description_hash: bytes(request.descriptionHash),
      value_msat: request.amountMsat.toString(),
      expiry: request.expirySecs,
      cltv_expiry: request.minFinalCltvDelta,
      private: true,
    });
    return true;
  } catch (error) {
    if (meaningOf('AddHoldInvoice', error) === 'exists') return false;
    throw unavailable('AddHoldInvoice', error);
  }
}

/** All invoices of lnd, newest first, page by page. @param pendingOnly only those that are open or accepted. */
export async function* pagesOf(rpc: LndRpc, pendingOnly = false): AsyncIterable<readonly InvoiceAnswer[]> {
  let offset = 0n;
  for (;;) {
    const request = {
      index_offset: offset.toString(),
      num_max_invoices: PAGE.toString(),
      reversed: true,
      pending_only: pendingOnly,
    };
    const { invoices, first_index_offset: first } = await ask(rpc, 'ListInvoices', request, invoicesAnswer);
    yield invoices.toReversed();
    if (invoices.length < PAGE || first <= 1n) return;
    offset = first;
  }
}

/** Reads as much of the channels as these invoices need, after them. */
async function readChannels(
  rpc: LndRpc,
  invoices: readonly InvoiceAnswer[],
): Promise<{ readonly channels: Channels | undefined; readonly isOwn: OwnTx }> {
  const unclear = invoices.filter(needsChannels);
  if (unclear.length === 0) return { channels: undefined, isOwn: () => undefined };
  const { channels: open } = await ask(rpc, 'ListChannels', {}, channelsAnswer);
  const gone = unclear.filter((invoice) => needsClosed(invoice, open));
  if (gone.length === 0) return { channels: { open, closed: [] }, isOwn: () => undefined };
  const { channels: closed } = await ask(rpc, 'ClosedChannels', {}, closedChannelsAnswer);
  const own = new Map<string, boolean | undefined>();
  for (const txid of new Set(gone.flatMap((invoice) => claimsToCheck(invoice, closed)))) {
    own.set(txid, await isOwnTx(rpc, txid));
  }
  return { channels: { open, closed }, isOwn: (txid) => own.get(txid) };
}

/**
 * Whether lnd made the transaction: then it bears lnd's label of sweeps. To be of the wallet is not enough, because a payer
 * who takes his HTLC back can pay some satoshis to an address of the wallet with the same transaction.
 */
export async function isOwnTx(rpc: LndRpc, txid: string): Promise<boolean | undefined> {
  try {
    const found = await askFor(rpc, 'GetTransaction', { txid }, transactionAnswer);
    return found !== undefined && SWEEP_LABEL.test(found.label);
  } catch {
    return undefined; // not known: its HTLC counts as pending
  }
}
