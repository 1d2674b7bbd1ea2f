/**
 * Invoices. The row decides, LDK only executes: LDK would accept a duplicate hash, a payment after a cancel, and an
 * expired invoice.
 *
 *   OPEN     -> HELD (a complete payment), CANCELED (expired by the wall clock, or by the user)
 *   HELD     -> SETTLING (the preimage is committed), CANCELED (by the user, or at the claim deadline)
 *   SETTLING -> SETTLED (LDK reports the claim), CANCELED (LDK gave the payment back instead)
 */
import { createHash, randomBytes } from 'node:crypto';

import * as ldk from 'lightningdevkit';

import { hex, paymentHash as paymentHashOf, type PaymentHash } from '../core/units.js';
import type { Logger } from '../log.js';
import { encodeInvoice } from './bolt11.js';
import type { Network } from './chain/headers.js';
import type { HtlcWatch } from './chain/htlcEnds.js';
import { LEAST_PART_MSAT, partsOf, takeableMsat } from './dust.js';
import { NodeError } from './errors.js';
import type { Feed } from './feed.js';
import { rememberedHtlcs, routeHints, type ChannelParts } from './ldk/htlcs.js';
import { bytes, unwrap } from './ldk/result.js';
import type { Turns } from './ldk/turn.js';
import type { CancelReason, InvoiceRow, InvoiceRows } from './store/invoices.js';

/** Blocks that may come while a payment is in flight, so that it still has the promised delta when it arrives. */
const FLIGHT_BLOCKS = 3;
/** LDK checks expiry by block time; the row's own expiry is stricter, so LDK's only has to be later. */
const LDK_EXPIRY_SLACK_SECS = 86_400;

/** An invoice and what became of its HTLCs. */
export type InvoiceView = {
  readonly row: InvoiceRow;
  /** Any is unresolved. */
  readonly isHtlcPending: boolean;
  /** The payment was taken, but a part of it went back to the payer on the chain. */
  readonly isTimedOutOnChain: boolean;
};

export type InvoiceRequest = {
  readonly amountMsat: bigint;
  readonly description: { readonly text: string } | { readonly hash: string };
  readonly expirySecs: number;
  readonly minFinalCltvDelta: number;
  readonly label: string;
};

export type InvoiceParts = ChannelParts & {
  readonly keys: ldk.KeysManager;
  readonly rows: InvoiceRows;
  readonly turns: Turns;
  readonly network: Network;
  readonly htlcWatch: Pick<HtlcWatch, 'isTimedOut'>;
  /** Told the hash of every invoice that changed. */
  readonly feed: Feed<PaymentHash>;
  readonly log: Logger;
  /** Wall clock, Unix seconds. */
  readonly now: () => number;
};

export type Invoices = ReturnType<typeof makeInvoices>;

