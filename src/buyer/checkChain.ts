/** Checks on what the buyer's own servers show: the chain, the funding, its depth and what is left of the timelock. Pure. */
import type { DecodedInvoice } from '../core/invoice.js';
import type { HtlcTerms } from '../core/htlc.js';
import { judgeTips, type TipVerdict } from '../core/tipRule.js';
import {
  MAX_FINAL_CLTV_DELTA,
  PAYER_CLTV_PADDING,
  PAYER_SPARE_BLOCKS,
  PROFILES,
  safeTotalCltvDelta,
} from '../core/timelock.js';
import { satPerKvb, sat, type BlockHeight, type Sat, type SatPerKvb } from '../core/units.js';
import { confirmations } from '../liquid/chain.js';
import { check, uncheckable, type Check } from './check.js';
import type { Deal, Handover, ServerView, Surroundings } from './deal.js';
import { operatorsNeeded, operatorsOf } from './operators.js';

/** vB of a claim, rounded up: asset and L-BTC in, asset, change and fee out (393 vB). */
const CLAIM_VSIZE = 400n;
const MIN_SUBSIDY_SAT = 500n;

/** A server that answered. */
export type AnsweringServer = Extract<ServerView, { tip: unknown }>;

/** The servers that answered. */
export const answering = (servers: readonly ServerView[]): AnsweringServer[] =>
  servers.filter((server): server is AnsweringServer => 'tip' in server);

/** The tips of all answering servers, judged. */
export const tipVerdict = (deal: Deal, around: Surroundings): TipVerdict =>
  judgeTips({
    tips: answering(around.servers).map((server) => server.tip),
    network: deal.network,
    now: around.now,
    lastAccepted: around.lastAcceptedTip,
  });

/** Least L-BTC in an HTLC, satoshi: `percent` of what a claim of 400 vB costs at the rate, and never below 500. */
export function leastSubsidy(feeRate: SatPerKvb, percent: bigint): Sat {
  const fee = (CLAIM_VSIZE * feeRate * percent + 99_999n) / 100_000n;
  return sat(fee > MIN_SUBSIDY_SAT ? fee : MIN_SUBSIDY_SAT);
}

/** The highest fee rate that any server names. */
export const highestFeeRate = (servers: readonly { readonly feeRate: SatPerKvb }[]): SatPerKvb =>
  satPerKvb(servers.reduce((highest, { feeRate }) => (feeRate > highest ? feeRate : highest), 100n));

/** What several servers show, each thing once. */
export const listed = (found: readonly string[]): string =>
  found.length === 0 ? 'nothing' : [...new Set(found)].join(', ');

/** Enough servers, all on the right chain, with believable tips. */
export function checkServers(deal: Deal, around: Surroundings, tip: TipVerdict): Check[] {
  const { isSingleServerTrusted } = around;
  const needed = operatorsNeeded({ network: deal.network, isSingleServerTrusted });
  const good = answering(around.servers);
  const silent = around.servers.filter((server) => 'problem' in server);
  const operators = operatorsOf(good.map(({ name }) => name));
  const isEnough = operators.size >= needed && silent.length === 0;
  const answers = [
    `${good.length} of ${around.servers.length} answered`,
    ...(operators.size < good.length ? [`operators: ${[...operators].join(', ')}`] : []),
    ...silent.map((server) => `${server.name}: ${server.problem}`),
  ];
  const enough = needed === 1 ? 'all servers to answer' : `${needed} or more, of different operators, all answering`;
  const tipText = tip.ok ? `height ${tip.height}` : tip.problem;
  return [
    check('electrum_servers', isEnough, enough, answers.join('; ')),
    check(
      'genesis',
      good.length > 0 && good.every((server) => server.genesis === deal.genesis),
      deal.genesis,
      listed(good.map((server) => server.genesis)),
    ),
    check('tip_rule', tip.ok, 'fresh tips that agree', tipText),
  ];
}

