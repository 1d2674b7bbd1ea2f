/** Performs one duty. Every call may be repeated: intents were committed before, results are looked up afterwards. */
import { decodeInvoice } from '../core/invoice.js';
import type { Duty } from '../core/facts.js';
import { LIQUID_NETWORKS } from '../core/network.js';
import { isFunded, type FundedSwap, type Swap, type SwapEvent } from '../core/swap.js';
import { MAX_NODE_CLOCK_SKEW_SECS, PROFILES } from '../core/timelock.js';
import type { Txid, UnixSecs } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { HoldInvoice } from '../lightning/node.js';
import { savePause } from '../store/meta.js';
import { moveSwap } from '../store/swaps.js';
import { closeRefunds, findSwapTx, reopenTx, type TxKind } from '../store/txs.js';
import { signAbort } from './abort.js';
import { writeBundle } from './bundle.js';
import { invoiceLabel, pauseReason, tellAlarm, type EngineContext } from './context.js';
import { failpoint, failpointsAroundCall, failpointsAroundCommit } from '../failpoint.js';
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
      ctx.generation.flush();
      await createInvoice(ctx, swap);
      return;
    case 'fund':
      if (swap.state === 'INVOICED') await fund(ctx, swap);
      ctx.changes.emit('swap', swap.id);
      return;
    case 'broadcast_funding':
      failpoint('before call writeBundle');
      writeBundle(ctx.bundleDir, funded(swap));
      failpoint('after call writeBundle');
      await broadcast(ctx, swap, 'funding');
      return;
    case 'sign_abort':
      await signAbort(ctx, funded(swap));
      return;
    case 'broadcast_abort':
      await broadcast(ctx, swap, 'abort');
      return;
    case 'settle':
      ctx.generation.flush();
      await failpointsAroundCall('settleInvoice', () => ctx.lightning.settleInvoice(ctx.keys.preimageFor(swap.id)));
      return;
    case 'cancel':
      if (!ctx.store.isReadOnly) ctx.generation.flush(); // without a commit there is nothing to flush
      await failpointsAroundCall('cancelInvoice', () => ctx.lightning.cancelInvoice(swap.paymentHash));
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
  const move = (): Swap => {
    if (alarm !== undefined) savePause(ctx.store, pauseReason(text));
    const spentBy = finalSpend(swap, event);
    if (spentBy !== undefined) closeRefunds(ctx.store, swap.id, spentBy);
    return moveSwap(ctx.store, swap, event, ctx.now());
  };
  const isCounted = decidesPayment(event);
  const next = failpointsAroundCommit(event.kind, () => (isCounted ? ctx.generation.commit(move) : ctx.store.tx(move)));
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

/** What spent the HTLC for good, when the event says that. */
function finalSpend(swap: Swap, event: SwapEvent): Txid | undefined {
  if (event.kind === 'subsidy_done') return event.txid;
  if (event.kind === 'claim_final' && swap.state === 'CLAIM_SEEN') return swap.claimTxid;
  return event.kind === 'refund_final' && swap.state === 'REFUND_SEEN' ? swap.refundTxid : undefined;
}

/** SETTLING and CANCELING: what an older database would not know of and must not contradict. */
const decidesPayment = (event: SwapEvent): boolean =>
  event.kind === 'settle_decided' ||
  event.kind === 'cancel_decided' ||
  (event.kind === 'funding_deep' && event.cancelReason !== undefined);

function funded(swap: Swap): FundedSwap {
  if (!isFunded(swap)) throw new Error(`swap ${swap.id} is ${swap.state} and has no funding`);
  return swap;
}

/** Step S1 and S2: the invoice is made from H alone, decoded again and compared before it is stored. */
async function createInvoice(ctx: EngineContext, swap: Swap): Promise<void> {
  let invoice: HoldInvoice;
  try {
    const request = {
      paymentHash: swap.paymentHash,
      amountMsat: swap.priceMsat,
      descriptionHash: swap.termsHash,
      expirySecs: PROFILES[swap.profile].invoiceExpirySecs,
      minFinalCltvDelta: FINAL_CLTV_DELTA,
      label: invoiceLabel(ctx, swap),
    };
    invoice = await failpointsAroundCall('createHoldInvoice', () => ctx.lightning.createHoldInvoice(request));
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
    const skew = clockSkew(ctx, swap, decoded.createdAt);
    if (skew > MAX_NODE_CLOCK_SKEW_SECS) {
      return {
        problem: `invoice: expected the node's clock within ${MAX_NODE_CLOCK_SKEW_SECS} s of ours, found ${skew} s`,
      };
    }
    const wrong = facts.find(([, expected, found]) => expected !== found);
    if (wrong === undefined) return { expiresAt: decoded.expiresAt };
    return { problem: `invoice: expected ${wrong[0]} ${wrong[1]}, found ${wrong[2]}` };
  } catch (error) {
    return { problem: errorChain(error) };
  }
}

/** Seconds by which the invoice was made before the swap or will be made in the future: only another clock can do that. */
const clockSkew = (ctx: EngineContext, swap: Swap, madeAt: UnixSecs): number =>
  Math.max(swap.createdAt - madeAt, madeAt - ctx.now(), 0);

async function broadcast(ctx: EngineContext, swap: Swap, kind: TxKind): Promise<void> {
  const tx = findSwapTx(ctx.store, swap.id, kind);
  if (tx === undefined) throw new Error(`swap ${swap.id} has no ${kind} transaction`);
  if (!ctx.store.isReadOnly) {
    ctx.generation.flush();
    // What has to be broadcast again is not final any more: from now on it is followed like any other.
    if (tx.isFinal) {
      failpointsAroundCommit('tx_reopened', () => {
        ctx.store.tx(() => {
          reopenTx(ctx.store, tx.id);
        });
      });
    }
  }
  const outcome = await failpointsAroundCall(`broadcast ${kind}`, () => ctx.chain.broadcast(tx.raw));
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
