/**
 * A payment by a person with another wallet. Nobody here can ask that wallet, so what was shown once counts as paid until
 * the preimage is known, the person says that it failed, or the seller has taken the asset back. Only the preimage that
 * fits counts, whoever brings it: the person, the seller after settling, or a claim on the chain.
 */
import { safeTotalCltvDelta } from '../core/timelock.js';
import { unixSecs, type UnixSecs } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { askSeller, belongs, paidWith, searchAsset } from './assetSearch.js';
import { nowSecs } from './buyer.js';
import { BuyerError } from './buyerError.js';
import type { Deal } from './deal.js';
import type { Drive } from './drive.js';
import type { ExternalInvoice } from './externalPay.js';
import { checkFresh, type VerifiedFacts } from './freshCheck.js';
import type { Progress, PurchaseRecord, StoredHtlc } from './record.js';
import { saysItIsPaid } from './sellerWord.js';

/** Between two looks at the seller and the chain. */
const ANSWER_MS = 2_000;
/** A payment takes its time to arrive, and clocks differ. */
const ARRIVAL_SECS = 60;
const SECS_PER_BLOCK = 60;

/** One look and one answer. @returns the next step, or undefined when it is not there yet. */
export async function payExternally(
  drive: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<Progress | undefined> {
  const { buyer, options, run } = drive;
  const found = await searchAsset(drive, record, htlc);
  if (found.preimage !== undefined) return paidWith(drive, record, htlc, found.preimage);
  if (found.refundTxid !== undefined) return refunded(found.refundTxid);
  if (buyer.external === undefined) {
    throw new BuyerError(
      'payer_changed',
      'expected the person whose wallet may have paid for this purchase already, found no one to ask; resume with --pay external',
    );
  }
  if (!run.isShown) await showUnlessPaid(drive, record, htlc, found.swap);
  const typed = await buyer.external.answer(options.signal, ANSWER_MS);
  if (typed === undefined) return undefined;
  if (typed === 'failed') return await afterFailed(drive, htlc);
  if (belongs(typed, htlc)) return paidWith(drive, record, htlc, typed);
  const problem = `expected the preimage of payment hash ${htlc.paymentHash}, found another; look it up in the wallet and type it again`;
  options.onEvent({ kind: 'waiting', problem });
  return undefined;
}

/** After a restart the payment may be there already, and a person who sees an invoice may pay it with another wallet. */
async function showUnlessPaid(
  drive: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
  swap: Swap | undefined,
): Promise<void> {
  if (swap === undefined || !saysItIsPaid(swap)) {
    await show(drive, record, htlc);
    return;
  }
  const problem =
    'the seller says that it has a payment for this invoice: do not pay it again; if it is yours, type the preimage as soon as your wallet shows it';
  drive.options.onEvent({ kind: 'waiting', problem });
}

/** Shows the invoice if it may be paid now. If not, it may all the same have been paid before. */
async function show({ buyer, options, run }: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<void> {
  try {
    const facts = await checkFresh({ buyer, options, run }, record, htlc);
    run.isShown = true;
    if ('refused' in facts) {
      const problem = `do not pay any more (${facts.refused}); if the wallet has paid, type the preimage, else: failed`;
      options.onEvent({ kind: 'waiting', problem });
    } else buyer.external?.show(invoiceToPay(record.deal, facts, nowSecs()));
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    options.onEvent({ kind: 'waiting', problem: errorChain(error) });
  }
}

const refunded = (txid: string): Progress => ({
  step: 'unpaid',
  reason: `the seller took the asset back in ${txid}; a payment that another wallet made must come back to it`,
});

/** The person knows his wallet, but a payment that the seller holds or took may be his. */
async function afterFailed(drive: Drive, htlc: StoredHtlc): Promise<Progress | undefined> {
  const swap = await askSeller(drive, htlc);
  if (swap === undefined || !saysItIsPaid(swap)) {
    return { step: 'unpaid', reason: 'the other wallet says that the payment failed' };
  }
  const problem = 'the seller says that it has a payment for this invoice: the purchase stays open until it ends';
  drive.options.onEvent({ kind: 'waiting', problem });
  return undefined;
}

/**
 * What the person is told. Time passes until he pays, so the cap holds for the last moment at which he may: as late as the
 * invoice lives, if a payment that late can still be safe, for Liquid makes at most one block a minute.
 */
export function invoiceToPay(deal: Deal, facts: VerifiedFacts, now: UnixSecs): ExternalInvoice {
  const { invoice, htlc, tipHeight } = facts;
  const regtest = deal.network === 'regtest' && deal.profile === 'regtest'; // its blocks carry no time
  const capAfter = (blocks: number): number | undefined =>
    safeTotalCltvDelta({
      blocksLeft: htlc.refundHeight - tipHeight - (regtest ? 0 : blocks),
      finalCltvDelta: invoice.minFinalCltvDelta,
      regtest,
    });
  // An invoice that lives longer than was agreed is not to be paid later for that.
  const lifeSecs = Math.max(Math.min(invoice.expiresAt - ARRIVAL_SECS - now, deal.invoiceExpirySecs), 0);
  const offer = { bolt11: invoice.bolt11, amountMsat: invoice.amountMsat };
  for (let blocks = Math.ceil(lifeSecs / SECS_PER_BLOCK); blocks > 0; blocks -= 1) {
    const cap = capAfter(blocks);
    const payUntil = unixSecs(now + Math.min(lifeSecs, blocks * SECS_PER_BLOCK));
    if (cap !== undefined) return { ...offer, maxTotalCltvDelta: cap, payUntil };
  }
  return { ...offer, maxTotalCltvDelta: facts.maxTotalCltvDelta, payUntil: unixSecs(now + SECS_PER_BLOCK) };
}
