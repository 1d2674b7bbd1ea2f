/**
 * Refunds from seed and recovery bundles alone, with the database gone. There is no second engine for it: each bundle is
 * proved and becomes a restored swap of a fresh database, and the same duties as ever drive it (docs/adr/0013).
 */
import { findFundingOutputs } from '../core/funding.js';
import { hashPreimage, parseHtlcWitnessScript, p2wshScriptPubKey, pubkeyHash } from '../core/htlc.js';
import {
  apply,
  isFunded,
  type FundedSwap,
  type FundingFacts,
  type PaymentStatus,
  type Swap,
  type SwapEvent,
} from '../core/swap.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { parseTransaction, type HtlcOutpoint } from '../core/tx.js';
import { msat, quoteId, sat, unixSecs, type SwapId, type Txid } from '../core/units.js';
import { SwapError } from '../errors.js';
import { insertQuote, type Quote } from '../store/quotes.js';
import { markRestored } from '../store/restored.js';
import { findSwap, insertSwap, moveSwap } from '../store/swaps.js';
import { findSwapTx, insertTx } from '../store/txs.js';
import type { Bundle } from './bundle.js';
import type { EngineContext } from './context.js';
import { reportHtlc } from './facts.js';

/**
 * How far a bundle's swap is: `done`, `soon` (something is under way for seconds), `confirming` (for some blocks), `later`
 * (worth another run on another day), `refused` (by a rule; the text says which).
 */
export type Outcome = {
  readonly kind: 'done' | 'soon' | 'confirming' | 'later' | 'refused';
  readonly text: string;
};

const outcome = (kind: Outcome['kind'], text: string): Outcome => ({ kind, text });

function refuse(bundle: Bundle, what: string): never {
  throw new SwapError('invalid_argument', `bundle ${bundle.id}: ${what}`);
}

/**
 * Checks that hash, script and key come from this seed and belong together.
 *
 * @throws SwapError `invalid_argument` with what does not fit.
 */
export function checkBundle({ keys }: Pick<EngineContext, 'keys'>, bundle: Bundle): void {
  const terms = parseHtlcWitnessScript(bundle.witnessScript);
  if (hashPreimage(keys.preimageFor(bundle.id)) !== bundle.paymentHash) {
    refuse(bundle, 'its payment hash is not the one that this seed gives the swap: another seed, or a damaged file');
  }
  if (terms.paymentHash !== bundle.paymentHash) refuse(bundle, 'its script pays for another hash');
  if (terms.refundPkh !== pubkeyHash(keys.refundKey(bundle.keyIndex).pubkey)) {
    refuse(bundle, `its script is not refunded to key ${bundle.keyIndex}`);
  }
  if (terms.refundHeight !== bundle.refundHeight) refuse(bundle, 'its script has another refund height');
  if (bundle.outpoints.some(({ outpoint }) => outpoint.txid !== bundle.fundingTxid)) {
    refuse(bundle, 'its outpoints are not of its funding');
  }
}

/**
 * Proves the bundle against the chain and stores it as a swap that is restored: FUNDED, and canceled unless the buyer was
 * seen claiming it. May run again: a swap that is there stays as it is.
 *
 * @param options.isRiskAccepted the operator takes the risk that it was paid.
 * @returns false while no server has its funding: there is nothing to refund then.
 * @throws SwapError `invalid_argument` if the bundle is wrong, `chain_unavailable` if the chain does not tell.
 */
export async function adoptBundle(
  ctx: EngineContext,
  bundle: Bundle,
  options: { readonly isRiskAccepted: boolean },
): Promise<boolean> {
  if (findSwap(ctx.store, bundle.id) !== undefined) return true;
  checkBundle(ctx, bundle);
  const raw = await ctx.chain.transaction(bundle.fundingTxid);
  if (raw === undefined) return false;
  const scriptPubKey = p2wshScriptPubKey(bundle.witnessScript);
  const funding = findFundingOutputs(parseTransaction(raw), { scriptPubKey, expected: bundle.outpoints });
  if (!funding.ok) refuse(bundle, `its funding is another: ${funding.problem.message}`);
  // The asset first, the subsidy second, whatever the order of the file.
  const isSubsidy = ({ assetId }: HtlcOutpoint): boolean => assetId === ctx.policyAsset;
  const { outpoints: found } = funding;
  const outpoints = [...found.filter((each) => !isSubsidy(each)), ...found.filter(isSubsidy)];
  const { height } = await ctx.chain.tip();
  const intent = intentOf(ctx, bundle, outpoints);
  const events = fundedEvents({ ...bundle, outpoints });
  const swap = events.reduce<Swap>(apply, intent);
  if (!isFunded(swap)) throw new Error(`bundle ${bundle.id} became ${swap.state}`);
  const { spends } = await reportHtlc(ctx, swap, { tip: height, isDecisive: true });
  const isClaimed = spends.some((spend) => spend?.kind === 'claim');
  ctx.store.tx(() => {
    insertQuote(ctx.store, quoteOf(intent));
    insertSwap(ctx.store, intent);
    const all = [...events, ...(isClaimed ? [] : cancelEvents(options.isRiskAccepted))];
    all.reduce<Swap>((current, event) => moveSwap(ctx.store, current, event, ctx.now()), intent);
    const tx = { kind: 'funding', version: 1, txid: bundle.fundingTxid, raw, feeSat: sat(0n) } as const;
    insertTx(ctx.store, { ...tx, swapId: intent.id, walletInputs: [], signedHeight: height }, ctx.now());
    if (!options.isRiskAccepted) markRestored(ctx.store, intent.id);
  });
  return true;
}

