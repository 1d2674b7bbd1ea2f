/**
 * Drives a purchase from its quote to its claim. Every step is on disk before it is acted upon, so it continues after a
 * crash at any moment; running it again is always safe.
 */
import { hex, swapId, type SwapId } from '../core/units.js';
import { failpointsAroundCall } from '../failpoint.js';
import { SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import type { Buyer } from './buyer.js';
import { BuyerError, RemoteError } from './buyerError.js';
import { isWorthWaiting } from './check.js';
import { advance, lockPurchase, readRecord, saveRecord } from './dataDir.js';
import { deadByError, deadByTime, isRefusal, isTemporary } from './deadDeal.js';
import type { Handover } from './deal.js';
import { newRun, type Drive, type DriveOptions } from './drive.js';
import { claim, finish } from './endStep.js';
import { beginPaying, pay } from './payStep.js';
import { createSwapRequest } from './purchase.js';
import { printable } from './printable.js';
import { parseAnswer } from './quote.js';
import { isFinal, type Progress, type PurchaseRecord, type SellerWord, type StoredHtlc } from './record.js';
import { endWithoutPayment, isSameWord, judgeWord, verifiedWord, wordOf, type WordProblem } from './sellerWord.js';
import { failedCodes, type VerificationReport } from './verify.js';
import { handoverOf, VerificationRefused, verifyHandover } from './verifyHandover.js';
import { pause } from './wait.js';

const RETRY_MS = 1_000;
const WATCH_DEADLINE_MS = 300_000;
const PATIENCE_MS = 90_000;

/**
 * Drives a purchase until it is final, has reached `until`, or the signal stops it.
 *
 * @returns the record as stored. Its step tells how it went: claimed, unpaid, lost, or any other: still pending.
 * @throws VerificationRefused, or BuyerError `invoice_before_funding`, `seller_state_backwards`, `seller_swap_changed`,
 *   `seller_answer_invalid` (nothing was paid, stored as unpaid); BuyerError `payer_changed` (connect the right one);
 *   RemoteError when the seller refuses to start the swap; SwapError `version_conflict` if another process drives it.
 */
export async function drivePurchase(buyer: Buyer, number: number, options: DriveOptions): Promise<PurchaseRecord> {
  const unlock = lockPurchase(buyer.dir, number);
  try {
    let record = readRecord(buyer.dir, number);
    if (record === undefined)
      throw new BuyerError('unknown_swap', `expected purchase ${number}, found an empty folder`);
    const drive: Drive = { buyer, options, run: newRun(knownWord(record.progress)) };
    while (!isFinal(record.progress.step) && record.progress.step !== options.until && !options.signal.aborted) {
      const progress = await nextOrWait(drive, record);
      if (progress === undefined) continue;
      record = advance(buyer.dir, record, progress);
      options.onEvent({ kind: 'step', record });
    }
    return readRecord(buyer.dir, number) ?? record;
  } finally {
    unlock();
  }
}

/** What the seller has said by then. */
function knownWord(progress: Progress): SellerWord | undefined {
  if (progress.step === 'created') return progress.seen;
  return 'htlc' in progress ? verifiedWord(progress.htlc) : undefined;
}

/** The next step, or undefined when it is not there yet. */
async function nextOrWait(drive: Drive, record: PurchaseRecord): Promise<Progress | undefined> {
  const { signal, onEvent } = drive.options;
  try {
    const progress = (await nextProgress(drive, record)) ?? deadByTime(record);
    if (progress === undefined) await pause(RETRY_MS, signal);
    return progress;
  } catch (error) {
    if (signal.aborted && !(error instanceof BuyerError)) return undefined;
    const end = deadByError(record, error);
    if (end !== undefined && !(error instanceof BuyerError)) return end;
    if (end !== undefined) advance(drive.buyer.dir, record, end);
    // Before the swap exists nothing is at stake, and the user hears at once that the seller is away.
    if (!isTemporary(error) || record.progress.step === 'quoted') throw error;
    onEvent({ kind: 'waiting', problem: error.message });
    await pause(RETRY_MS, signal);
    return undefined;
  }
}

async function nextProgress(drive: Drive, record: PurchaseRecord): Promise<Progress | undefined> {
  const { progress } = record;
  switch (progress.step) {
    case 'quoted':
      return await create(drive, record);
    case 'created':
      return await awaitAndVerify(drive, record, progress.swapId);
    case 'verified':
      return await begin(drive, record, progress.htlc);
    case 'paying':
      return await pay(drive, record, progress);
    case 'paid':
      return await claim(drive, record, progress);
    case 'claiming':
      return await finish(drive, record, progress);
    case 'claimed':
    case 'unpaid':
    case 'lost':
      throw new Error(`step ${progress.step} is final`);
    default:
      throw new Error(`unknown step ${JSON.stringify(progress satisfies never)}`);
  }
}

/** May run again after a crash: the seller answers the same request with the same swap. */
async function create(drive: Drive, record: PurchaseRecord): Promise<Progress> {
  const { buyer, options, run } = drive;
  const swap = await callCreateSwap(drive, record);
  const id = parseAnswer('swap', () => swapId(hex(swap?.swapId ?? Buffer.alloc(0))));
  if (swap === undefined) throw new Error('a swap with an id is there');
  options.onEvent({ kind: 'swap', swap });
  const problem = judgeWord(swap, id, undefined);
  if (problem !== undefined) throw refuseWord(buyer, record, problem);
  run.word = wordOf(swap, undefined);
  return { step: 'created', swapId: id, seen: run.word };
}

async function callCreateSwap({ buyer, options }: Drive, record: PurchaseRecord): Promise<Swap | undefined> {
  const { signal } = options;
  try {
    const request = createSwapRequest(buyer, record);
    const answer = await failpointsAroundCall('createSwap', async () =>
      buyer.seller.createSwap(request, { deadline: 60_000, signal }),
    );
    return answer.swap;
  } catch (error) {
    if (isRefusal(error)) {
      advance(buyer.dir, record, { step: 'unpaid', reason: `${error.code}: ${printable(error.message)}` });
    }
    throw error;
  }
}

/** Nothing was sent, so a seller that contradicts itself is left for good. @returns the error to throw. */
function refuseWord(buyer: Buyer, record: PurchaseRecord, { code, message }: WordProblem): BuyerError {
  advance(buyer.dir, record, { step: 'unpaid', reason: `${code}: ${message}` });
  return new BuyerError(code, `${message}; nothing was paid`);
}

/** Judges an answer of the seller before anything is sent, and stores what is new in it: a restart forgets nothing. */
function hear({ buyer, run }: Drive, record: PurchaseRecord, id: SwapId, swap: Swap): void {
  const problem = judgeWord(swap, id, run.word);
  if (problem !== undefined) throw refuseWord(buyer, record, problem);
  const word = wordOf(swap, run.word);
  if (record.progress.step === 'created' && !isSameWord(run.word, word)) {
    saveRecord(buyer.dir, { ...record, progress: { step: 'created', swapId: id, seen: word } });
  }
  run.word = word;
}

/** Follows the seller's stream until there is an invoice to judge, then judges. */
async function awaitAndVerify(drive: Drive, record: PurchaseRecord, id: SwapId): Promise<Progress | undefined> {
  const { buyer, options } = drive;
  const stream = buyer.seller.watchSwap(
    { swapId: Buffer.from(id, 'hex') },
    { deadline: WATCH_DEADLINE_MS, signal: options.signal },
  );
  for await (const { swap } of stream) {
    if (swap === undefined) continue;
    options.onEvent({ kind: 'swap', swap });
    hear(drive, record, id, swap);
    const end = endWithoutPayment(swap);
    if (end !== undefined) return { step: 'unpaid', reason: end };
    if (swap.status !== SwapStatus.FUNDED || swap.bolt11 === '') continue;
    const handover = handoverOf(id, swap);
    const report = await verifyPatiently(drive, record, handover);
    const { facts } = report;
    if (facts === undefined) {
      if (options.signal.aborted && isWorthWaiting(report.checks)) return undefined; // not refused: we stopped waiting
      advance(buyer.dir, record, { step: 'unpaid', reason: `refused: ${failedCodes(report).join(', ')}` });
      throw new VerificationRefused(report);
    }
    const htlc: StoredHtlc = {
      swapId: id,
      bolt11: facts.invoice.bolt11,
      paymentHash: facts.htlc.paymentHash,
      witnessScript: hex(handover.witnessScript),
      refundHeight: facts.htlc.refundHeight,
      fundingTx: hex(facts.fundingTx),
      outpoints: [...facts.outpoints],
    };
    return { step: 'verified', htlc };
  }
  return undefined;
}

/** The last look at the seller's word before it can be paid; a purchase may lie here for long. */
async function begin(drive: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Progress> {
  const swap = await lastWord(drive, htlc);
  if (swap !== undefined) {
    hear(drive, record, htlc.swapId, swap);
    const end = endWithoutPayment(swap);
    if (end !== undefined) return { step: 'unpaid', reason: end };
  }
  return await beginPaying(drive, record, htlc);
}

async function lastWord({ buyer }: Drive, htlc: StoredHtlc): Promise<Swap | undefined> {
  try {
    return (await buyer.seller.getSwap({ swapId: Buffer.from(htlc.swapId, 'hex') })).swap;
  } catch (error) {
    if (error instanceof RemoteError) return undefined; // its help is welcome, not needed
    throw error;
  }
}

async function verifyPatiently(drive: Drive, record: PurchaseRecord, handover: Handover): Promise<VerificationReport> {
  const { signal, onEvent, patienceMs = PATIENCE_MS } = drive.options;
  const end = Date.now() + patienceMs;
  for (;;) {
    const report = await verifyHandover(drive.buyer, record.deal, handover);
    if (report.facts !== undefined || !isWorthWaiting(report.checks) || Date.now() > end || signal.aborted) {
      onEvent({ kind: 'report', report });
      return report;
    }
    onEvent({ kind: 'waiting', problem: `not yet: ${failedCodes(report).join(', ')}` });
    await pause(RETRY_MS, signal);
  }
}
