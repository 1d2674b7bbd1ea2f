/** How the servers list a transaction of ours. */
import { p2wshScriptPubKey } from '../core/htlc.js';
import type { FundedSwap } from '../core/swap.js';
import { parseTransaction } from '../core/tx.js';
import { displayHex, outpoint } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { HistoryEntry } from '../liquid/chain.js';
import { findSwapTx, swapTxs, type OwnTx } from '../store/txs.js';
import type { EngineContext } from './context.js';

/**
 * The transaction as it is listed at a script that it touches. Anyone can flood that script until servers refuse to list
 * it; then the wallet's own scripts tell, whose coins the transaction spends.
 *
 * @throws SwapError `chain_unavailable`; `history_too_long` while the wallet was not looked at either.
 */
export async function ownEntry(
  ctx: EngineContext,
  own: Pick<OwnTx, 'txid' | 'raw'>,
  script: Uint8Array | undefined,
): Promise<HistoryEntry | undefined> {
  try {
    const history = script === undefined ? [] : await ctx.chain.history(script);
    return history.find((entry) => entry.txid === own.txid);
  } catch (error) {
    const isFlooded = error instanceof SwapError && error.code === 'history_too_long';
    if (!isFlooded || ctx.comparison.pending.has('the chain')) throw error;
    return asSpender(ctx, own);
  }
}

/** The transaction as the spend of a coin of the wallet, by the last sync. */
function asSpender(ctx: EngineContext, { txid, raw }: Pick<OwnTx, 'txid' | 'raw'>): HistoryEntry | undefined {
  return parseTransaction(raw)
    .ins.map((input) => ctx.wallet.spenderOf(outpoint(displayHex(input.hash), input.index)))
    .find((spender) => spender?.txid === txid);
}

/** Our funding of the swap as a server lists it at the wallet's scripts: it decides between abort and refund. */
export async function ownFunding(ctx: EngineContext, swap: FundedSwap): Promise<readonly HistoryEntry[]> {
  const own = findSwapTx(ctx.store, swap.id, 'funding');
  const entry = own && (await ownEntry(ctx, own, p2wshScriptPubKey(swap.witnessScript)));
  return entry === undefined ? [] : [entry];
}

/** Our refunds of the swap that a server lists. */
export async function ownRefunds(ctx: EngineContext, swap: FundedSwap): Promise<readonly HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for (const own of swapTxs(ctx.store, swap.id, 'refund')) {
    const payout = parseTransaction(own.raw).outs[0]?.script;
    const history = payout === undefined ? [] : await ctx.chain.history(payout);
    found.push(...history.filter((entry) => entry.txid === own.txid));
  }
  return found;
}
