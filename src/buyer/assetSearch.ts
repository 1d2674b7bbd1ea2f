/** What became of a swap whose payment may be out, from whoever knows: the seller, or a spend on the chain. Nothing here throws for a server that is away. */
import { hashPreimage } from '../core/htlc.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { hex, preimage, type Preimage, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { failpoint } from '../failpoint.js';
import type { Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { RemoteError } from './buyerError.js';
import { findSpend } from './claimLook.js';
import { claimSource, writeKit } from './claimStep.js';
import type { Drive } from './drive.js';
import { askAll } from './observe.js';
import { mayDecide } from './operators.js';
import type { Progress, PurchaseRecord, StoredHtlc } from './record.js';
import { judgeWord, wordOf } from './sellerWord.js';

/** The seller's help is not waited for. */
const ASK_MS = 5_000;

/** What was found: the preimage, a final refund, or neither yet. `swap` is the seller's answer, if it gave one. */
export type Found = {
  readonly preimage?: Preimage | undefined;
  readonly refundTxid?: Txid | undefined;
  readonly swap?: Swap | undefined;
};

/** S out of the seller's answer (after it settled) or out of a claim on the chain; a hop may withhold it for hours. */
export async function searchAsset(drive: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Found> {
  const swap = await askSeller(drive, htlc);
  const told = swap?.preimage.length === 32 ? preimage(swap.preimage) : undefined;
  if (told !== undefined && belongs(told, htlc)) return { preimage: told, swap };
  return { ...(await searchChain(drive, record, htlc)), swap };
}

/** True if the preimage opens the payment. */
export const belongs = (secret: Preimage, htlc: StoredHtlc): boolean => hashPreimage(secret) === htlc.paymentHash;

async function searchChain({ buyer, options }: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Found> {
  const source = claimSource(buyer, record, htlc);
  try {
    const asked = await askAll(buyer.chains, async (named) => ({
      name: named.name,
      spend: await findSpend(named, source),
    }));
    const answers = asked.answers.map(({ spend }) => spend);
    const names = asked.answers.map(({ name }) => name);
    const refunds = answers.filter((spend) => spend.kind === 'refunded' && spend.confirmations >= FINAL_CONFS);
    const [refund] = refunds;
    const shown = answers.flatMap((spend) => (spend.kind === 'claimed' ? [spend.preimage] : []))[0];
    if (shown !== undefined) return { preimage: shown };
    // One server that still sees the asset, or another end of it, keeps the hope alive; so does one that is away and counts.
    const isRefunded = refund !== undefined && refunds.length === answers.length && mayDecide(buyer, names);
    return isRefunded && refund.kind === 'refunded' ? { refundTxid: refund.txid } : {};
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    options.onEvent({ kind: 'waiting', problem: errorChain(error) });
    return {};
  }
}

/**
 * The seller's word while a payment may be out; its help is welcome, not needed. A word that contradicts another is news
 * and nothing more: the money is on its way.
 */
export async function askSeller({ buyer, options, run }: Drive, htlc: StoredHtlc): Promise<Swap | undefined> {
  try {
    const { swap } = await buyer.seller.getSwap({ swapId: Buffer.from(htlc.swapId, 'hex') }, { deadline: ASK_MS });
    if (swap === undefined) return undefined;
    const problem = judgeWord(swap, htlc.swapId, run.word);
    if (problem === undefined) run.word = wordOf(swap, run.word);
    else options.onEvent({ kind: 'waiting', problem: `${problem.code}: ${problem.message}` });
    return swap;
  } catch (error) {
    if (error instanceof RemoteError) return undefined;
    throw error;
  }
}

/** One look for the end of a payment that somebody else may have made; `problem` says why nothing is sent. */
export async function awaitEnd(
  drive: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
  problem: string,
): Promise<Progress | undefined> {
  const { preimage: secret, refundTxid } = await searchAsset(drive, record, htlc);
  if (secret !== undefined) return paidWith(drive, record, htlc, secret);
  if (refundTxid !== undefined)
    return { step: 'unpaid', reason: `our node knows of no payment, and ${refundTxid} took the asset back` };
  drive.options.onEvent({ kind: 'waiting', problem });
  return undefined;
}

/** From here on the kit alone is enough to claim. */
export function paidWith({ buyer }: Drive, record: PurchaseRecord, htlc: StoredHtlc, secret: Preimage): Progress {
  storeKit({ buyer }, record, htlc, secret);
  return { step: 'paid', htlc, preimage: hex(secret) };
}

/** Writes the claim kit between its failpoints; again with the preimage once it is known. */
export function storeKit(
  { buyer }: Pick<Drive, 'buyer'>,
  record: PurchaseRecord,
  htlc: StoredHtlc,
  secret: Preimage | undefined,
): void {
  failpoint('before kit');
  writeKit(buyer, record, htlc, secret);
  failpoint('after kit');
}