/** The invoices of one node. */
export function makeInvoices(parts: InvoiceParts) {
  const { rows, turns, manager, feed, log, now } = parts;

  const pending = rememberedHtlcs(parts, turns);
  const view = (row: InvoiceRow): InvoiceView => {
    const { hashes, isAnyUnnamed } = pending();
    const isTaken = row.state === 'SETTLING' || row.state === 'SETTLED';
    return {
      row,
      isHtlcPending: hashes.has(row.paymentHash) || (isAnyUnnamed && row.heldMsat > 0n),
      isTimedOutOnChain: isTaken && parts.htlcWatch.isTimedOut(row.paymentHash),
    };
  };

  const publish = (row: InvoiceRow): void => {
    turns.after(() => {
      feed.publish(row.paymentHash);
    });
  };

  const move = (row: InvoiceRow, change: Partial<InvoiceRow>): void => {
    const next = { ...row, ...change };
    rows.move(row.state, next);
    publish(next);
  };

  /** Idempotent in LDK: nothing happens if it holds nothing for the hash. */
  const failBack = (hash: PaymentHash): void => {
    manager.fail_htlc_backwards(bytes(hash));
  };

  const cancelRow = (row: InvoiceRow, cancelReason: CancelReason): void => {
    move(row, { state: 'CANCELED', cancelReason });
    failBack(row.paymentHash);
  };

  /** A price in dust would give the preimage for what we may never get. Smaller prices are dust in every channel. */
  const isBurnable = (row: InvoiceRow, amountMsat: bigint): boolean =>
    row.isHold &&
    row.amountMsat >= LEAST_PART_MSAT &&
    takeableMsat(amountMsat, partsOf(manager, row.paymentHash)) < row.amountMsat;

  const expireDue = (): void => {
    if (rows.dueToExpire(now()).length === 0) return;
    turns.run(() => {
      for (const row of rows.dueToExpire(now())) cancelRow(row, 'EXPIRED');
    });
  };

  const found = (hash: string): InvoiceRow => {
    expireDue();
    const row = rows.find(hash);
    if (row === undefined) throw new NodeError('invoice_not_found', `no invoice for payment hash ${hash}`);
    return row;
  };

  const create = (hash: PaymentHash, request: InvoiceRequest, preimage: Buffer | undefined): InvoiceRow =>
    turns.run(() => {
      const row = newRow(parts, hash, request, preimage);
      rows.insert(row);
      publish(row);
      return row;
    });

  const claim = (row: InvoiceRow, preimage: Buffer): void => {
    move(row, { state: 'SETTLING', preimage });
    manager.claim_funds(Uint8Array.from(preimage));
  };

  return {
    /** An invoice of a preimage that the node makes; settled as soon as it is paid. */
    createOwn: (request: InvoiceRequest): InvoiceRow => {
      const preimage = randomBytes(32);
      return create(hashOf(preimage), request, preimage);
    },
    /** @throws NodeError `payment_hash_reused` if the hash exists with other fields. */
    createHold: (hash: PaymentHash, request: InvoiceRequest): InvoiceRow => {
      expireDue();
      const row = rows.find(hash);
      if (row === undefined) return create(hash, request, undefined);
      if (!isSame(row, request)) {
        throw new NodeError('payment_hash_reused', `payment hash ${hash}: an invoice with other fields exists`);
      }
      return row;
    },
    /** @throws NodeError `invoice_not_found`, `invoice_not_held`, `invoice_canceled` */
    settle: (preimage: Buffer): void => {
      const row = found(hashOf(preimage));
      switch (row.state) {
        case 'SETTLING':
        case 'SETTLED':
          return;
        case 'OPEN':
          throw new NodeError('invoice_not_held', `invoice ${row.paymentHash}: expected HELD, found OPEN`);
        case 'CANCELED':
          throw new NodeError('invoice_canceled', `invoice ${row.paymentHash}: expected HELD, found CANCELED`);
        case 'HELD':
          turns.run(() => {
            claim(row, preimage);
          });
          return;
        default:
          throw new Error(`unknown state ${row.state satisfies never}`);
      }
    },
    /** @throws NodeError `invoice_not_found`, `invoice_settled` */
    cancel: (hash: PaymentHash): void => {
      const row = found(hash);
      switch (row.state) {
        case 'CANCELED':
          return;
        case 'SETTLING':
        case 'SETTLED':
          throw new NodeError('invoice_settled', `invoice ${hash}: expected OPEN or HELD, found ${row.state}`);
        case 'OPEN':
        case 'HELD':
          turns.run(() => {
            cancelRow(row, 'CANCELED_BY_USER');
          });
          return;
        default:
          throw new Error(`unknown state ${row.state satisfies never}`);
      }
    },
    /** @throws NodeError `invoice_not_found` */
    lookup: (hash: PaymentHash): InvoiceView => view(found(hash)),
    list: (labelPrefix: string, limit: number, after: string): InvoiceView[] => {
      expireDue();
      return rows.list(labelPrefix, limit, after).map(view);
    },
    expireDue,

    /** LDK holds a complete payment. Called inside a turn. */
    onClaimable: (hash: PaymentHash, amountMsat: bigint, deadlineHeight: number | undefined): void => {
      const row = rows.find(hash);
      const isLate = row?.state === 'OPEN' && now() >= row.expiresAt;
      if (row !== undefined && isLate) {
        cancelRow(row, 'EXPIRED');
      } else if (row?.state === 'SETTLING' && row.preimage !== undefined) {
        manager.claim_funds(Uint8Array.from(row.preimage)); // reported again after a restart
      } else if (row?.state === 'HELD') {
        log.info({ paymentHash: hash }, 'held payment reported again');
      } else if (row?.state !== 'OPEN' || amountMsat < row.amountMsat || deadlineHeight === undefined) {
        failBack(hash);
      } else if (isBurnable(row, amountMsat)) {
        log.warn({ paymentHash: hash, amountMsat }, 'payment refused: it could not be taken on the chain');
        failBack(hash);
      } else {
        const held = { ...row, state: 'HELD', heldMsat: amountMsat, claimDeadlineHeight: deadlineHeight } as const;
        rows.move('OPEN', held);
        publish(held);
        if (row.preimage !== undefined) claim(held, row.preimage);
      }
    },
    /** LDK took the payment. Called inside a turn. */
    onClaimed: (hash: PaymentHash, amountMsat: bigint): void => {
      const row = rows.find(hash);
      if (row?.state === 'SETTLING') move(row, { state: 'SETTLED', heldMsat: amountMsat });
      else if (row?.state !== 'SETTLED') log.error({ paymentHash: hash, state: row?.state }, 'claimed without intent');
    },
    /**
     * LDK failed an HTLC for the hash. For a HELD invoice that says nothing (it may be a second payment, which LDK
     * refuses while the first is held): only its deadline counts, see `atHeight`.
     */
    onFailedBack: (hash: PaymentHash): void => {
      const row = rows.find(hash);
      if (row?.state === 'SETTLING') cancelRow(row, 'DEADLINE');
    },
    /** A block came: LDK gives payments back at their deadline. Called inside a turn. */
    atHeight: (height: number): void => {
      for (const row of rows.pastDeadline(height)) cancelRow(row, 'DEADLINE');
    },
    /** After a restart: repeats claims whose report is missing. Called inside a turn. */
    resume: (): void => {
      for (const { preimage } of rows.settling()) {
        if (preimage !== undefined) manager.claim_funds(Uint8Array.from(preimage));
      }
    },
  };
}

