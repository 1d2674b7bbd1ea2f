/** Payments of lnd: sent, followed, looked up. How one ended is only ever read from lnd's record of it. */
import { createHash } from 'node:crypto';

import { status, type ClientReadableStream } from '@grpc/grpc-js';

import { decodeInvoice } from '../../core/invoice.js';
import { msat, preimage as preimageOf, type PaymentHash } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { BitcoinNetwork, LightningNode, NodeInfo, PaymentResult, PayRequest } from '../node.js';
import { paymentAnswer, type PaymentAnswer } from './answers.js';
import { meaningOf, unavailable } from './errors.js';
import { CALL_MS, type LndRpc } from './rpc.js';

/** lnd splits a payment only if no single way carries it; 16 is its own default. */
const MAX_PARTS = 16;
/** lnd's own limit of a total CLTV; it takes 0 for "no limit". */
const MAX_TOTAL_CLTV = 2016;
const MAX_TIMEOUT_SECS = 120;
/** How often the height is looked at while lnd searches. */
const HEIGHT_MS = 1000;

/** lnd's reasons as the port's other backend tells them. */
const REASONS: Readonly<Record<string, string>> = {
  FAILURE_REASON_TIMEOUT: 'TIMEOUT',
  FAILURE_REASON_NO_ROUTE: 'ROUTE_NOT_FOUND',
  FAILURE_REASON_ERROR: 'ERROR',
  FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: 'RECIPIENT_REJECTED',
  FAILURE_REASON_INSUFFICIENT_BALANCE: 'INSUFFICIENT_BALANCE',
  FAILURE_REASON_CANCELED: 'CANCELED',
};

/** A payment as the port tells it. A preimage ends it, also while parts are still out. Pure. */
export function toPaymentResult(payment: PaymentAnswer): PaymentResult {
  const secret = Buffer.from(payment.payment_preimage, 'hex');
  const isPaid = createHash('sha256').update(secret).digest('hex') === payment.payment_hash;
  if (isPaid) return { state: 'SUCCEEDED', preimage: preimageOf(secret), feeMsat: msat(payment.fee_msat) };
  switch (payment.status) {
    case 'FAILED':
      return { state: 'FAILED', reason: REASONS[payment.failure_reason] ?? payment.failure_reason };
    case 'SUCCEEDED':
      throw new SwapError('lightning_unavailable', 'lnd: it calls a payment made and shows no preimage of its hash');
    case 'INITIATED':
    case 'IN_FLIGHT':
    case 'UNKNOWN':
      return { state: 'IN_FLIGHT' };
    default:
      throw new Error(`unknown payment status ${payment.status satisfies never}`);
  }
}

type Parts = { readonly rpc: LndRpc; readonly getInfo: () => Promise<NodeInfo>; readonly log: Logger };

export function paymentMethods(parts: Parts): Pick<LightningNode, 'pay' | 'lookupPayment'> {
  const lookupPayment = (hash: PaymentHash): Promise<PaymentResult | undefined> => track(parts.rpc, hash, 0);
  return { lookupPayment, pay: (request) => pay(parts, request) };
}

/** Refuses what lnd would take for "no limit". @throws SwapError `lightning_unavailable`. */
function checkLimits({ maxFeeMsat, maxTotalCltvDelta, timeoutSecs }: PayRequest): void {
  const isIn = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= most;
  const problems = [
    ...(isIn(maxTotalCltvDelta, MAX_TOTAL_CLTV) ? [] : [`maxTotalCltvDelta of 1..${MAX_TOTAL_CLTV}`]),
    ...(isIn(timeoutSecs, MAX_TIMEOUT_SECS) ? [] : [`timeoutSecs of 1..${MAX_TIMEOUT_SECS}`]),
    ...(maxFeeMsat >= 0n ? [] : ['maxFeeMsat of 0 or more']),
  ];
  if (problems.length > 0) throw new SwapError('lightning_unavailable', `lnd: expected ${problems.join(', ')}`);
}

function hashOf(bolt11: string, network: BitcoinNetwork): PaymentHash {
  try {
    return decodeInvoice(bolt11, network).paymentHash;
  } catch (cause) {
    throw new SwapError('lightning_unavailable', 'lnd: expected an invoice that can be paid', { cause });
  }
}

/** Sends if nothing is out and nothing was paid, and follows what there is until the time is over. */
async function pay(parts: Parts, request: PayRequest): Promise<PaymentResult> {
  checkLimits(request);
  const end = Date.now() + request.timeoutSecs * 1000;
  const { rpc } = parts;
  const { network, blockHeight } = await parts.getInfo();
  const hash = hashOf(request.bolt11, network);
  const known = await track(rpc, hash, 0);
  if (known?.state === 'SUCCEEDED') return known;
  if (known?.state === 'IN_FLIGHT') return (await track(rpc, hash, end - Date.now())) ?? known;
  const search = startSearch(rpc, request);
  try {
    const refusal = await search.taken;
    if (refusal === 'no_route') {
      const now = await track(rpc, hash, 0);
      return now === undefined || now.state === 'FAILED' ? { state: 'FAILED', reason: 'ROUTE_NOT_FOUND' } : now;
    }
    const watch = endSearchAtBlock(parts, search.end, blockHeight);
    try {
      return (await track(rpc, hash, Math.max(end - Date.now(), 1))) ?? { state: 'IN_FLIGHT' };
    } finally {
      watch.stop();
    }
  } finally {
    search.end();
  }
}

