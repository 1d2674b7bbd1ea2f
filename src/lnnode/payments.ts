/**
 * Outgoing payments, at most one per payment hash. The row is committed in the turn that hands the payment to LDK and in
 * the turn that takes LDK's report, so it is true after any crash.
 */
import type { PaymentHash, Pubkey } from '../core/units.js';
import type { Logger } from '../log.js';
import { NodeError } from './errors.js';
import { pendingHtlcs, type ChannelParts } from './ldk/htlcs.js';
import { bytes } from './ldk/result.js';
import {
  handOver,
  mayRouteSoon,
  recentHashes,
  ROUTE_NOT_FOUND,
  type Payable,
  type RouteLimits,
} from './ldk/sendPayment.js';
import type { Turns } from './ldk/turn.js';
import type { PaymentRow, PaymentRows } from './store/payments.js';

/** A payment without a way waits for one, looking this often. */
const RETRY_MS = 200;

export type PaymentLimits = Omit<RouteLimits, 'isDirectOnly'> & { readonly timeoutSecs: number };

/** A payment within the time of the call that began it. */
type Attempt = {
  readonly invoice: Payable;
  readonly limits: PaymentLimits;
  readonly deadline: NodeJS.Timeout;
  /** Set while LDK has nothing of it. */
  retry: NodeJS.Timeout | undefined;
};

export type PaymentParts = ChannelParts & {
  readonly nodeId: Pubkey;
  /** Pay only peers with a channel. */
  readonly isDirectOnly: boolean;
  readonly rows: PaymentRows;
  readonly turns: Turns;
  readonly log: Logger;
  readonly now: () => number;
};

export type Payments = ReturnType<typeof makePayments>;

