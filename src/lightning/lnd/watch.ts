/**
 * Hints about invoices. lnd tells of held and canceled ones only on a stream of their own, so there is one for each open
 * invoice. All open ones are listed again and again: that finds those made by another process, and a frozen lnd, which
 * breaks no stream.
 */
import type { ClientReadableStream } from '@grpc/grpc-js';

import { paymentHash, type PaymentHash } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { HoldInvoice } from '../node.js';
import { invoiceAnswer, type InvoiceAnswer } from './answers.js';
import { unavailable } from './errors.js';
import { pagesOf } from './invoices.js';
import type { LndRpc } from './rpc.js';

/** How often all open invoices are listed. */
const POLL_MS = 10_000;
/** More open invoices than this are followed by the list alone. */
const MAX_STREAMS = 1000;
/** A settled invoice is looked at until its HTLCs are resolved: at first after so long, then after twice as long. */
const FIRST_LOOK_MS = 100;

type Parts = {
  readonly rpc: LndRpc;
  readonly lookup: (hash: PaymentHash) => Promise<HoldInvoice | undefined>;
  /** Calls back for every invoice that is made by this process. @returns how to stop that. */
  readonly onMade: (listener: (hash: PaymentHash) => void) => () => void;
};

/** @throws SwapError `lightning_unavailable` when a stream or the list is lost. */
export async function* watchInvoices(parts: Parts, signal: AbortSignal): AsyncIterable<PaymentHash> {
  const hints = createHints();
  const stop = new AbortController();
  const end = (): void => {
    stop.abort();
    hints.wake();
  };
  signal.addEventListener('abort', end);
  const watcher = createWatcher(parts, hints, stop.signal);
  const forget = parts.onMade((hash) => {
    hints.add(hash);
    watcher.follow(hash);
  });
  const polling = poll(parts.rpc, watcher, stop.signal).catch((error: unknown) => {
    hints.fail(unavailable('ListInvoices', error));
  });
  try {
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      for (const hash of hints.take()) yield hash;
      if (!isOver()) await hints.more();
    }
  } finally {
    signal.removeEventListener('abort', end);
    end();
    forget();
    watcher.close();
    await polling;
  }
}

type Hints = ReturnType<typeof createHints>;

/** Hashes that nobody took yet, each once; bounded by the number of invoices. */
function createHints() {
  const waiting = new Set<PaymentHash>();
  let failure: SwapError | undefined;
  let wakeUp: (() => void) | undefined;
  const wake = (): void => {
    wakeUp?.();
  };
  return {
    wake,
    add: (hash: PaymentHash): void => {
      waiting.add(hash);
      wake();
    },
    fail: (error: SwapError): void => {
      failure ??= error;
      wake();
    },
    /** What came until now. @throws what failed. */
    take: (): readonly PaymentHash[] => {
      if (failure !== undefined) throw failure;
      const taken = [...waiting];
      waiting.clear();
      return taken;
    },
    /** Returns when there is something to take, or when it is woken. */
    more: async (): Promise<void> => {
      if (waiting.size > 0 || failure !== undefined) return;
      await new Promise<void>((done) => {
        wakeUp = done;
      });
      wakeUp = undefined;
    },
  };
}

type Watcher = {
  /** Opens a stream for an invoice, if it has none. */
  follow(hash: PaymentHash): void;
  /** What the list says: a hint if it is not what was seen last. */
  seen(invoice: InvoiceAnswer): void;
  close(): void;
};

const stateKey = ({ state, amt_paid_msat: paid }: InvoiceAnswer): string => `${state} ${paid.toString()}`;

function createWatcher({ rpc, lookup }: Parts, hints: Hints, signal: AbortSignal): Watcher {
  const streams = new Map<PaymentHash, ClientReadableStream<unknown>>();
  const known = new Map<PaymentHash, string>();
  const note = (invoice: InvoiceAnswer): void => {
    const hash = paymentHash(invoice.r_hash);
    const key = stateKey(invoice);
    if (known.get(hash) !== key) hints.add(hash);
    if (invoice.state === 'OPEN' || invoice.state === 'ACCEPTED') {
      known.set(hash, key);
      return;
    }
    known.delete(hash);
    const stream = streams.get(hash);
    streams.delete(hash);
    stream?.cancel(); // lnd ends it by itself, as a rule
    if (invoice.state === 'SETTLED') lookUntilResolved(hash).catch(() => undefined); // never throws
  };
  /** S may be given out when the HTLCs are resolved, and no stream tells when that is. */
  const lookUntilResolved = async (hash: PaymentHash): Promise<void> => {
    for (let ms = FIRST_LOOK_MS; ms <= POLL_MS && !signal.aborted; ms *= 2) {
      await pause(ms, signal);
      const invoice = await lookup(hash).catch(() => undefined);
      if (invoice?.isHtlcPending !== false) continue;
      hints.add(hash);
      return;
    }
  };
  const follow = (hash: PaymentHash): void => {
    if (streams.has(hash) || streams.size >= MAX_STREAMS || signal.aborted) return;
    const stream = rpc.stream('SubscribeSingleInvoice', { r_hash: Buffer.from(hash, 'hex') });
    streams.set(hash, stream);
    stream.on('data', (answer: unknown) => {
      const { data, error } = invoiceAnswer.safeParse(answer);
      if (data === undefined) hints.fail(unavailable('SubscribeSingleInvoice', error));
      else note(data);
    });
    stream.on('error', (error: unknown) => {
      if (!signal.aborted && streams.get(hash) === stream) hints.fail(unavailable('SubscribeSingleInvoice', error));
    });
    stream.on('end', () => {
      if (streams.get(hash) === stream) hints.fail(lost());
    });
  };
  return {
    follow,
    seen: (invoice) => {
      note(invoice);
      follow(paymentHash(invoice.r_hash));
    },
    close: () => {
      for (const stream of streams.values()) stream.cancel();
      streams.clear();
    },
  };
}

const lost = (): SwapError => new SwapError('lightning_unavailable', 'lnd: the stream of an open invoice ended');

/** Others are none of ours: lnd knows how to settle them by itself. */
const isHold = ({ r_preimage: secret, is_amp: isAmp }: InvoiceAnswer): boolean => !isAmp && /^0*$/.test(secret);

/** Ends with the signal. @throws SwapError `lightning_unavailable`. */
async function poll(rpc: LndRpc, watcher: Watcher, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    for await (const page of pagesOf(rpc, true)) {
      for (const invoice of page.filter(isHold)) watcher.seen(invoice);
      if (isOver()) return;
    }
    await pause(POLL_MS, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) {
      done();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