const hashOf = (preimage: Uint8Array): PaymentHash =>
  paymentHashOf(createHash('sha256').update(preimage).digest('hex'));

const descriptionHashOf = ({ description }: InvoiceRequest): string => ('hash' in description ? description.hash : '');

function isSame(row: InvoiceRow, request: InvoiceRequest): boolean {
  return (
    row.isHold &&
    row.amountMsat === request.amountMsat &&
    row.descriptionHash === descriptionHashOf(request) &&
    row.expirySecs === request.expirySecs &&
    row.minFinalCltvDelta === request.minFinalCltvDelta &&
    row.label === request.label
  );
}

function newRow(
  parts: InvoiceParts,
  hash: PaymentHash,
  request: InvoiceRequest,
  preimage: Buffer | undefined,
): InvoiceRow {
  const { manager, keys, network } = parts;
  const createdAt = parts.now();
  const { amountMsat, expirySecs, minFinalCltvDelta } = request;
  const secret = unwrap(
    manager.create_inbound_payment_for_hash(
      bytes(hash),
      ldk.Option_u64Z.constructor_some(amountMsat),
      expirySecs + LDK_EXPIRY_SLACK_SECS,
      ldk.Option_u16Z.constructor_some(minFinalCltvDelta - FLIGHT_BLOCKS),
    ),
    ldk.Result_ThirtyTwoBytesNoneZ_OK,
    'payment secret',
  );
  const hints = routeHints(manager);
  const fields = { ...request, network, paymentHash: hash, paymentSecret: hex(secret), createdAt, hints };
  return {
    paymentHash: hash,
    bolt11: encodeInvoice(fields, keys.get_node_secret_key()),
    state: 'OPEN',
    isHold: preimage === undefined,
    amountMsat,
    heldMsat: 0n,
    descriptionHash: descriptionHashOf(request),
    minFinalCltvDelta,
    expirySecs,
    expiresAt: createdAt + expirySecs,
    label: request.label,
    claimDeadlineHeight: 0,
    cancelReason: '',
    preimage,
  };
}
