/** Judges a quote before anything is bought. */
import { PROFILES, requiredRefundDelta } from '../core/timelock.js';
import { MAX_MONEY, satPerKvb, type Msat } from '../core/units.js';
import { genesisOf, nowSecs, type ChainSide } from './buyer.js';
import { BuyerError } from './buyerError.js';
import { highestFeeRate, leastSubsidy } from './checkChain.js';
import { MIN_EXPIRY_LEFT_SECS } from './checkInvoice.js';
import type { SellerQuote } from './quote.js';
import type { BuyerWallet } from './wallet.js';

/** Before the swap exists the subsidy must pay three claims: fees may rise until it is claimed. */
const SUBSIDY_PERCENT = 300n;
/** No fee rate that a server may name (1000 sat/vB) explains a greater subsidy: it would be a price of its own. */
const MAX_SUBSIDY_SAT = leastSubsidy(satPerKvb(1_000_000n), SUBSIDY_PERCENT);
/** A quote is a matter of minutes, an invoice one of hours, a refund one of weeks. */
const MAX_QUOTE_LIFE_SECS = 86_400;
const MAX_INVOICE_EXPIRY_SECS = 86_400;
const MAX_REFUND_DELTA_BLOCKS = 100_000;

/** A problem, unless it holds. */
const unless = (holds: boolean, problem: string): string[] => (holds ? [] : [problem]);
const between = (what: string, found: number | bigint, least: number | bigint, most: number | bigint): string[] =>
  unless(found >= least && found <= most, `expected ${least}..${most} ${what}, found ${found}`);

/**
 * What the buyer insists on before it starts a swap; the sentences say what is wrong. The subsidy may be small if the
 * buyer's own wallet holds that much L-BTC; the wallet is asked only then.
 *
 * @throws BuyerError `quote_refused`; SwapError `chain_unavailable` if a server, or the wallet, does not answer.
 */
export async function refuseBadQuote(
  side: ChainSide & { readonly wallet?: Pick<BuyerWallet, 'lbtcSat'> | undefined },
  quote: SellerQuote,
  wishes: { readonly minFundingConfs: number; readonly maxPriceMsat: Msat | undefined },
): Promise<void> {
  const { network, chains, wallet } = side;
  const feeRates = await Promise.all(chains.map(async ({ chain }) => ({ feeRate: await chain.feeRate() })));
  const subsidy = leastSubsidy(highestFeeRate(feeRates), SUBSIDY_PERCENT);
  const { minFundingConfs, maxPriceMsat = quote.priceMsat } = wishes;
  const { priceMsat, feeSubsidySat, refundDeltaBlocks, invoiceExpirySecs, profile } = quote;
  const genesis = genesisOf(network);
  const secsLeft = quote.expiresAt - nowSecs();
  const problems = [
    ...unless(quote.genesis === genesis, `expected chain ${genesis}, found ${quote.genesis}`),
    ...unless(profile !== 'regtest' || network === 'regtest', 'profile "regtest" is for regtest only'),
    ...between('refund blocks', refundDeltaBlocks, requiredRefundDelta(PROFILES[profile]), MAX_REFUND_DELTA_BLOCKS),
    ...between('confirmations', minFundingConfs, quote.minFundingConfs, quote.maxFundingConfs),
    ...between('seconds of invoice life', invoiceExpirySecs, MIN_EXPIRY_LEFT_SECS, MAX_INVOICE_EXPIRY_SECS),
    ...unless(priceMsat <= maxPriceMsat, `expected a price of at most ${maxPriceMsat} msat, found ${priceMsat} msat`),
    ...unless(
      quote.assetAmount > 0n && quote.assetAmount + feeSubsidySat <= MAX_MONEY,
      `expected an amount that the chain can hold, found ${quote.assetAmount} and ${feeSubsidySat} sat`,
    ),
    ...unless(
      feeSubsidySat <= MAX_SUBSIDY_SAT,
      `expected at most ${MAX_SUBSIDY_SAT} sat for the claim fee, found ${feeSubsidySat}`,
    ),
    ...unless(secsLeft > 0, `the quote expired ${-secsLeft} s ago; ask for a new one`),
    ...unless(secsLeft <= MAX_QUOTE_LIFE_SECS, `expected a quote for a day at most, found one for ${secsLeft} s`),
  ];
  // A wallet takes its time: it is not looked at for a quote that is refused anyway.
  const isShort = feeSubsidySat < subsidy;
  const own = isShort && problems.length === 0 && wallet !== undefined ? await wallet.lbtcSat() : 0n;
  if (isShort && own < subsidy) {
    problems.push(
      `expected ${subsidy} sat for the claim fee, found ${feeSubsidySat} (and ${own} sat in our own wallet)`,
    );
  }
  if (problems.length > 0) throw new BuyerError('quote_refused', problems.join('; '));
}
