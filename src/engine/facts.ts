/** Looks up what one decision needs: the node's invoice, the HTLC on the chain, the tip. Decides nothing. */
import type { Facts, HtlcReport, InvoiceReport, OwnTxReport, SpendReport } from '../core/facts.js';
import { findPreimage, p2wshScriptPubKey } from '../core/htlc.js';
import { isRefundBy } from '../core/htlcSpend.js';
import { isFunded, type FundedSwap, type Swap } from '../core/swap.js';
import { BUMP_AFTER_BLOCKS, FINAL_CONFS, MAX_REORG_BLOCKS } from '../core/timelock.js';
import { parseTransaction } from '../core/tx.js';
import { blockHeight, displayHex, outpointKey, type BlockHeight, type SwapId, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { confirmations, type HistoryEntry, type UnspentEntry } from '../liquid/chain.js';
import { findPause } from '../store/meta.js';
import { findSwapTx, isFundingConflicted, isSwapTx, swapTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';
import { isFencedFor } from './fence.js';
import { ownEntry, ownFunding, ownRefunds } from './ownEntry.js';
import { judgedTip } from './tip.js';

/**
 * Everything that `nextDuty` wants to know about the swap. What cannot be looked up is undefined.
 *
 * @param options.isThorough also asks for what nothing depends on at present: an invoice that is finally unpaid.
 */
export async function gatherFacts(
  ctx: EngineContext,
  swap: Swap,
  options: { readonly isThorough: boolean } = { isThorough: true },
): Promise<Facts> {
  const judged = await answer(ctx, 'tip', () => judgedTip(ctx));
  const height = judged?.tip.height;
  const isDecisive = height !== undefined && mayMoveMoney(swap, height);
  const isSettledUp = swap.payment === 'CANCELED' || (swap.payment === 'SETTLED' && swap.isPreimageReleased);
  const isReported = swap.payment !== 'NONE' && (options.isThorough || isDecisive || !isSettledUp);
  const isToBeTaken = swap.payment === 'HELD' || swap.payment === 'SETTLING';
  const [invoice, node, htlc, abort] = await Promise.all([
    isReported ? answer(ctx, 'invoice', () => reportInvoice(ctx, swap)) : undefined,
    isToBeTaken ? answer(ctx, 'node', () => ctx.lightning.getInfo()) : undefined,
    isFunded(swap) && judged !== undefined
      ? answer(
          ctx,
          'htlc',
          () => reportHtlc(ctx, swap, { tip: judged.depthHeight, isDecisive }),
          isDecisive ? swap.id : undefined,
        )
      : undefined,
    swap.state === 'ABORTING' ? answer(ctx, 'abort', () => reportAbort(ctx, swap, judged?.depthHeight)) : undefined,
  ]);
  const refund = findSwapTx(ctx.store, swap.id, 'refund');
  // A server may have gone while the others were asked; then too few of them have answered.
  const after = isDecisive ? await answer(ctx, 'tip', () => judgedTip(ctx)) : judged;
  return {
    now: ctx.now(),
    tip: height,
    ...(judged?.problem === undefined ? {} : { lowestTip: judged.depthHeight }),
    invoice,
    node,
    htlc,
    isFundingLost: isFundingConflicted(ctx.store, swap.id),
    abort,
    refund: refund === undefined ? undefined : reportOwn(refund, judged?.depthHeight),
    isPaused: findPause(ctx.store) !== undefined,
    isDegraded:
      (isDecisive && after === undefined) ||
      [ctx.health.degradedReason, judged?.problem, after?.problem].some((each) => each !== undefined),
    isReadOnly: ctx.store.isReadOnly,
    isFenced: isFencedFor(ctx, swap),
  };
}

/** A held payment is about to be taken, or T has come: then every server is asked anew, and in two ways. */
function mayMoveMoney(swap: Swap, tip: BlockHeight): boolean {
  if (swap.payment === 'HELD') return true;
  return isFunded(swap) && swap.payment === 'CANCELED' && tip >= swap.refundHeight;
}

const reportOwn = (own: OwnTx, tip: BlockHeight | undefined): OwnTxReport => ({
  txid: own.txid,
  isStuck: tip !== undefined && isStuckSince(own.signedHeight, tip),
});

/** A server may have made up the height at which it was signed: that must not hold a higher fee back for ever. */
const isStuckSince = (signedHeight: number, tip: BlockHeight): boolean =>
  tip - signedHeight >= BUMP_AFTER_BLOCKS || signedHeight - tip > MAX_REORG_BLOCKS;

/** The newest self-spend of the funding's coins, if one was signed. An older one in a block ends the race as well. */
async function reportAbort(ctx: EngineContext, swap: Swap, tip: BlockHeight | undefined): Promise<Facts['abort']> {
  const [newest, ...older] = swapTxs(ctx.store, swap.id, 'abort').filter((own) => !own.isConflicted);
  if (newest === undefined) return undefined;
  const entries = [newest, ...older].map((own) => ownEntry(ctx, own, parseTransaction(own.raw).outs[0]?.script));
  const [seen, ...rest] = await Promise.all(entries);
  const isInBlock = [seen, ...rest].some((entry) => entry !== undefined && entry.height > 0);
  const own = reportOwn(newest, tip);
  return { ...own, isStuck: own.isStuck && !isInBlock, isSeen: isInBlock || seen !== undefined };
}

/** @param heldBack the swap that waits for the answer before its money moves: then the operator is told. */
async function answer<T>(
  ctx: EngineContext,
  what: string,
  ask: () => Promise<T>,
  heldBack?: SwapId,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    const details = { what, cause: errorChain(error) };
    if (heldBack === undefined) ctx.log.debug(details, 'no answer');
    else ctx.log.warn({ swapId: heldBack, ...details }, 'no answer: its payment or its refund is held back');
    return undefined;
  }
}

async function reportInvoice(ctx: EngineContext, swap: Swap): Promise<InvoiceReport | 'unknown_hash'> {
  return (await ctx.lightning.lookupInvoice(swap.paymentHash)) ?? 'unknown_hash';
}

/**
 * The HTLC's outpoints as the server shows them, `tip` being the height that confirmations are counted from. Only the history, raw bytes and merkle proofs count, never a value the
 * server names; extra outputs at the script are ignored because spends are matched by outpoint.
 *
 * @throws SwapError `chain_unavailable` if the server does not answer, withholds a transaction it listed, or shows a spend
 *   that cannot be; `history_too_long` if it refuses the script.
 */
export async function reportHtlc(
  ctx: EngineContext,
  swap: FundedSwap,
  { tip, isDecisive }: { readonly tip: BlockHeight; readonly isDecisive: boolean },
): Promise<HtlcReport> {
  const { history, isFlooded } = await htlcHistory(ctx, swap, isDecisive);
  const spends: (SpendReport | undefined)[] = swap.outpoints.map(() => undefined);
  const funding = history.find((entry) => entry.txid === swap.fundingTxid);
  for (const entry of history) {
    const key = `${swap.id} ${entry.txid}`;
    if (entry.txid === swap.fundingTxid || ctx.strangers.has(key)) continue;
    const found = await spendsOf(ctx, swap, entry.txid);
    if (found.length === 0) remember(ctx.strangers, key);
    const confs = confirmations(entry.height, tip);
    if (found.length > 0 && confs >= FINAL_CONFS) await ctx.chain.proveInclusion(entry.txid, blockHeight(entry.height));
    for (const { index, kind } of found) {
      const other = spends[index];
      if (other === undefined || confs > other.confs) spends[index] = { kind, txid: entry.txid, confs };
    }
  }
  if (funding !== undefined && isDecisive) await requirePresence(ctx, swap, spends);
  const confs = confirmations(funding?.height ?? 0, tip);
  // The depth decides in these moments: the invoice becomes visible, a funding is kept after all, or a payment is taken.
  const needed = swap.state === 'ABORTING' ? FINAL_CONFS : swap.minFundingConfs;
  const isDepthDecisive = swap.state === 'FUNDING_SIGNED' || swap.state === 'ABORTING' || swap.payment === 'HELD';
  if (isDepthDecisive && confs >= needed) {
    await ctx.chain.proveInclusion(swap.fundingTxid, blockHeight(tip - confs + 1));
  }
  return { isSeen: isFlooded || funding !== undefined, confs, spends };
}

/**
 * The transactions at the HTLC's script. Anyone can flood a script until servers refuse to list it. A swap that is finally
 * unpaid is then given up or refunded all the same: S never left this process, so nobody else can have spent it, our
 * funding is found by the coins that it spends, and our refunds by the scripts that they pay.
 */
async function htlcHistory(
  ctx: EngineContext,
  swap: FundedSwap,
  isFresh: boolean,
): Promise<{ readonly history: readonly HistoryEntry[]; readonly isFlooded: boolean }> {
  try {
    return { history: await ctx.chain.history(p2wshScriptPubKey(swap.witnessScript), { isFresh }), isFlooded: false };
  } catch (error) {
    if (!(error instanceof SwapError && error.code === 'history_too_long')) throw error;
    ctx.log.error(
      { swapId: swap.id, payment: swap.payment },
      'the HTLC script is flooded: the server does not list it',
    );
    if (swap.payment !== 'CANCELED') throw error;
    switch (swap.state) {
      case 'FUNDING_SIGNED':
      case 'ABORTING':
        return { history: await ownFunding(ctx, swap), isFlooded: false };
      case 'FUNDED':
      case 'REFUND_SEEN':
        return { history: await ownRefunds(ctx, swap), isFlooded: true };
      default:
        throw error;
    }
  }
}

/**
 * Asks in another way: an outpoint without a known spend must be among the script's unspent outputs. Only outpoints are
 * read, never a value. A server that contradicts itself decides nothing.
 */
async function requirePresence(
  ctx: EngineContext,
  swap: FundedSwap,
  spends: readonly (SpendReport | undefined)[],
): Promise<void> {
  if (spends.every((spend) => spend !== undefined)) return;
  const unspent = await unspentAt(ctx, swap);
  if (unspent === undefined) return;
  const present = new Set(unspent.map((entry) => outpointKey(entry.outpoint)));
  swap.outpoints.forEach(({ outpoint }, i) => {
    if (spends[i] !== undefined || present.has(outpointKey(outpoint))) return;
    const key = outpointKey(outpoint);
    throw new SwapError('chain_unavailable', `server shows ${key} neither as unspent nor with its spend`);
  });
}

/** Undefined if there are more than the server lists: anyone can pay the script, and the history has said it all. */
async function unspentAt(ctx: EngineContext, swap: FundedSwap): Promise<readonly UnspentEntry[] | undefined> {
  try {
    return await ctx.chain.unspent(p2wshScriptPubKey(swap.witnessScript));
  } catch (error) {
    if (error instanceof SwapError && error.code === 'history_too_long') return undefined;
    throw error;
  }
}

const MAX_STRANGERS = 100_000;

function remember(strangers: Set<string>, key: string): void {
  if (strangers.size >= MAX_STRANGERS) strangers.clear();
  strangers.add(key);
}

type FoundSpend = { readonly index: number; readonly kind: SpendReport['kind'] };

async function spendsOf(ctx: EngineContext, swap: FundedSwap, id: Txid): Promise<readonly FoundSpend[]> {
  // A server that strips the witness must not hide S while another shows it.
  const fits = (bytes: Buffer): boolean =>
    parseTransaction(bytes).ins.some((input) => findPreimage(input.witness, swap.paymentHash) !== undefined);
  const raw = await ctx.chain.transaction(id, { fits });
  if (raw === undefined) {
    throw new SwapError('chain_unavailable', `server lists transaction ${id} but does not have it`);
  }
  const tx = parseTransaction(raw);
  return tx.ins.flatMap((input, i): FoundSpend[] => {
    const spent = displayHex(input.hash);
    const index = swap.outpoints.findIndex(({ outpoint }) => outpoint.txid === spent && outpoint.vout === input.index);
    const outpoint = swap.outpoints[index];
    if (outpoint === undefined) return [];
    if (findPreimage(input.witness, swap.paymentHash) !== undefined) return [{ index, kind: 'claim' }];
    // A txid says nothing about witnesses; but without S only our key can spend: we know what it signed, or see it.
    const refundPubkey = ctx.keys.refundKey(swap.keyIndex).pubkey;
    const isOurs =
      isSwapTx(ctx.store, swap.id, id) ||
      isRefundBy(tx, i, { outpoint, witnessScript: swap.witnessScript, refundPubkey });
    if (!isOurs) {
      throw new SwapError(
        'chain_unavailable',
        `server shows ${id}: it spends the HTLC without S and is not our refund`,
      );
    }
    return [{ index, kind: 'refund' }];
  });
}