/**
 * S is public once the buyer claimed, and a payment that the node still holds is then to be taken, not canceled: such a
 * swap stays OPEN, and the node's report decides.
 */
const cancelEvents = (isRiskAccepted: boolean): readonly SwapEvent[] => {
  const reason = 'recovered from its bundle';
  const canceled: readonly SwapEvent[] = isRiskAccepted ? [{ kind: 'payment_canceled', reason }] : [];
  return [{ kind: 'cancel_decided', reason }, ...canceled];
};

const fundedEvents = ({ fundingTxid, refundHeight, witnessScript, outpoints }: FundingFacts): readonly SwapEvent[] => [
  { kind: 'invoice_created', bolt11: '', expiresAt: unixSecs(0) },
  { kind: 'funding_signed', funding: { fundingTxid, refundHeight, witnessScript, outpoints } },
  { kind: 'funding_deep' },
];

type Intent = Extract<Swap, { state: 'INTENT' }>;

/** What a bundle does not tell has no part in a refund and gets any value that is valid. */
function intentOf(ctx: EngineContext, bundle: Bundle, outpoints: readonly HtlcOutpoint[]): Intent {
  const [first] = outpoints;
  if (first === undefined) throw new Error(`bundle ${bundle.id} has no outpoint`);
  const lbtc = outpoints.find(({ assetId }) => assetId === ctx.policyAsset);
  const { pubkey } = ctx.keys.refundKey(bundle.keyIndex);
  return {
    id: bundle.id,
    principal: 'recover',
    requestId: bundle.id,
    quoteId: quoteId(bundle.id),
    paymentHash: bundle.paymentHash,
    sellerNodeId: pubkey,
    keyIndex: bundle.keyIndex,
    assetId: first.assetId,
    assetAmount: first.value,
    feeSubsidySat: sat(lbtc?.value ?? 0n), // what a refund may cost at most
    priceMsat: msat(1n), // whatever the node holds for a claimed swap is taken
    claimPubkey: pubkey,
    profile: ctx.network === 'regtest' ? 'regtest' : 'routed',
    minFundingConfs: 1,
    terms: '',
    termsHash: '',
    fundBy: unixSecs(0),
    createdAt: ctx.now(),
    version: 0,
    state: 'INTENT',
    payment: 'NONE',
    heldMsat: msat(0n),
    reason: '',
    isPreimageReleased: false,
    isRestored: false,
    isSubsidyOpen: false,
  };
}

const quoteOf = (intent: Intent): Quote => {
  const { principal, assetId, assetAmount, priceMsat, feeSubsidySat, profile, createdAt } = intent;
  const terms = { assetId, assetAmount, priceMsat, feeSubsidySat, profile, minFundingConfs: 1, maxFundingConfs: 1 };
  return { ...terms, id: intent.quoteId, principal, createdAt, expiresAt: createdAt };
};

/** Where an adopted swap stands after a reconcile. */
export async function outcomeOf(ctx: EngineContext, id: SwapId): Promise<Outcome> {
  const swap = findSwap(ctx.store, id);
  if (swap === undefined || !isFunded(swap)) throw new Error(`swap ${id} was not adopted`);
  switch (swap.state) {
    case 'REFUNDED':
      return outcome('done', `refunded by ${swap.refundTxid}`);
    case 'REFUND_SEEN':
      return outcome('confirming', `its refund ${swap.refundTxid} waits for ${FINAL_CONFS} confirmations`);
    case 'CLAIM_SEEN':
    case 'CLAIMED':
      return claimedOutcome(swap.claimTxid, swap.payment);
    case 'FUNDING_SIGNED':
    case 'ABORTING':
    case 'FUNDED':
    case 'OWED':
      return unspentOutcome(ctx, swap);
    default:
      throw new Error(`unknown state ${JSON.stringify(swap satisfies never)}`);
  }
}

function claimedOutcome(claimTxid: Txid, payment: PaymentStatus): Outcome {
  if (payment === 'SETTLED') return outcome('done', `paid, and claimed by the buyer with ${claimTxid}`);
  if (payment === 'SETTLING' || payment === 'HELD') {
    return outcome('soon', `claimed by the buyer with ${claimTxid}; its payment is being taken`);
  }
  return outcome(
    'refused',
    `claimed by the buyer with ${claimTxid}, and the node does not report that it was paid: look at the node`,
  );
}

async function unspentOutcome(ctx: EngineContext, swap: FundedSwap): Promise<Outcome> {
  if (swap.payment === 'SETTLED')
    return outcome('done', 'paid: the asset belongs to the buyer, who may claim it at any time');
  if (swap.payment === 'CANCELED') {
    const { height } = await ctx.chain.tip();
    if (height < swap.refundHeight) {
      return outcome(
        'later',
        `canceled; its refund opens at height ${swap.refundHeight}, the tip is ${height}: run this again then`,
      );
    }
    const refund = findSwapTx(ctx.store, swap.id, 'refund');
    return outcome(
      'soon',
      refund === undefined ? 'its refund is not signed yet' : `its refund ${refund.txid} is not seen yet`,
    );
  }
  const invoice = await ctx.lightning.lookupInvoice(swap.paymentHash);
  if (invoice === undefined) return outcome('refused', RISK);
  return outcome('soon', `its payment is ${invoice.state} and is being canceled`);
}

const RISK =
  'the Lightning node does not know its invoice, so nothing shows that it was not paid (see --accept-payment-risk)';
