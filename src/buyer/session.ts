/**
 * Drives a purchase from its quote to its claim. Every step is on disk before it is acted upon, so it continues after a
 * crash at any moment; running it again is always safe.
 */
import { hex, swapId, type SwapId } from '../core/units.js';
import { SwapError } from '../errors.js';
import { SwapStatus } from '../gen/ln_liquid_swap/v1/swap.js';
import type { Buyer } from './buyer.js';
import { BuyerError, RemoteError } from './buyerError.js';
import { isWorthWaiting } from './check.js';
import { finishClaim, prepareClaim, writeKit } from './claimStep.js';
import { advance, lockPurchase, readRecord } from './dataDir.js';
import type { Handover } from './deal.js';
import type { Drive, DriveOptions } from './drive.js';
import { endWithoutPayment, pay } from './payStep.js';
import { createSwapRequest } from './purchase.js';
import { printable } from './printable.js';
import { parseAnswer } from './quote.js';
import { isFinal, type Progress, type PurchaseRecord, type StoredHtlc } from './record.js';
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
 * @throws VerificationRefused (nothing was paid, stored as unpaid); RemoteError when the seller refuses to start the
 *   swap; SwapError `version_conflict` if another process drives it.
 */
export async function drivePurchase(buyer: Buyer, number: number, options: DriveOptions): Promise<PurchaseRecord> {
  const unlock = lockPurchase(buyer.dir, number);
  try {
    let record = readRecord(buyer.dir, number);
    if (record === undefined)
      throw new BuyerError('unknown_swap', `expected purchase ${number}, found an empty folder`);
    const drive: Drive = { buyer, options, sends: { failed: 0 } };
    while (!isFinal(record.progress.step) && record.progress.step !== options.until && !options.signal.aborted) {
      const progress = await nextOrWait(drive, record);
      if (progress === undefined) continue;
      record = advance(buyer.dir, record, progress);
      options.onEvent({ kind: 'step', record });
    }
    return record;
  } finally {
    unlock();
  }
}

/** The next step, or undefined when it is not there yet. */
async function nextOrWait(drive: Drive, record: PurchaseRecord): Promise<Progress | undefined> {
  const { signal, onEvent } = drive.options;
  try {
    const progress = await nextProgress(drive, record);
    if (progress === undefined) await pause(RETRY_MS, signal);
    return progress;
  } catch (error) {
    if (signal.aborted && !(error instanceof BuyerError)) return undefined;
    // Before the swap exists nothing is at stake, and the user hears at once that the seller is away.
    if (!isTemporary(error) || record.progress.step === 'quoted') throw error;
    onEvent({ kind: 'waiting', problem: error.message });
    await pause(RETRY_MS, signal);
    return undefined;
  }
}

/** Outcome unknown or backend away: asking again is right. */
function isTemporary(error: unknown): error is SwapError | RemoteError {
  if (error instanceof RemoteError) return error.outcome === 'unavailable' || error.outcome === 'failed';
  return error instanceof SwapError && (error.code === 'chain_unavailable' || error.code === 'lightning_unavailable');
}

async function nextProgress(drive: Drive, record: PurchaseRecord): Promise<Progress | undefined> {
  const { progress } = record;
  switch (progress.step) {
    case 'quoted':
      return await create(drive, record);
    case 'created':
      return await awaitAndVerify(drive, record, progress.swapId);
    case 'verified':
      writeKit(drive.buyer, record, progress.htlc, undefined);
      return { step: 'paying', htlc: progress.htlc };
    case 'paying':
      return await pay(drive, record, progress.htlc);
    case 'paid':
      return await prepareClaim(drive, record, progress);
    case 'claiming':
      return await finishClaim(drive, record, progress);
    case 'claimed':
    case 'unpaid':
    case 'lost':
      throw new Error(`step ${progress.step} is final`);
    default:
      throw new Error(`unknown step ${JSON.stringify(progress satisfies never)}`);
  }
}

/** May run again after a crash: the seller answers the same request with the same swap. */
async function create({ buyer, options }: Drive, record: PurchaseRecord): Promise<Progress> {
  try {
    const { swap } = await buyer.seller.createSwap(createSwapRequest(buyer, record), {
      deadline: 60_000,
      signal: options.signal,
    });
    if (swap !== undefined) options.onEvent({ kind: 'swap', swap });
    return { step: 'created', swapId: parseAnswer('swap', () => swapId(hex(swap?.swapId ?? Buffer.alloc(0)))) };
  } catch (error) {
    const isRefused =
      error instanceof RemoteError && (error.outcome === 'refused' || error.code === 'invalid_argument');
    if (isRefused) {
      advance(buyer.dir, record, { step: 'unpaid', reason: `${error.code}: ${printable(error.message)}` });
    }
    throw error;
  }
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
    const end = endWithoutPayment(swap);
    if (end !== undefined) return { step: 'unpaid', reason: end };
    if (swap.status !== SwapStatus.FUNDED || swap.bolt11 === '') continue;
    const handover = handoverOf(id, swap);
    const report = await verifyPatiently(drive, record, handover);
    const { facts } = report;
    if (facts === undefined) {
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
