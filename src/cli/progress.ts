/** Tells a person how a purchase goes: what was done, what is waited for, and until when. */
import type { PurchaseEvent } from '../buyer/drive.js';
import { printable } from '../buyer/printable.js';
import type { PurchaseRecord } from '../buyer/record.js';
import { failedCodes } from '../buyer/verify.js';
import { FINAL_CONFS } from '../core/timelock.js';
import { displayHex } from '../core/units.js';
import { SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { count, describeAmount, describeMsat } from './amount.js';
import type { Output } from './output.js';
import { colour } from './output.js';
import { clock } from './views.js';

/** Of each kind of event the same line twice in a row is no news. */
export type Narrator = { readonly onEvent: (event: PurchaseEvent) => void; readonly close: () => void };

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const FRAME_MS = 200;

const duration = (milliseconds: number): string => {
  const secs = Math.floor(milliseconds / 1000);
  return `${Math.floor(secs / 60)}:${(secs % 60).toString().padStart(2, '0')}`;
};

/** Prints events as lines; where somebody watches, the last line of all says what is waited for and for how long. */
export function narrate(out: Output, prefix = ''): Narrator {
  const last = new Map<PurchaseEvent['kind'], string>();
  let [waiting, due] = ['', ''];
  let since = Date.now();
  const render = (): void => {
    const frame = FRAMES.charAt(Math.floor(Date.now() / FRAME_MS) % FRAMES.length);
    out.status(waiting === '' ? '' : `${frame} ${prefix}${waiting} (${duration(Date.now() - since)})`);
  };
  const timer = out.isLive ? setInterval(render, FRAME_MS) : undefined;
  return {
    onEvent: (event) => {
      const line = describeEvent(event);
      if (line !== last.get(event.kind)) out.progress(prefix + line);
      last.set(event.kind, line);
      if (event.kind === 'step') due = dueOf(event.record);
      const wait = awaited(event, due);
      if (wait !== undefined && wait !== waiting) [waiting, since] = [wait, Date.now()];
    },
    close: () => {
      clearInterval(timer);
      out.status('');
    },
  };
}

/** What the next news will be about, or undefined if the event does not change it. */
function awaited(event: PurchaseEvent, due: string): string | undefined {
  if (event.kind === 'step') return WAITS[event.record.progress.step](event.record);
  if (event.kind === 'swap') return fundingWait(event.swap);
  if (event.kind === 'waiting') return `trying again: ${printable(event.problem)}`;
  if (event.kind === 'claim' && event.news.kind === 'seen') {
    return `claim ${event.news.confirmations} of ${FINAL_CONFS} blocks deep${due}`;
  }
  return undefined;
}

function fundingWait(swap: Swap): string | undefined {
  if (swap.status !== SwapStatus.CREATED) return undefined;
  const eta = swap.nextActionEtaUnixSecs;
  const until = eta === 0n ? '' : `; the seller expects it about ${clock(parseInt(eta.toString(), 10))}`;
  if (swap.fundingTxid.length === 0) return 'waiting for the seller to fund the HTLC';
  return `funding ${swap.fundingConfs} of ${swap.minFundingConfs} blocks deep${until}`;
}

const dueOf = ({ progress }: PurchaseRecord): string =>
  'htlc' in progress ? `; the refund opens at height ${progress.htlc.refundHeight}` : '';

const WAITS = {
  quoted: () => 'asking the seller to start the swap',
  created: () => 'waiting for the seller to fund the HTLC',
  verified: () => 'writing the claim kit',
  paying: (record) => `waiting for the payment's end${dueOf(record)}`,
  paid: () => 'signing the claim',
  claiming: (record) => `waiting for ${FINAL_CONFS} confirmations${dueOf(record)}`,
  claimed: () => '',
  unpaid: () => '',
  lost: () => '',
} satisfies Record<PurchaseRecord['progress']['step'], (record: PurchaseRecord) => string>;

/** One line of progress. */
function describeEvent(event: PurchaseEvent): string {
  switch (event.kind) {
    case 'step':
      return `${colour('bold', `step ${event.record.progress.step}`, process.stderr)}: ${describeStep(event.record)}`;
    case 'swap':
      return describeFunding(event.swap);
    case 'report': {
      const { checks } = event.report;
      const failed = failedCodes(event.report);
      const names = failed.length === 0 ? '' : colour('red', `; failed: ${failed.join(', ')}`, process.stderr);
      return `verified on our own servers: ${checks.length - failed.length} of ${checks.length} checks passed${names}`;
    }
    case 'payment':
      return PAYMENTS[event.state];
    case 'claim':
      return describeClaim(event.news);
    case 'waiting':
      return `waiting: ${printable(event.problem)}`;
    default:
      throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`);
  }
}

const PAYMENTS = {
  SENDING: 'payment: handed to our Lightning node',
  IN_FLIGHT: 'payment: on its way',
  SUCCEEDED: 'payment: arrived, the preimage is known',
  FAILED: 'payment: failed, nothing left our node',
} as const satisfies Record<Extract<PurchaseEvent, { kind: 'payment' }>['state'], string>;

function describeFunding(swap: Swap): string {
  if (swap.status === SwapStatus.CREATED) {
    if (swap.fundingTxid.length === 0) return 'seller: preparing the funding';
    return `seller: funding ${displayHex(swap.fundingTxid)} is ${swap.fundingConfs} of ${swap.minFundingConfs} blocks deep`;
  }
  if (swap.status === SwapStatus.FUNDED) return 'seller: the funding is deep enough, the invoice is there';
  return `seller: the swap is over${swap.reason === '' ? '' : `: ${printable(swap.reason)}`}`;
}

function describeClaim(news: Extract<PurchaseEvent, { kind: 'claim' }>['news']): string {
  switch (news.kind) {
    case 'seen':
      return `claim ${news.txid}: ${news.confirmations} of ${FINAL_CONFS} confirmations`;
    case 'broadcast':
      return `claim: sent through ${news.server}: ${printable(news.outcome)}`;
    case 'bumped':
      return `claim ${news.txid}: signed again with a fee of ${news.feeSat} sat (${news.reason})`;
    default:
      throw new Error(`unknown news ${JSON.stringify(news satisfies never)}`);
  }
}

/** What a step that was just stored means, and what is next. */
function describeStep({ progress, deal, maxFeeMsat, ticker, precision, payout }: PurchaseRecord): string {
  const amount = describeAmount(deal.assetAmount, precision, ticker);
  switch (progress.step) {
    case 'quoted':
      return 'the order is on disk; nothing was sent yet';
    case 'created':
      return `the seller has made swap ${progress.swapId} and funds the HTLC; next: its funding gets ${count(deal.minFundingConfs, 'confirmation')}`;
    case 'verified':
      return 'everything is as ordered; next: write the claim kit, then pay';
    case 'paying':
      return `paying ${describeMsat(deal.priceMsat)}, at most ${describeMsat(maxFeeMsat)} for routing; the claim kit is on disk`;
    case 'paid':
      return 'the preimage is on disk: the asset can be claimed now, with or without the seller';
    case 'claiming':
      return `claim ${progress.claims.at(-1)?.txid ?? ''} is signed and on disk`;
    case 'claimed':
      return `${amount} at ${payout.address}`;
    case 'unpaid':
      return `ended without a payment: ${printable(progress.reason)}`;
    case 'lost':
      return `the seller's refund ${progress.refundTxid} was faster than the claim`;
    default:
      throw new Error(`unknown step ${JSON.stringify(progress satisfies never)}`);
  }
}
