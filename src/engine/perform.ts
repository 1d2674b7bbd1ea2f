/** Performs one duty. Every call may be repeated: intents were committed before, results are looked up afterwards. */
import { decodeInvoice } from '../core/invoice.js';
import type { Duty } from '../core/duty.js';
import { LIQUID_NETWORKS } from '../core/network.js';
import { isFunded, type FundedSwap, type Swap, type SwapEvent } from '../core/swap.js';
import { PROFILES } from '../core/timelock.js';
import type { UnixSecs } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { HoldInvoice } from '../lightning/node.js';
import { savePause } from '../store/meta.js';
import { moveSwap } from '../store/swaps.js';
import { findSwapTx, markSwapTxsFinal, type TxKind } from '../store/txs.js';
import { writeBundle } from './bundle.js';
import { invoiceLabel, pauseReason, tellAlarm, type EngineContext } from './context.js';
import { fund } from './fund.js';
import { signRefund } from './refund.js';

/** F of our invoices, Bitcoin blocks. */
const FINAL_CLTV_DELTA = 42;

/** @throws SwapError when a backend does not answer: the outcome is unknown and the duty is done again later. */
export async function perform(ctx: EngineContext, swap: Swap, duty: Exclude<Duty, { kind: 'wait' }>): Promise<void> {
  switch (duty.kind) {
    case 'record':
      record(ctx, swap, duty.event, duty.alarm);
      return;
    case 'create_invoice':
      await createInvoice(ctx, swap);
      return;
    case 'fund':
      if (swap.state === 'INVOICED') await fund(ctx, swap);
      ctx.changes.emit('swap', swap.id);
      return;
    case 'broadcast_funding':
      writeBundle(ctx.bundleDir, funded(swap));
      await broadcast(ctx, swap, 'funding');
      return;
    case 'settle':
      await ctx.lightning.settleInvoice(ctx.keys.preimageFor(swap.id));
      return;
    case 'cancel':
      await ctx.lightning.cancelInvoice(swap.paymentHash);
      return;
    case 'sign_refund':
      await signRefund(ctx, funded(swap));
      return;
    case 'broadcast_refund':
      await broadcast(ctx, swap, 'refund');
      return;
    default:
      throw new Error(`unknown duty ${JSON.stringify(duty satisfies never)}`);
  }
}

/** Commits an event; with an alarm new business is paused in the same commit. */
function record(ctx: EngineContext, swap: Swap, event: SwapEvent, alarm?: string): Swap {
  const text = `swap ${swap.id}: ${alarm ?? ''}`;
  const next = ctx.store.tx(() => {
    if (alarm !== undefined) savePause(ctx.store, pauseReason(text));
    if (event.kind === 'claim_final' || event.kind === 'refund_final') markSwapTxsFinal(ctx.store, swap.id);
    return moveSwap(ctx.store, swap, event, ctx.now());
  });
  if (alarm !== undefined) tellAlarm(ctx, text);
  ctx.log.info(
    {
      swapId: swap.id,
      event: event.kind,
      from: swap.state,
      to: next.state,
      payment: next.payment,
      reason: next.reason,
    },
    'swap moved',
  );
  ctx.changes.emit('swap', swap.id);
  return next;
}

function funded(swap: Swap): FundedSwap {
  if (!isFunded(swap)) throw new Error(`swap ${swap.id} is ${swap.state} and has no funding`);
  return swap;
}

/** Step S1 and S2: the invoice is made from H alone, decoded again and compared before it is stored. */
async function createInvoice(ctx: EngineContext, swap: Swap): Promise<void> {
  let invoice: HoldInvoice;
  try {
    invoice = await ctx.lightning.createHoldInvoice({
      paymentHash: swap.paymentHash,
      amountMsat: swap.priceMsat,
      descriptionHash: swap.termsHash,
      expirySecs: PROFILES[swap.profile].invoiceExpirySecs,
      minFinalCltvDelta: FINAL_CLTV_DELTA,
      label: invoiceLabel(ctx, swap),
    });
  } catch (error) {
    if (!(error instanceof SwapError && error.code === 'payment_hash_reused')) throw error;
    record(ctx, swap, { kind: 'cancel_decided', reason: 'the node has another invoice with this hash' }, error.message);
    return;
  }
  const checked = checkInvoice(ctx, swap, invoice.bolt11);
  if ('problem' in checked) {
    record(ctx, swap, { kind: 'cancel_decided', reason: 'the node made a wrong invoice' }, checked.problem);
    return;
  }
  record(ctx, swap, { kind: 'invoice_created', bolt11: invoice.bolt11, expiresAt: checked.expiresAt });
}

/** When it expires, as the buyer will read it, or what is wrong with it. */
function checkInvoice(ctx: EngineContext, swap: Swap, bolt11: string): { expiresAt: UnixSecs } | { problem: string } {
  try {
    const decoded = decodeInvoice(bolt11, LIQUID_NETWORKS[ctx.network].bitcoinNetwork);
    const { invoiceExpirySecs } = PROFILES[swap.profile];
    const facts: readonly [name: string, expected: string, found: string][] = [
      ['payment hash', swap.paymentHash, decoded.paymentHash],
      ['amount', swap.priceMsat.toString(), decoded.amountMsat.toString()],
      ['description hash', swap.termsHash, decoded.descriptionHash ?? 'none'],
      ['payee', swap.sellerNodeId, decoded.payee],
      ['expiry', invoiceExpirySecs.toString(), (decoded.expiresAt - decoded.createdAt).toString()],
      ['final CLTV', FINAL_CLTV_DELTA.toString(), decoded.minFinalCltvDelta.toString()],
    ];
    const wrong = facts.find(([, expected, found]) => expected !== found);
    if (wrong === undefined) return { expiresAt: decoded.expiresAt };
    return { problem: `invoice: expected ${wrong[0]} ${wrong[1]}, found ${wrong[2]}` };
  } catch (error) {
    return { problem: errorChain(error) };
  }
}

async function broadcast(ctx: EngineContext, swap: Swap, kind: TxKind): Promise<void> {
  const tx = findSwapTx(ctx.store, swap.id, kind);
  if (tx === undefined) throw new Error(`swap ${swap.id} has no ${kind} transaction`);
  const outcome = await ctx.chain.broadcast(tx.raw);
  switch (outcome.kind) {
    case 'accepted':
      ctx.log.info({ swapId: swap.id, kind, txid: tx.txid }, 'broadcast');
      return;
    case 'rejected':
      ctx.log.warn(
        { swapId: swap.id, kind, txid: tx.txid, reason: outcome.reason, text: outcome.text },
        'broadcast rejected',
      );
      return;
    case 'unknown':
      ctx.log.warn({ swapId: swap.id, kind, txid: tx.txid, cause: errorChain(outcome.cause) }, 'broadcast unknown');
      return;
    default:
      throw new Error(`unknown outcome ${JSON.stringify(outcome satisfies never)}`);
  }
}
