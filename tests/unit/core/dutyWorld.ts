/**
 * A small world around one swap: a chain, a Lightning node and a buyer that may do anything. The seller in it is the real
 * `nextDuty` and `apply`; answers and calls get lost at random, and it may crash after any step.
 */
import fc from 'fast-check';

import { nextDuty, type Duty, type Facts, type InvoiceReport, type SpendReport } from '../../../src/core/duty.js';
import { apply, isDone, isFunded, type Swap } from '../../../src/core/swap.js';
import { PROFILES } from '../../../src/core/timelock.js';
import { blockHeight, msat, unixSecs } from '../../../src/core/units.js';
import {
  CLAIM_TXID,
  FUNDING,
  intent,
  MIN_CONFS,
  PRICE,
  REFUND_TXID,
  report,
  START,
} from '../../support/swapFixtures.js';

/** What happens to one call: it works, it never arrives, or it works and the answer is lost. */
export type Fate = 'works' | 'lost' | 'answer lost';

/** One pass of the seller: which lookups are answered, and what happens to its calls, in order. */
export type Pass = {
  readonly hasTip: boolean;
  readonly hasInvoice: boolean;
  readonly hasNode: boolean;
  readonly hasHtlc: boolean;
  readonly isDegraded: boolean;
  readonly isPaused: boolean;
  readonly fates: readonly Fate[];
  /** The process ends after this many steps. */
  readonly crashAfter: number;
};

export type Action =
  | { readonly kind: 'pass'; readonly pass: Pass }
  | { readonly kind: 'secs' | 'blocks' | 'bitcoin_blocks'; readonly n: number }
  | { readonly kind: 'pay'; readonly missingMsat: number }
  | { readonly kind: 'claim' | 'mempool_lost' | 'reorg' | 'node_expires' | 'node_forgets' };

const MEMPOOL = 0;
const DEADLINE_BLOCKS = 30;
const MAX_STEPS = 24;
const CALM: Pass = {
  hasTip: true,
  hasInvoice: true,
  hasNode: true,
  hasHtlc: true,
  isDegraded: false,
  isPaused: false,
  fates: [],
  crashAfter: MAX_STEPS,
};

const anyPass: fc.Arbitrary<Pass> = fc.record({
  hasTip: fc.boolean(),
  hasInvoice: fc.boolean(),
  hasNode: fc.boolean(),
  hasHtlc: fc.boolean(),
  isDegraded: fc.boolean(),
  isPaused: fc.boolean(),
  fates: fc.array(fc.constantFrom<Fate>('works', 'lost', 'answer lost'), { maxLength: 8 }),
  crashAfter: fc.integer({ min: 1, max: MAX_STEPS }),
});
const n = (max: number) => fc.integer({ min: 1, max });

export const anyAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: fc.oneof(fc.constant(CALM), anyPass).map((pass) => ({ kind: 'pass', pass }) as const) },
  { weight: 2, arbitrary: n(200).map((secs) => ({ kind: 'secs', n: secs }) as const) },
  { weight: 3, arbitrary: n(12).map((blocks) => ({ kind: 'blocks', n: blocks }) as const) },
  { weight: 1, arbitrary: n(12).map((blocks) => ({ kind: 'bitcoin_blocks', n: blocks }) as const) },
  { weight: 3, arbitrary: fc.constantFrom(0, 0, 0, 1).map((missingMsat) => ({ kind: 'pay', missingMsat }) as const) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('claim', 'claim', 'mempool_lost', 'reorg', 'node_expires', 'node_forgets')
      .map((kind) => ({ kind }) as const),
  },
);

/** A transaction on the chain: the height of its block, or 0 in the mempool. */
type Place = number | undefined;

export class DutyWorld {
  swap: Swap = intent;
  isRefundSigned = false;
  /** What broke a rule of the protocol, if anything did. */
  broken: string | undefined;
  #secs = START;
  #height = 1_000;
  #bitcoinHeight = 100;
  #funding: Place;
  #spend: { readonly kind: SpendReport['kind']; readonly at: number } | undefined;
  #node: (InvoiceReport & { readonly expiresAt: number }) | undefined;
  #wasShown = false;

  get isPaid(): boolean {
    return this.#node?.state === 'SETTLED';
  }