/** The funding is in a proven block, and deep enough. */
export function checkDepth(deal: Deal, handover: Handover, around: Surroundings): Check[] {
  const servers = answering(around.servers);
  const every = (holds: (server: AnsweringServer) => boolean): boolean => servers.length > 0 && servers.every(holds);
  const depth = (server: AnsweringServer): number => confirmations(server.fundingHeight ?? 0, server.tip.height);
  const blocks = servers.map((server) => ('block' in server.inclusion ? server.inclusion.block : undefined));
  return [
    check(
      'funding_height',
      every((server) => depth(server) > 0),
      `0 < height <= tip for ${handover.fundingTxid}`,
      listed(servers.map((server) => `${server.fundingHeight ?? 'not in the history'} under tip ${server.tip.height}`)),
    ),
    check(
      'funding_confirmations',
      every((server) => depth(server) >= deal.minFundingConfs),
      `at least ${deal.minFundingConfs}`,
      listed(servers.map((server) => String(depth(server)))),
    ),
    check(
      'merkle_proof',
      every((server) => 'block' in server.inclusion) && new Set(blocks).size === 1,
      'a proof into the same block from every server',
      listed(servers.map(({ inclusion }) => ('block' in inclusion ? inclusion.block : inclusion.problem))),
    ),
  ];
}

/** Without wall-clock meaning of blocks the regtest numbers hold; anywhere else they would be a lie. */
const isRegtest = (deal: Deal): boolean => deal.network === 'regtest' && deal.profile === 'regtest';

/** Blocks that must be left by the profile; `regtest` counts only on regtest. */
function payerMin(deal: Deal): number {
  const profile = deal.profile === 'regtest' && !isRegtest(deal) ? PROFILES.routed : PROFILES[deal.profile];
  return profile.payerMin;
}

/** L: the greatest total CLTV delta that a payment sent now may have, undefined if none is safe. */
export const safeCap = (
  deal: Deal,
  htlc: HtlcTerms,
  invoice: DecodedInvoice,
  tipHeight: BlockHeight,
): number | undefined =>
  safeTotalCltvDelta({
    blocksLeft: htlc.refundHeight - tipHeight,
    finalCltvDelta: invoice.minFinalCltvDelta,
    regtest: isRegtest(deal),
  });

/** The L-BTC in the HTLC, or that of the buyer's own wallet, pays a claim at 1.5 times the present rate. */
export function checkSubsidy(deal: Deal, around: Surroundings): Check {
  const servers = answering(around.servers);
  const least = leastSubsidy(highestFeeRate(servers), 150n);
  const isEnough = servers.length > 0 && (deal.feeSubsidySat >= least || around.ownLbtcSat >= least);
  const own = around.ownLbtcSat === 0n ? '' : `, and ${around.ownLbtcSat} sat in our own wallet`;
  return check('fee_subsidy_too_low', isEnough, `at least ${least} sat`, `${deal.feeSubsidySat} sat${own}`);
}

/** A payment sent now ends before the refund opens. */
export function checkTimelock(
  deal: Deal,
  known: { htlc: HtlcTerms | undefined; invoice: DecodedInvoice | undefined; tip: TipVerdict },
): Check[] {
  const { htlc, invoice, tip } = known;
  const needed = payerMin(deal) + PAYER_SPARE_BLOCKS;
  const final = invoice?.minFinalCltvDelta;
  const finalCltv =
    final === undefined
      ? uncheckable('final_cltv_too_high', `at most ${MAX_FINAL_CLTV_DELTA}`, 'no invoice')
      : check('final_cltv_too_high', final <= MAX_FINAL_CLTV_DELTA, `at most ${MAX_FINAL_CLTV_DELTA}`, String(final));
  if (htlc === undefined || !tip.ok) {
    const missing = htlc === undefined ? 'no HTLC script' : 'no believable tip';
    return [
      uncheckable('refund_height_too_low', `at least ${needed} blocks left`, missing),
      finalCltv,
      uncheckable('final_cltv_vs_cap', 'a safe cap', missing),
    ];
  }
  const blocksLeft = htlc.refundHeight - tip.height;
  return [
    check(
      'refund_height_too_low',
      blocksLeft >= needed,
      `at least ${needed} blocks left`,
      `${blocksLeft} (refund at ${htlc.refundHeight}, tip ${tip.height})`,
    ),
    finalCltv,
    invoice === undefined
      ? uncheckable('final_cltv_vs_cap', 'a safe cap', 'no invoice')
      : checkCap(deal, htlc, invoice, tip.height),
  ];
}

function checkCap(deal: Deal, htlc: HtlcTerms, invoice: DecodedInvoice, tipHeight: BlockHeight): Check {
  const cap = safeCap(deal, htlc, invoice, tipHeight);
  const padded = `${invoice.minFinalCltvDelta} + ${PAYER_CLTV_PADDING}`;
  return check(
    'final_cltv_vs_cap',
    cap !== undefined,
    `final CLTV + ${PAYER_CLTV_PADDING} <= cap`,
    cap === undefined ? `${padded}, and no cap is safe` : `${padded} <= ${cap}`,
  );
}
