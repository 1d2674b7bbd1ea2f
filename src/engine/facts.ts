/** Looks up what one decision needs: the node's invoice, the HTLC on the chain, the tip. Decides nothing. */
import type { Facts, HtlcReport, InvoiceReport, SpendReport } from '../core/duty.js';
import { findPreimage, p2wshScriptPubKey } from '../core/htlc.js';
import { isFunded, type FundedSwap, type Swap } from '../core/swap.js';
import { parseTransaction } from '../core/tx.js';
import { displayHex, type BlockHeight, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { confirmations } from '../liquid/chain.js';
import { findPause } from '../store/meta.js';
import { findSwapTx } from '../store/txs.js';
import type { EngineContext } from './context.js';

/** Everything {@link nextDuty} wants to know about the swap. What cannot be looked up is undefined. */
export async function gatherFacts(ctx: EngineContext, swap: Swap): Promise<Facts> {
  const tip = await answer(ctx, 'tip', () => ctx.chain.tip());
  const [invoice, node, htlc] = await Promise.all([
    needsInvoice(swap) ? answer(ctx, 'invoice', () => reportInvoice(ctx, swap)) : undefined,
    swap.payment === 'HELD' ? answer(ctx, 'node', () => ctx.lightning.getInfo()) : undefined,
    isFunded(swap) && tip !== undefined ? answer(ctx, 'htlc', () => reportHtlc(ctx, swap, tip.height)) : undefined,
  ]);
  return {
    now: ctx.now(),
    tip: tip?.height,
    invoice,
    node,
    htlc,
    hasRefund: findSwapTx(ctx.store, swap.id, 'refund') !== undefined,
    isPaused: findPause(ctx.store) !== undefined,
    isDegraded: ctx.health.degradedReason !== undefined,
  };
}

/** An invoice that is finally unpaid is still watched until its swap is final: it must never come back to life. */
function needsInvoice(swap: Swap): boolean {
  return swap.payment !== 'NONE';
}

async function answer<T>(ctx: EngineContext, what: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    ctx.log.debug({ what, cause: errorChain(error) }, 'no answer');
    return undefined;
  }
}

async function reportInvoice(ctx: EngineContext, swap: Swap): Promise<InvoiceReport | 'unknown_hash'> {
  return (await ctx.lightning.lookupInvoice(swap.paymentHash)) ?? 'unknown_hash';
}

/**
 * The HTLC's outpoints as the server shows them. Only the history and raw bytes count, never a value the server names;
 * extra outputs at the script are ignored because spends are matched by outpoint.
 *
 * @throws SwapError `chain_unavailable` if the server does not answer or withholds a transaction it listed.
 */
export async function reportHtlc(ctx: EngineContext, swap: FundedSwap, tip: BlockHeight): Promise<HtlcReport> {
  const history = await ctx.chain.history(p2wshScriptPubKey(swap.witnessScript));
  const funding = history.find((entry) => entry.txid === swap.fundingTxid);
  const spends: (SpendReport | undefined)[] = swap.outpoints.map(() => undefined);
  for (const entry of history) {
    if (entry.txid === swap.fundingTxid) continue;
    const confs = confirmations(entry.height, tip);
    for (const { index, kind } of await spendsOf(ctx, swap, entry.txid)) {
      const other = spends[index];
      if (other === undefined || confs > other.confs) spends[index] = { kind, txid: entry.txid, confs };
    }
  }
  return { isSeen: funding !== undefined, confs: confirmations(funding?.height ?? 0, tip), spends };
}

async function spendsOf(
  ctx: EngineContext,
  swap: FundedSwap,
  id: Txid,
): Promise<readonly { readonly index: number; readonly kind: SpendReport['kind'] }[]> {
  const raw = await ctx.chain.transaction(id);
  if (raw === undefined)
    throw new SwapError('chain_unavailable', `server lists transaction ${id} but does not have it`);
  return parseTransaction(raw).ins.flatMap((input) => {
    const spent = displayHex(input.hash);
    const index = swap.outpoints.findIndex(({ outpoint }) => outpoint.txid === spent && outpoint.vout === input.index);
    if (index < 0) return [];
    const kind = findPreimage(input.witness, swap.paymentHash) === undefined ? 'refund' : 'claim';
    return [{ index, kind }];
  });
}
