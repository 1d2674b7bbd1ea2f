/** Decides when a claim needs another version, and what that has to replace. Pure. */
import { feeOf } from '../core/replacement.js';
import { BUMP_AFTER_BLOCKS } from '../core/timelock.js';
import { fullVsize, parseTransaction, type HtlcOutpoint } from '../core/tx.js';
import { blockHeight, displayHex, satPerKvb, type BlockHeight, type SatPerKvb, type Txid } from '../core/units.js';
import type { BroadcastOutcome } from '../liquid/chain.js';
import { isFinalClaim, isUrgent, wantedRate, type ClaimSource } from './claim.js';
import type { ClaimView, HtlcSpend } from './claimLook.js';

/** A version of the claim; `height` is the tip when it was signed, as far as that is known. */
export type ClaimVersion = { readonly txid: Txid; readonly raw: Buffer; readonly height: BlockHeight | undefined };

/** Why there has to be another version. */
export type BumpReason =
  /** The refund is near, and the present version could be replaced by it. */
  | 'refund_near'
  /** No server takes it for its fee. */
  | 'fee_refused'
  /** Something else that spends the HTLC is in its way. */
  | 'conflict'
  /** An input is gone. */
  | 'input_spent'
  /** It waits too long. */
  | 'slow'
  /** The rate that is needed rose. */
  | 'rate_rose';

/** What the next version is signed for. */
export type Bump = {
  readonly kind: 'bump';
  readonly reason: BumpReason;
  readonly tipHeight: BlockHeight;
  readonly feeRate: SatPerKvb;
  readonly outpoints: readonly HtlcOutpoint[];
  readonly replaces: readonly Buffer[];
  readonly isContested: boolean;
};

/** The situation of a claim. */
export type ClaimSituation = {
  readonly source: ClaimSource;
  /** All versions, newest last. */
  readonly versions: readonly ClaimVersion[];
  readonly views: readonly ClaimView[];
  /** What became of the newest version where it was broadcast just now. */
  readonly outcomes: readonly BroadcastOutcome[];
  /** From this height on the newest version waits for a block. */
  readonly waitsSince: BlockHeight;
};

/** Versions that may be signed at one height because servers refuse them: a lying server costs no more than that. */
const MAX_PER_HEIGHT = 4;

/** The highest tip and fee rate. */
export function conditionsOf(views: readonly ClaimView[]): { tipHeight: BlockHeight; feeRate: SatPerKvb } {
  const rates = views.flatMap(({ feeRate }) => (feeRate === undefined ? [] : [feeRate]));
  return {
    tipHeight: blockHeight(Math.max(...views.map(({ tip }) => tip))),
    feeRate: satPerKvb(rates.reduce<bigint>((highest, rate) => (rate > highest ? rate : highest), 100n)),
  };
}

/** Spends that are no version of ours. */
function strangersOf({ versions, views }: Pick<ClaimSituation, 'versions' | 'views'>): HtlcSpend[] {
  const own = new Set(versions.map(({ txid }) => txid));
  return views.flatMap(({ spends }) => spends.filter(({ txid }) => !own.has(txid)));
}

/**
 * Outputs of the HTLC that a claim can still take: not those that something else spent in a block, nor those beside the
 * asset that something else spends for good in a mempool.
 */
export function freeOutpoints(
  source: ClaimSource,
  situation: Pick<ClaimSituation, 'versions' | 'views'>,
): readonly HtlcOutpoint[] {
  const strangers = strangersOf(situation);
  return source.outpoints.filter((_, position) => {
    const takers = strangers.filter(({ spends }) => spends.includes(position));
    if (position === 0) return true; // of that nothing is given up before its spend is final
    return !takers.some(({ confirmations, raw }) => confirmations > 0 || isFinalClaim(raw));
  });
}

/** What pays in the HTLC's outputs' place now: all our versions, and the unconfirmed rest. */
export function toReplace({ versions, views }: Pick<ClaimSituation, 'versions' | 'views'>): Buffer[] {
  const strangers = strangersOf({ versions, views }).filter(({ confirmations }) => confirmations === 0);
  const raws = new Map([...versions, ...strangers].map(({ txid, raw }) => [txid, raw]));
  return [...raws.values()];
}

