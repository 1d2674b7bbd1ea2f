/**
 * The payment of a purchase: sent at most once, tracked by its hash until the node knows how it ended.
 *
 * Step `paying` is on disk before anything is sent, and names the node. A resumed purchase asks that node by the hash, and
 * sends only when the node itself says that nothing is out: it never sent, or it failed for good. "Never sent" is the right
 * answer after a crash just before the first call, and a wrong one from a node that sent and then lost its memory; nobody
 * can tell the two apart. Sending then is right only because the hash can be paid once:
 * - by the node: it joins a payment of the same hash, also when an earlier call is still on its way to it;
 * - by this node alone: the record names it, and no other may say that nothing is out;
 * - to the seller: while it says that it holds or took a payment, nothing is sent, and S is awaited;
 * - now: every check is made again, so the invoice is alive and nobody has taken the asset.
 * Paid twice would be who restores his node without its payments and buys from a seller who then hides that it has one.
 */
import { SwapError } from '../errors.js';
import { failpointsAroundCall } from '../failpoint.js';
import type { LightningNode, PaymentResult } from '../lightning/node.js';
import { askSeller, awaitEnd, belongs, paidWith, searchAsset, storeKit } from './assetSearch.js';
import type { Buyer } from './buyer.js';
import { BuyerError } from './buyerError.js';
import type { Drive } from './drive.js';
import { findPayer } from './earlierPayment.js';
import { payExternally } from './externalStep.js';
import { checkFresh, type VerifiedFacts } from './freshCheck.js';
import { printable } from './printable.js';
import type { Payer, Progress, PurchaseRecord, StoredHtlc } from './record.js';
import { endWithoutPayment, saysItIsPaid } from './sellerWord.js';
import { pause } from './wait.js';

/** One send call answers within this time; what comes later is asked for by the hash. */
const SEND_SECS = 120;
/** The answer is waited for this long; then the hash is asked about, and S may come from elsewhere. */
const SEND_WAIT_MS = 10_000;
/** When the run is to end, an answer that is about to come is still taken. */
const GRACE_MS = 1_000;
/** Attempts of one run, and the pause between them. */
const MAX_SENDS = 8;
const SEND_PAUSE_MS = 2_000;

/** No second payment is sent then, for the first one may be ours. */
const STRANGE_PAYMENT = 'the seller says that it was paid, our node that it sent nothing: nothing more is sent';
const NO_NODE = 'expected a Lightning node to pay with, found none; see --lightning-address';

/** Before anything is sent: the kit is written, and the payer is named in the step that says that he may have paid. */
export async function beginPaying(drive: Drive, record: PurchaseRecord, htlc: StoredHtlc): Promise<Progress> {
  const { buyer } = drive;
  const payer = await choosePayer(buyer);
  if (payer.kind === 'external') {
    // What a person was shown once may be paid at any time; an invoice that is too old is not even stored as `paying`.
    const fresh = await checkFresh(drive, record, htlc);
    if ('refused' in fresh) return { step: 'unpaid', reason: fresh.refused };
  }
  storeKit(drive, record, htlc, undefined);
  return { step: 'paying', htlc, payer };
}

async function choosePayer({ lightning, external }: Buyer): Promise<Payer> {
  if (external !== undefined) return { kind: 'external' };
  if (lightning === undefined) throw new BuyerError('not_connected', NO_NODE);
  return { kind: 'node', nodeId: (await lightning.getInfo()).nodeId };
}

/** Pays, or learns what became of a payment. @returns the next step, or undefined when it is not there yet. */
export async function pay(
  drive: Drive,
  record: PurchaseRecord,
  { htlc, payer }: Extract<Progress, { step: 'paying' }>,
): Promise<Progress | undefined> {
  try {
    if (payer === undefined) return await findPayer(drive, record, htlc);
    if (payer.kind === 'external') return await payExternally(drive, record, htlc);
    return await payByNode(await nodeOf(drive.buyer, payer.nodeId), drive, record, htlc);
  } catch (error) {
    // Without the payer's answer S is still to be had: the seller gives it after settling, and a claim shows it.
    const found = await searchAsset(drive, record, htlc);
    if (found.preimage === undefined) throw error;
    return paidWith(drive, record, htlc, found.preimage);
  }
}

