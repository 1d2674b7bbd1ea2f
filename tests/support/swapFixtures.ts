/** Swaps in every state, and what is looked up about them. Numbers are those of the regtest profile. */
import { htlcWitnessScript, hashPreimage } from '../../src/core/htlc.js';
import type { Facts, HtlcReport, InvoiceReport, SpendReport } from '../../src/core/facts.js';
import type { FundedSwap, FundingFacts, PaymentStatus, Swap, SwapEvent, SwapState } from '../../src/core/swap.js';
import { apply, PAYMENT_MOVES, SWAP_STATES } from '../../src/core/swap.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  msat,
  outpoint,
  quoteId,
  sat,
  swapId,
  txid,
  unixSecs,
} from '../../src/core/units.js';
import { keyOf, preimageOf } from '../unit/core/zkp.js';

export const GOLD = assetId('11'.repeat(32));
/** L-BTC of regtest. */
export const LBTC = assetId('5ac9f65c0efcc4775e0baec4ec03abdde22473cd3cf33c0419ca290e0751b225');
export const FUNDING_TXID = txid('f0'.repeat(32));
export const CLAIM_TXID = txid('c1'.repeat(32));
export const REFUND_TXID = txid('4e'.repeat(32));
/** When the swap was stored. */
export const START = 1_800_000_000;
/** T. */
export const REFUND_HEIGHT = blockHeight(1_060);
/** What one regtest swap of these tests costs. */
export const PRICE = msat(50_000_000n);
/** Depth the buyer asked for. */
export const MIN_CONFS = 2;
/** payer_min and M_settle of the regtest profile. */
export const PAYER_MIN = 30;
export const SETTLE_MIN = 20;

export const PAYMENTS = Object.keys(PAYMENT_MOVES) as PaymentStatus[];
export const STATES: readonly SwapState[] = SWAP_STATES;

const PREIMAGE = preimageOf('swap');

export const FUNDING: FundingFacts = {
  fundingTxid: FUNDING_TXID,
  refundHeight: REFUND_HEIGHT,
  witnessScript: htlcWitnessScript({
    paymentHash: hashPreimage(PREIMAGE),
    claimPkh: keyOf('buyer').pkh,
    refundPkh: keyOf('refund').pkh,
    refundHeight: REFUND_HEIGHT,
  }),
  outpoints: [
    { outpoint: outpoint(FUNDING_TXID, 0), assetId: GOLD, value: assetAmount(250n) },
    { outpoint: outpoint(FUNDING_TXID, 1), assetId: LBTC, value: assetAmount(1_000n) },
  ],
};

const INVOICED = { bolt11: 'lnbcrt500u1', invoiceExpiresAt: unixSecs(START + 600) };

export type Intent = Swap & { readonly state: 'INTENT' };

/** A swap that was just stored. */
export const intent: Intent = {
  state: 'INTENT',
  id: swapId('a1'.repeat(16)),
  principal: 'alice',
  requestId: '123e4567-e89b-42d3-a456-426614174000',
  quoteId: quoteId('b2'.repeat(16)),
  paymentHash: hashPreimage(PREIMAGE),
  sellerNodeId: keyOf('node').pubkey,
  keyIndex: 7,
  assetId: GOLD,
  assetAmount: assetAmount(250n),
  feeSubsidySat: sat(1_000n),
  priceMsat: PRICE,
  claimPubkey: keyOf('buyer').pubkey,
  profile: 'regtest',
  minFundingConfs: MIN_CONFS,
  terms: 'ln-liquid-swap-terms=1\n',
  termsHash: '7e'.repeat(32),
  fundBy: unixSecs(START + 120),
  createdAt: unixSecs(START),
  version: 0,
  payment: 'NONE',
  heldMsat: msat(0n),
  reason: '',
  isPreimageReleased: false,
  isRestored: false,
  isSubsidyOpen: false,
};

/** A swap in that state; FAILED comes after a funding. */
export function swapIn(state: SwapState, over: Partial<Omit<Intent, 'state'>> = {}): Swap {
  const base = { ...intent, version: 3, payment: 'OPEN' as PaymentStatus, ...over };
  const funded = { ...base, ...INVOICED, ...FUNDING };
  switch (state) {
    case 'INTENT':
      return { ...base, state };
    case 'INVOICED':
      return { ...base, ...INVOICED, state };
    case 'FUNDING_SIGNED':
    case 'ABORTING':
    case 'FUNDED':
    case 'OWED':
    case 'FAILED':
      return { ...funded, state };
    case 'CLAIM_SEEN':
    case 'CLAIMED':
      return { ...funded, state, claimTxid: CLAIM_TXID };
    case 'REFUND_SEEN':
    case 'REFUNDED':
      return { ...funded, state, refundTxid: REFUND_TXID };
    default:
      throw new Error(`unknown state ${state satisfies never}`);
  }
}

