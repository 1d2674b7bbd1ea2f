/** Verifies what a seller handed over against the buyer's own servers. */
import { displayHex, sat, txid, type Sat, type SwapId } from '../core/units.js';
import type { Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { nowSecs, type ChainSide } from './buyer.js';
import { BuyerError } from './buyerError.js';
import { acceptedTip, acceptTip } from './dataDir.js';
import type { Deal, Handover } from './deal.js';
import { observeHtlc } from './observe.js';
import { parseAnswer } from './quote.js';
import { failedCodes, verifySwap, type VerificationReport } from './verify.js';
import type { BuyerWallet } from './wallet.js';

/** The verification failed for good; nothing was paid. */
export class VerificationRefused extends BuyerError {
  readonly report: VerificationReport;

  constructor(report: VerificationReport) {
    super('verification_refused', `expected every check to pass, found ${failedCodes(report).join(', ')}; not paid`);
    this.report = report;
  }
}

/**
 * Verifies against the buyer's own servers, with everything asked anew. Remembers the tip if all is well.
 *
 * The wallet is asked for its L-BTC only when nothing but the subsidy stands in the way; the servers are asked again
 * then, for a wallet takes its time.
 *
 * @throws SwapError `chain_unavailable` if the wallet cannot be looked at. A server that does not answer is no error
 *   but a failed check.
 */
export async function verifyHandover(
  side: ChainSide & { readonly dir: string; readonly wallet?: Pick<BuyerWallet, 'lbtcSat'> | undefined },
  deal: Deal,
  handover: Handover,
): Promise<VerificationReport> {
  const report = await verifyOnce(side, deal, handover, sat(0n));
  const [first, ...more] = failedCodes(report);
  const isSubsidyAlone = first === 'fee_subsidy_too_low' && more.length === 0;
  if (!isSubsidyAlone || side.wallet === undefined) return report;
  return await verifyOnce(side, deal, handover, await side.wallet.lbtcSat());
}

async function verifyOnce(
  side: ChainSide & { readonly dir: string },
  deal: Deal,
  handover: Handover,
  ownLbtcSat: Sat,
): Promise<VerificationReport> {
  const servers = await observeHtlc(side.chains, handover.witnessScript, handover.fundingTxid);
  const now = nowSecs();
  const { isSingleServerTrusted } = side;
  const lastAcceptedTip = acceptedTip(side.dir, deal.genesis);
  const report = verifySwap(deal, handover, { servers, now, lastAcceptedTip, isSingleServerTrusted, ownLbtcSat });
  if (report.facts !== undefined) acceptTip(side.dir, deal.genesis, { height: report.facts.tipHeight, at: now });
  return report;
}

/** What the seller hands over for judgement. @throws BuyerError `seller_answer_invalid` before the funding is signed. */
export const handoverOf = (id: SwapId, swap: Swap): Handover =>
  parseAnswer('swap', () => ({
    swapId: id,
    bolt11: swap.bolt11,
    witnessScript: swap.witnessScript,
    fundingTxid: txid(displayHex(swap.fundingTxid)),
  }));