/**
 * Lets lnd search a way and send. It goes on searching while the stream is open, at most for the time of the request; what
 * is out when it ends stays out.
 */
function startSearch(
  rpc: LndRpc,
  request: PayRequest,
): { readonly taken: Promise<'taken' | 'no_route'>; readonly end: () => void } {
  const stream = rpc.stream(
    'SendPaymentV2',
    {
      payment_request: request.bolt11,
      fee_limit_msat: request.maxFeeMsat.toString(),
      cltv_limit: request.maxTotalCltvDelta,
      timeout_seconds: request.timeoutSecs,
      max_parts: MAX_PARTS,
      cancelable: true,
      allow_self_payment: false,
    },
    request.timeoutSecs * 1000 + CALL_MS,
  );
  const taken = new Promise<'taken' | 'no_route'>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(unavailable('SendPaymentV2', { code: status.DEADLINE_EXCEEDED, details: '' }));
    }, CALL_MS);
    stream.once('data', () => {
      clearTimeout(timer);
      resolve('taken');
    });
    stream.once('end', () => {
      clearTimeout(timer);
      resolve('taken');
    });
    stream.on('error', (error: unknown) => {
      clearTimeout(timer);
      const meaning = meaningOf('SendPaymentV2', error);
      if (meaning === 'no_route') resolve('no_route');
      else if (meaning === 'payment_known') resolve('taken');
      else reject(unavailable('SendPaymentV2', error));
    });
  });
  stream.on('data', () => undefined); // the outcome is read elsewhere
  return {
    taken,
    end: () => {
      stream.cancel();
    },
  };
}

/**
 * lnd's limit counts from the block at which it makes an attempt. So no attempt is made after a new block: the height that
 * the caller counted with stands.
 */
function endSearchAtBlock(
  { getInfo, log }: Parts,
  end: () => void,
  startHeight: number,
): { readonly stop: () => void } {
  let isOver = false;
  const timer = setInterval(() => {
    getInfo().then(
      ({ blockHeight }) => {
        if (isOver || blockHeight <= startHeight) return;
        log.debug({ startHeight, blockHeight }, 'lnd: a block came, no further attempt is made');
        stop();
        end();
      },
      () => undefined, // the next look may succeed; lnd ends the search by itself in time
    );
  }, HEIGHT_MS);
  const stop = (): void => {
    isOver = true;
    clearInterval(timer);
  };
  return { stop };
}

/**
 * lnd's record of a payment: as it is now, or followed until it is terminal or the time is over.
 *
 * @returns undefined only if lnd itself says that it never sent it.
 * @throws SwapError `lightning_unavailable`.
 */
async function track(rpc: LndRpc, hash: PaymentHash, followMs: number): Promise<PaymentResult | undefined> {
  const request = { payment_hash: Buffer.from(hash, 'hex'), no_inflight_updates: false };
  const stream = rpc.stream('TrackPaymentV2', request, followMs + CALL_MS);
  const until = Date.now() + followMs;
  try {
    return await lastOf(stream, followMs, until);
  } catch (error) {
    if (meaningOf('TrackPaymentV2', error) === 'absent') return undefined;
    throw unavailable('TrackPaymentV2', error);
  } finally {
    stream.cancel();
  }
}

/** lnd tells the present state first, then every change, and ends the stream after a terminal one. */
function lastOf(stream: ClientReadableStream<unknown>, followMs: number, until: number): Promise<PaymentResult> {
  return new Promise((resolve, reject) => {
    let last: PaymentResult | undefined;
    const timer = setTimeout(() => {
      if (last !== undefined) resolve(last);
    }, followMs);
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      done();
    };
    stream.on('data', (answer: unknown) => {
      try {
        last = toPaymentResult(paymentAnswer.parse(answer));
      } catch (error) {
        settle(() => {
          reject(error instanceof Error ? error : new Error(String(error)));
        });
        return;
      }
      const found = last;
      if (found.state !== 'IN_FLIGHT' || Date.now() >= until) {
        settle(() => {
          resolve(found);
        });
      }
    });
    stream.on('error', (error: Error) => {
      settle(() => {
        reject(error);
      });
    });
    stream.on('end', () => {
      settle(() => {
        if (last === undefined) reject(new Error('the stream ended without an answer'));
        else resolve(last);
      });
    });
  });
}