/** A funded swap with that payment status. */
export const fundedWith = (payment: PaymentStatus): FundedSwap => ({
  ...intent,
  ...INVOICED,
  ...FUNDING,
  version: 3,
  payment,
  state: 'FUNDED',
});

/** One event of every kind. */
export const EVENTS: readonly SwapEvent[] = [
  { kind: 'invoice_created', ...{ bolt11: INVOICED.bolt11, expiresAt: INVOICED.invoiceExpiresAt } },
  { kind: 'funding_signed', funding: FUNDING },
  { kind: 'abort_started', reason: 'abort' },
  { kind: 'funding_deep' },
  { kind: 'claim_seen', txid: CLAIM_TXID },
  { kind: 'refund_seen', txid: REFUND_TXID },
  { kind: 'spend_gone' },
  { kind: 'claim_final' },
  { kind: 'subsidy_done', txid: REFUND_TXID },
  { kind: 'refund_final' },
  { kind: 'failed', reason: 'failed' },
  { kind: 'funding_lost', reason: 'lost' },
  { kind: 'payment_held', heldMsat: PRICE },
  { kind: 'settle_decided' },
  { kind: 'payment_settled', heldMsat: PRICE },
  { kind: 'cancel_decided', reason: 'cancel' },
  { kind: 'payment_canceled', reason: 'canceled' },
  { kind: 'preimage_released' },
];

function tryApply(swap: Swap, event: SwapEvent): Swap | undefined {
  try {
    return apply(swap, event);
  } catch {
    return undefined;
  }
}

/** Shortest ways from INTENT to every pair of state and payment status that can be reached. */
export function allPaths(
  start: Swap = intent,
): readonly { readonly events: readonly SwapEvent[]; readonly end: Swap }[] {
  const keyOf = (swap: Swap): string => `${swap.state} ${swap.payment} ${swap.isPreimageReleased ? 1 : 0}`;
  const paths: { events: SwapEvent[]; end: Swap }[] = [{ events: [], end: start }];
  const seen = new Set([keyOf(start)]);
  for (const { events, end } of paths) {
    for (const event of EVENTS) {
      const next = tryApply(end, event);
      if (next === undefined || seen.has(keyOf(next))) continue;
      seen.add(keyOf(next));
      paths.push({ events: [...events, event], end: next }); // the loop reaches it later
    }
  }
  return paths;
}

/** The shortest way to that pair. */
export function pathTo(state: SwapState, payment: PaymentStatus): readonly SwapEvent[] {
  const path = allPaths().find(({ end }) => end.state === state && end.payment === payment);
  if (path === undefined) throw new Error(`no way leads to ${state} ${payment}`);
  return path.events;
}

/** Events that lead one payment status to another; the state does not matter. */
export function nextTo(from: PaymentStatus, to: PaymentStatus): readonly SwapEvent[] {
  const paths = allPaths(swapIn('FUNDED', { payment: from }));
  const path = paths.find(({ end }) => end.state === 'FUNDED' && end.payment === to);
  if (path === undefined) throw new Error(`no way leads from ${from} to ${to}`);
  return path.events;
}

/** What the node reports; its claim deadline is far away. */
export const report = (state: InvoiceReport['state'], over: Partial<InvoiceReport> = {}): InvoiceReport => ({
  state,
  heldMsat: state === 'HELD' || state === 'SETTLED' ? PRICE : msat(0n),
  claimDeadlineHeight: state === 'HELD' ? 130 : undefined,
  isHtlcPending: state === 'HELD',
  isTimedOutOnChain: false,
  cancelReason: state === 'CANCELED' ? 'EXPIRED' : '',
  ...over,
});

export const spend = (kind: SpendReport['kind'], confs: number): SpendReport => ({
  kind,
  txid: kind === 'claim' ? CLAIM_TXID : REFUND_TXID,
  confs,
});

/** The funding deep enough and unspent. */
export const htlcAt = (over: Partial<HtlcReport> = {}): HtlcReport => ({
  isSeen: true,
  confs: MIN_CONFS,
  spends: [undefined, undefined],
  ...over,
});

/** Everybody answers: the invoice is open, the funding deep and unspent, every margin is kept. */
export const factsAt = (over: Partial<Facts> = {}): Facts => ({
  now: unixSecs(START + 60),
  tip: blockHeight(REFUND_HEIGHT - 58),
  invoice: report('OPEN'),
  node: { blockHeight: 100, isSynced: true },
  htlc: htlcAt(),
  isFundingLost: false,
  abort: undefined,
  refund: undefined,
  isPaused: false,
  isDegraded: false,
  isReadOnly: false,
  isFenced: false,
  ...over,
});