/** The node that began to pay. @throws BuyerError `payer_changed` if it is another one. */
async function nodeOf({ lightning }: Buyer, nodeId: string): Promise<LightningNode> {
  const found = lightning === undefined ? 'no node' : (await lightning.getInfo()).nodeId;
  if (lightning !== undefined && found === nodeId) return lightning;
  throw new BuyerError(
    'payer_changed',
    `expected Lightning node ${nodeId}, which may have paid for this purchase already, found ${found}; connect that node and resume`,
  );
}

async function payByNode(
  lightning: LightningNode,
  drive: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<Progress | undefined> {
  const known = await lightning.lookupPayment(htlc.paymentHash);
  // A failure is terminal: nothing is out any more, so another attempt is a new payment with checks of its own.
  const isOpen = (known === undefined || known.state === 'FAILED') && !drive.run.isSending;
  const result = isOpen ? await trySending(lightning, drive, record, htlc) : (known ?? { state: 'IN_FLIGHT' });
  if (result === undefined || 'step' in result) return result;
  drive.options.onEvent({ kind: 'payment', state: result.state });
  switch (result.state) {
    case 'SUCCEEDED':
      if (!belongs(result.preimage, htlc)) {
        throw new SwapError('lightning_unavailable', 'our Lightning node reports a preimage of another hash');
      }
      return paidWith(drive, record, htlc, result.preimage);
    case 'FAILED':
      return await afterFailure(drive, htlc, printable(result.reason));
    case 'IN_FLIGHT': {
      const { preimage } = await searchAsset(drive, record, htlc);
      return preimage === undefined ? undefined : paidWith(drive, record, htlc, preimage);
    }
    default:
      throw new Error(`unknown payment state ${JSON.stringify(result satisfies never)}`);
  }
}

/** A peer may just be reconnecting: a few more attempts, unless the seller says that it is over. */
async function afterFailure(drive: Drive, htlc: StoredHtlc, reason: string): Promise<Progress | undefined> {
  const { options, run } = drive;
  run.failedSends += 1;
  const swap = await askSeller(drive, htlc);
  if (swap !== undefined && saysItIsPaid(swap)) return undefined; // by whom, the next round looks for
  const end = swap === undefined ? undefined : endWithoutPayment(swap);
  if (end !== undefined || run.failedSends >= MAX_SENDS) {
    return { step: 'unpaid', reason: `the payment failed: ${reason}${end === undefined ? '' : ` (${end})`}` };
  }
  options.onEvent({
    kind: 'waiting',
    problem: `payment failed (${reason}); attempt ${run.failedSends + 1} of ${MAX_SENDS}`,
  });
  await pause(SEND_PAUSE_MS, options.signal);
  return undefined;
}

/** Sends if nothing speaks against it. @returns what the node says; a step where nobody may pay any more; or nothing yet. */
async function trySending(
  lightning: LightningNode,
  drive: Drive,
  record: PurchaseRecord,
  htlc: StoredHtlc,
): Promise<PaymentResult | Progress | undefined> {
  const { isSynced } = await lightning.getInfo();
  if (!isSynced) throw new SwapError('lightning_unavailable', 'our Lightning node is not synced to its chain');
  const swap = await askSeller(drive, htlc);
  if (swap !== undefined && saysItIsPaid(swap)) return await awaitEnd(drive, record, htlc, STRANGE_PAYMENT);
  const facts = await checkFresh(drive, record, htlc);
  if ('refused' in facts) return { step: 'unpaid', reason: facts.refused };
  return await send(lightning, drive, record, { htlc, facts });
}

/** One call. After a while its answer is not waited for any more: the hash is asked about instead. */
async function send(
  lightning: LightningNode,
  { options, run }: Drive,
  record: PurchaseRecord,
  { htlc, facts }: { readonly htlc: StoredHtlc; readonly facts: VerifiedFacts },
): Promise<PaymentResult> {
  options.onEvent({ kind: 'payment', state: 'SENDING' });
  run.isSending = true;
  const call = failpointsAroundCall('pay', async () =>
    lightning.pay({
      bolt11: htlc.bolt11,
      maxFeeMsat: record.maxFeeMsat,
      maxTotalCltvDelta: facts.maxTotalCltvDelta,
      timeoutSecs: SEND_SECS,
    }),
  ).finally(() => {
    run.isSending = false;
  });
  call.catch(() => undefined); // an error says nothing about the payment, also when nobody waits for it any more
  const late = pause(SEND_WAIT_MS, options.signal)
    .then(async () => {
      await pause(GRACE_MS);
    })
    .then((): PaymentResult => ({ state: 'IN_FLIGHT' }));
  return await Promise.race([call, late]);
}