/** Whether a refund that the seller signed waits for a block, and may come into one. */
export function isContested(source: ClaimSource, situation: Pick<ClaimSituation, 'versions' | 'views'>): boolean {
  const isOpen = conditionsOf(situation.views).tipHeight >= source.refundHeight;
  return isOpen && strangersOf(situation).some(({ kind, confirmations }) => kind === 'refunded' && confirmations === 0);
}

function paidRate(raw: Buffer): bigint {
  const tx = parseTransaction(raw);
  return (feeOf(tx) * 1_000n) / BigInt(fullVsize(tx));
}

const spentBy = (raw: Buffer): Set<string> =>
  new Set(parseTransaction(raw).ins.map((input) => `${displayHex(input.hash)}:${input.index}`));

function reasonOf(situation: ClaimSituation, newest: ClaimVersion): BumpReason | undefined {
  const { source, versions, views, outcomes, waitsSince } = situation;
  const { tipHeight, feeRate } = conditionsOf(views);
  const isSeen = views.some(({ spends }) => spends.some(({ txid }) => txid === newest.txid));
  const isFinal = isFinalClaim(newest.raw);
  if (isFinal && isSeen) return undefined;
  if (!isFinal && isUrgent(source.refundHeight, tipHeight)) return 'refund_near';
  const refused = outcomes.flatMap((outcome) => (outcome.kind === 'rejected' ? [outcome.reason] : []));
  const isRefused = !isSeen && refused.length > 0 && !outcomes.some(({ kind }) => kind === 'accepted');
  const mayRepeat = versions.filter(({ height }) => height === tipHeight).length < MAX_PER_HEIGHT;
  if (isRefused && mayRepeat) {
    const reason = refusalOf(situation, newest, refused);
    if (reason !== undefined) return reason;
  }
  if (isFinal) return undefined;
  if (tipHeight - waitsSince >= BUMP_AFTER_BLOCKS) return 'slow';
  return wantedRate(source, tipHeight, feeRate) > paidRate(newest.raw) ? 'rate_rose' : undefined;
}

function refusalOf(
  situation: ClaimSituation,
  newest: ClaimVersion,
  refused: readonly string[],
): BumpReason | undefined {
  if (refused.includes('conflict')) {
    // Nothing replaces what is final; it may still fall out of the mempools.
    const inTheWay = situation.views.flatMap(({ spends }) => spends.filter(({ confirmations }) => confirmations === 0));
    if (inTheWay.some(({ spends, raw }) => spends.includes(0) && isFinalClaim(raw))) return undefined;
    return 'conflict';
  }
  if (refused.includes('insufficient_fee')) return 'fee_refused';
  if (!refused.includes('missing_inputs')) return undefined;
  const inputs = spentBy(newest.raw);
  const htlc = situation.source.outpoints.filter(({ outpoint: { txid, vout } }) => inputs.has(`${txid}:${vout}`));
  const usesCoins = inputs.size > htlc.length;
  const isShort = freeOutpoints(situation.source, situation).length < htlc.length;
  return usesCoins || isShort ? 'input_spent' : undefined;
}

/** What the next version has to be, or undefined while the present one will do. */
export function bumpFor(situation: ClaimSituation): Bump | undefined {
  const newest = situation.versions.at(-1);
  if (newest === undefined) throw new Error('a claim that is followed has a version');
  const isConfirmed = situation.views.some(({ spends }) =>
    spends.some(({ spends: positions, confirmations }) => positions.includes(0) && confirmations > 0),
  );
  const reason = isConfirmed ? undefined : reasonOf(situation, newest);
  if (reason === undefined) return undefined;
  const { source } = situation;
  return {
    kind: 'bump',
    reason,
    ...conditionsOf(situation.views),
    outpoints: freeOutpoints(source, situation),
    replaces: toReplace(situation),
    isContested: isContested(source, situation),
  };
}