  get spendKind(): SpendReport['kind'] | undefined {
    return this.#spend?.kind;
  }

  act(action: Action): void {
    switch (action.kind) {
      case 'pass':
        this.#pass(action.pass);
        break;
      case 'secs':
        this.#secs += action.n;
        break;
      case 'blocks':
        for (let i = 0; i < action.n; i += 1) this.#mine();
        break;
      case 'bitcoin_blocks':
        this.#bitcoinHeight += action.n;
        if ((this.#node?.claimDeadlineHeight ?? Infinity) <= this.#bitcoinHeight) this.#cancelAtNode('DEADLINE');
        break;
      case 'pay':
        this.#pay(msat(PRICE - BigInt(action.missingMsat)));
        break;
      case 'claim':
        // The buyer learns the preimage from its own payment and from nowhere else.
        if (this.isPaid && this.#funding !== undefined) this.#spend ??= { kind: 'claim', at: MEMPOOL };
        break;
      case 'mempool_lost':
        if (this.#spend?.at === MEMPOOL) this.#spend = undefined;
        if (this.#funding === MEMPOOL) this.#funding = undefined;
        break;
      case 'reorg':
        if (this.#spend?.at === this.#height) this.#spend = { ...this.#spend, at: MEMPOOL };
        if (this.#funding === this.#height) this.#funding = MEMPOOL;
        break;
      case 'node_expires':
        if (this.#node?.state === 'OPEN' && this.#secs >= this.#node.expiresAt) this.#cancelAtNode('EXPIRED');
        break;
      case 'node_forgets':
        if (this.#node?.state === 'OPEN') this.#node = undefined;
        break;
      default:
        throw new Error(`unknown action ${JSON.stringify(action satisfies never)}`);
    }
    this.#check();
  }

  /** Everybody answers and time goes on. @returns false if the swap still needs work after `rounds` minutes. */
  calmDown(rounds: number, options: { readonly willClaim: boolean }): boolean {
    for (let round = 0; round < rounds; round += 1) {
      this.act({ kind: 'pass', pass: CALM });
      const isUnclaimed = this.swap.payment === 'SETTLED' && this.swap.isPreimageReleased && !options.willClaim;
      if (isDone(this.swap) || (isUnclaimed && this.swap.state === 'FUNDED')) return true;
      if (options.willClaim) this.act({ kind: 'claim' });
      this.act({ kind: 'secs', n: 60 });
      this.act({ kind: 'blocks', n: 1 });
    }
    return false;
  }

  #mine(): void {
    this.#height += 1;
    if (this.#funding === MEMPOOL) this.#funding = this.#height;
    if (this.#spend?.at === MEMPOOL && this.#funding !== undefined) this.#spend = { ...this.#spend, at: this.#height };
  }

  #pay(heldMsat: ReturnType<typeof msat>): void {
    if (!this.#wasShown || this.#node?.state !== 'OPEN') return;
    const claimDeadlineHeight = this.#bitcoinHeight + DEADLINE_BLOCKS;
    this.#node = { ...this.#node, ...report('HELD', { heldMsat, claimDeadlineHeight }) };
  }

  #cancelAtNode(cancelReason: string): void {
    if (this.#node !== undefined) this.#node = { ...this.#node, ...report('CANCELED', { cancelReason }) };
  }

  #facts(pass: Pass): Facts {
    const confs = (at: number): number => (at === MEMPOOL ? 0 : this.#height - at + 1);
    const spend = this.#spend && {
      kind: this.#spend.kind,
      txid: this.#spend.kind === 'claim' ? CLAIM_TXID : REFUND_TXID,
      confs: confs(this.#spend.at),
    };
    const htlc = {
      isSeen: this.#funding !== undefined,
      confs: confs(this.#funding ?? MEMPOOL),
      spends: [spend, spend],
    };
    const asksNode = this.swap.payment !== 'NONE';
    return {
      now: unixSecs(this.#secs),
      tip: pass.hasTip ? blockHeight(this.#height) : undefined,
      invoice: pass.hasInvoice && asksNode ? (this.#node ?? 'unknown_hash') : undefined,
      node: pass.hasNode ? { blockHeight: this.#bitcoinHeight, isSynced: true } : undefined,
      htlc: pass.hasTip && pass.hasHtlc && isFunded(this.swap) ? htlc : undefined,
      hasRefund: this.isRefundSigned,
      isPaused: pass.isPaused,
      isDegraded: pass.isDegraded,
    };
  }

  #pass(pass: Pass): void {
    const tried = new Set<Duty['kind']>();
    const fates = [...pass.fates];
    for (let step = 0; step < pass.crashAfter && !isDone(this.swap); step += 1) {
      const duty = nextDuty(this.swap, this.#facts(pass), tried);
      if (duty.kind === 'wait') return;
      if (duty.kind === 'record') this.swap = apply(this.swap, duty.event);
      else {
        tried.add(duty.kind);
        this.#call(duty.kind, fates.shift() ?? 'works');
      }
      this.#wasShown ||= this.swap.state === 'FUNDED' && this.swap.payment === 'OPEN';
    }
  }

  #call(kind: Exclude<Duty['kind'], 'wait' | 'record'>, fate: Fate): void {
    const { swap } = this;
    if (fate === 'lost') return;
    switch (kind) {
      case 'create_invoice': {
        const expiresAt = this.#secs + PROFILES.regtest.invoiceExpirySecs;
        this.#node ??= { ...report('OPEN'), expiresAt };
        if (fate === 'answer lost' || this.#node.state !== 'OPEN') return;
        const event = { kind: 'invoice_created', bolt11: 'lnbcrt', expiresAt: unixSecs(this.#node.expiresAt) } as const;
        this.swap = apply(swap, event);
        return;
      }
      case 'fund': {
        const refundHeight = blockHeight(this.#height + PROFILES.regtest.refundDeltaBlocks);
        this.swap = apply(swap, { kind: 'funding_signed', funding: { ...FUNDING, refundHeight } });
        return;
      }
      case 'broadcast_funding':
        this.#funding ??= MEMPOOL;
        return;
      case 'settle':
        if (swap.payment !== 'SETTLING') this.broken ??= `settled while ${swap.payment}`;
        this.#settle();
        return;
      case 'cancel':
        if (swap.payment !== 'CANCELING' && swap.payment !== 'CANCELED')
          this.broken ??= `canceled while ${swap.payment}`;
        if (this.#node?.state === 'OPEN' || this.#node?.state === 'HELD') this.#cancelAtNode('');
        return;
      case 'sign_refund':
        if (isFunded(swap) && this.#height < swap.refundHeight) this.broken ??= 'refund signed before T';
        if (swap.payment !== 'CANCELED') this.broken ??= `refund signed while ${swap.payment}`;
        this.isRefundSigned = true;
        return;
      case 'broadcast_refund':
        if (this.#funding !== undefined) this.#spend ??= { kind: 'refund', at: MEMPOOL };
        return;
      default:
        throw new Error(`unknown call ${kind satisfies never}`);
    }
  }

  /** What the gate promises, seen from outside, at the moment the money moves. */
  #settle(): void {
    const node = this.#node;
    if (node?.state !== 'HELD') return;
    if (node.heldMsat < PRICE) this.broken ??= 'settled for less than the price';
    if (this.#spend?.kind === 'refund') this.broken ??= 'settled after the refund was broadcast';
    this.#node = { ...node, ...report('SETTLED', { heldMsat: node.heldMsat }), isHtlcPending: false };
  }

  #check(): void {
    const { swap } = this;
    if (this.isRefundSigned && this.isPaid) this.broken ??= 'refund signed of a swap that was paid';
    if (this.#spend?.kind === 'claim' && !this.isPaid) this.broken ??= 'claimed and not paid';
    const mayStillBePaid = this.#node?.state === 'OPEN' || this.#node?.state === 'HELD';
    if (this.isRefundSigned && mayStillBePaid) this.broken ??= 'refund signed while the invoice can still be paid';
    if (swap.state === 'FAILED' && (this.#funding !== undefined || this.isPaid))
      this.broken ??= 'failed with money moved';
    if (swap.state === 'FUNDED' && swap.version > 0 && swap.minFundingConfs !== MIN_CONFS)
      this.broken ??= 'terms changed';
  }
}