/** The payments of one node. */
export function makePayments(parts: PaymentParts) {
  const { rows, turns, manager, log } = parts;
  const waiters = new Map<string, Set<() => void>>();
  const timers = new Set<NodeJS.Timeout>();
  const attempts = new Map<string, Attempt>();

  const finish = (row: PaymentRow): void => {
    rows.put(row);
    turns.after(() => {
      for (const wake of waiters.get(row.paymentHash) ?? []) wake();
    });
  };

  const lookup = (hash: PaymentHash): PaymentRow => {
    const row = rows.find(hash);
    if (row === undefined) throw new NodeError('payment_not_found', `no payment for payment hash ${hash}`);
    return row;
  };

  const forget = (hash: PaymentHash): Attempt | undefined => {
    const attempt = attempts.get(hash);
    clearTimeout(attempt?.deadline);
    clearTimeout(attempt?.retry);
    attempts.delete(hash);
    return attempt;
  };

  const failed = (row: PaymentRow, failureReason: string): void => {
    forget(row.paymentHash);
    finish({ ...row, state: 'FAILED', failureReason });
  };

  /** After the caller's timeout no further attempt is made; what is out stays out. */
  const timedOut = (hash: PaymentHash): void => {
    const attempt = forget(hash);
    const row = rows.find(hash);
    if (attempt === undefined || row?.state !== 'IN_FLIGHT' || turns.isStopped()) return;
    turns.run(() => {
      if (attempt.retry === undefined) manager.abandon_payment(bytes(hash));
      else failed(row, ROUTE_NOT_FOUND);
    });
  };

  /** Called inside a turn, when LDK has nothing of the payment. @returns true if it will be tried again. */
  const triesAgain = (hash: PaymentHash, reason: string): boolean => {
    const attempt = attempts.get(hash);
    if (attempt === undefined || reason !== ROUTE_NOT_FOUND) return false;
    if (!mayRouteSoon(manager, attempt.invoice, parts.isDirectOnly)) return false;
    attempt.retry = setTimeout(() => {
      attempt.retry = undefined;
      if (turns.isStopped()) return;
      turns.run(() => {
        hand(attempt);
      });
    }, RETRY_MS);
    return true;
  };

  /** Called inside a turn. */
  const hand = ({ invoice, limits }: Attempt): void => {
    const { paymentHash, bolt11, amountMsat } = invoice;
    const row = { paymentHash, bolt11, amountMsat, feeMsat: 0n, preimage: undefined, failureReason: '' };
    const inFlight = { ...row, state: 'IN_FLIGHT' } as const;
    const isExpired = parts.now() >= invoice.expiresAt;
    const failure = isExpired
      ? 'INVOICE_EXPIRED'
      : handOver(manager, invoice, { ...limits, isDirectOnly: parts.isDirectOnly });
    if (failure === undefined || triesAgain(paymentHash, failure)) rows.put(inFlight);
    else failed(inFlight, failure);
  };

  const outcome = async (hash: PaymentHash, timeoutSecs: number, signal: AbortSignal): Promise<void> => {
    if (rows.find(hash)?.state !== 'IN_FLIGHT') return;
    const set = waiters.get(hash) ?? new Set();
    waiters.set(hash, set);
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        timers.delete(timer);
        signal.removeEventListener('abort', end);
        set.delete(end);
        if (set.size === 0) waiters.delete(hash);
        resolve();
      };
      const timer = setTimeout(end, timeoutSecs * 1000);
      timers.add(timer);
      set.add(end);
      signal.addEventListener('abort', end);
    });
  };

  const send = (invoice: Payable, limits: PaymentLimits): void => {
    const { paymentHash } = invoice;
    const deadline = setTimeout(() => {
      timedOut(paymentHash);
    }, limits.timeoutSecs * 1000);
    const attempt = { invoice, limits, deadline, retry: undefined };
    attempts.set(paymentHash, attempt);
    try {
      turns.run(() => {
        hand(attempt);
      });
    } catch (error) {
      forget(paymentHash); // refused before anything was done
      throw error;
    }
  };

  return {
    lookup,
    /** Newest first. */
    list: rows.list,
    /**
     * Pays, or joins a payment of the same hash; answers with its state at the timeout at the latest.
     * @throws NodeError `invoice_expired`, `own_invoice`
     */
    pay: async (invoice: Payable, limits: PaymentLimits, signal: AbortSignal): Promise<PaymentRow> => {
      const known = rows.find(invoice.paymentHash);
      if (known === undefined || known.state === 'FAILED') {
        if (invoice.payee === parts.nodeId) throw new NodeError('own_invoice', 'the invoice is our own');
        if (parts.now() >= invoice.expiresAt) {
          throw new NodeError('invoice_expired', `invoice: expired at ${invoice.expiresAt}, now ${parts.now()}`);
        }
        send(invoice, limits);
      }
      await outcome(invoice.paymentHash, limits.timeoutSecs, signal);
      return lookup(invoice.paymentHash);
    },
    /** Called inside a turn. */
    onSent: (hash: PaymentHash, preimage: Uint8Array, feeMsat: bigint | undefined): void => {
      const row = rows.find(hash);
      forget(hash);
      if (row === undefined) log.error({ paymentHash: hash }, 'a payment without a row was sent');
      else
        finish({
          ...row,
          state: 'SUCCEEDED',
          preimage: Buffer.from(preimage),
          feeMsat: feeMsat ?? row.feeMsat, // LDK tells it again at each start while the channel's end is watched
          failureReason: '',
        });
    },
    /**
     * The peer let the HTLC go. LDK tells no fee with the success of a payment whose attempts were stopped, so it is
     * taken from the path. Called inside a turn.
     */
    onPathDone: (hash: PaymentHash, feeMsat: bigint): void => {
      const row = rows.find(hash);
      if (row?.state === 'SUCCEEDED' && row.feeMsat === 0n) rows.put({ ...row, feeMsat });
    },
    /** Called inside a turn. */
    onFailed: (hash: PaymentHash, failureReason: string): void => {
      const row = rows.find(hash);
      if (row?.state === 'IN_FLIGHT' && !triesAgain(hash, failureReason)) failed(row, failureReason);
    },
    /**
     * After a restart: whoever asked for a payment is gone, so nothing new is tried. What is out stays out. A row whose
     * payment LDK does not know and for which no HTLC is out has failed.
     */
    resume: (): void => {
      const known = recentHashes(manager);
      const pending = pendingHtlcs(parts);
      for (const row of rows.inFlight()) {
        if (known.has(row.paymentHash)) manager.abandon_payment(bytes(row.paymentHash));
        else if (!pending.hashes.has(row.paymentHash) && !pending.isAnyUnnamed) failed(row, 'NEVER_SENT');
      }
    },
    stop: (): void => {
      for (const timer of timers) clearTimeout(timer);
      for (const { invoice } of [...attempts.values()]) forget(invoice.paymentHash);
      for (const set of waiters.values()) for (const wake of set) wake();
    },
  };
}
