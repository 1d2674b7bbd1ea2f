/**
 * A small world around one swap: a chain, a Lightning node and a buyer that may do anything. The seller in it is the real
 * `nextDuty` and `apply`; answers, calls and commits get lost at random, it may crash after any step, and an older copy of
 * its database may be put back.
 */
import { nextDuty } from '../../../src/core/duty.js';
import type { Duty, Facts, InvoiceReport, OwnTxReport, SpendReport } from '../../../src/core/facts.js';
import { apply, isDone, isFunded, type Swap } from '../../../src/core/swap.js';
import { BUMP_AFTER_BLOCKS, PROFILES } from '../../../src/core/timelock.js';
import { blockHeight, msat, unixSecs } from '../../../src/core/units.js';
import { FUNDING, FUNDING_TXID, intent, PRICE, report, START } from '../../support/swapFixtures.js';
import { ChainWorld, freshTxid, type CoinName, type WorldTx } from './chainWorld.js';
import { CALM, type Action, type Fate, type Pass } from './dutyActions.js';

const DEADLINE_BLOCKS = 30;

type Signed = WorldTx & { readonly signedHeight: number };
/** What the seller stored: all of it survives a crash, and all of it is older after a restore. */
type Database = { readonly swap: Swap; readonly abort: Signed | undefined; readonly refund: Signed | undefined };

export class DutyWorld {
  /** What broke a rule of the protocol, if anything did. */
  broken: string | undefined;
  /** A final funding was undone: then a paid swap may be OWED. */
  isIncident = false;
  readonly #chain = new ChainWorld();
  #db: Database;
  #backup: Database | undefined;
  #isFenced = false;
  #secs = START;
  #bitcoinHeight = 100;
  #node: (InvoiceReport & { readonly expiresAt: number }) | undefined;
  #wasShown = false;
  #fundings = 0;
  #refundSigned = false;

  constructor(options: { readonly minFundingConfs: number }) {
    this.#db = { swap: { ...intent, ...options }, abort: undefined, refund: undefined };
  }

  get swap(): Swap {
    return this.#db.swap;
  }

  get isPaid(): boolean {
    return this.#node?.state === 'SETTLED';
  }

  /** Who has the asset in the end: the spender of the HTLC's first outpoint. */
  get assetSpend(): WorldTx['kind'] | undefined {
    return this.#chain.spender('asset')?.kind;
  }

  /**
   * A node that forgot what an older copy, or SETTLING, needs to know of it; a funding that the copy knows nothing of; a
   * final claim that an incident undid.
   */
  get needsOperator(): boolean {
    const isForgotten = this.#node === undefined && (this.swap.isRestored || this.swap.payment === 'SETTLING');
    const isUndone = this.isIncident && this.swap.state === 'CLAIMED';
    return isForgotten || isUndone || (!isFunded(this.swap) && this.#fundings > 0);
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
      case 'empty_blocks':
        for (let i = 0; i < action.n; i += 1) this.#chain.mine({ isEmpty: action.kind === 'empty_blocks' });
        break;
      case 'bitcoin_blocks':
        this.#bitcoinHeight += action.n;
        if ((this.#node?.claimDeadlineHeight ?? Infinity) <= this.#bitcoinHeight) this.#cancelAtNode('DEADLINE');
        break;
      case 'pay':
        this.#pay(msat(PRICE - BigInt(action.missingMsat)));
        break;
      case 'claim':
        this.#claim(['asset', 'subsidy']);
        break;
      case 'claim_asset':
        this.#claim(['asset']);
        break;
      case 'mempool_lost':
        this.#chain.loseMempool();
        break;
      case 'reorg':
        this.#chain.reorg(action.n);
        break;
      case 'conflict':
        if (this.#fundings > 0) this.#chain.conflict({ isIncident: false });
        break;
      case 'incident':
        if (this.#fundings > 0) this.isIncident = this.#chain.conflict({ isIncident: true }) || this.isIncident;
        break;
      case 'node_expires':
        if (this.#node?.state === 'OPEN' && this.#secs >= this.#node.expiresAt) this.#cancelAtNode('EXPIRED');
        break;
      case 'node_forgets':
        if (!this.isPaid) this.#node = undefined;
        break;
      case 'backup':
        this.#backup = this.#db;
        break;
      case 'restore':
        if (this.#backup !== undefined && this.#backup !== this.#db) this.#isFenced = true;
        this.#db = this.#backup ?? this.#db;
        break;
      case 'accept':
        if (this.#isFenced && !isDone(this.swap)) this.#db = { ...this.#db, swap: { ...this.swap, isRestored: true } };
        this.#isFenced = false;
        break;
      default:
        throw new Error(`unknown action ${JSON.stringify(action satisfies never)}`);
    }
    this.#check();
  }

  /** Everybody answers and time goes on. @returns false if the swap still needs work after `rounds` minutes. */
  calmDown(rounds: number, options: { readonly willClaim: boolean }): boolean {
    this.act({ kind: 'accept' });
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

  /** The buyer learns the preimage from its own payment, or from the seller once that releases it. */
  #claim(spends: readonly CoinName[]): void {
    const isKnown = this.isPaid || this.swap.isPreimageReleased;
    if (isKnown) this.#chain.broadcast({ id: freshTxid(), kind: 'claim', spends, fee: 1 });
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
    const chain = this.#chain;
    const { swap, abort, refund } = this.#db;
    const funding = chain.spender('input');
    const isSeen = funding?.kind === 'funding';
    const spends = (['asset', 'subsidy'] as const).map((coin): SpendReport | undefined => {
      const tx = chain.spender(coin);
      if (tx?.kind !== 'claim' && tx?.kind !== 'refund') return undefined;
      return { kind: tx.kind, txid: tx.id, confs: chain.confs(tx) };
    });
    const own = (tx: Signed): OwnTxReport => ({
      txid: tx.id,
      isStuck: chain.height - tx.signedHeight >= BUMP_AFTER_BLOCKS,
    });
    return {
      now: unixSecs(this.#secs),
      tip: pass.hasTip ? blockHeight(chain.height) : undefined,
      invoice: pass.hasInvoice && swap.payment !== 'NONE' ? (this.#node ?? 'unknown_hash') : undefined,
      node: pass.hasNode ? { blockHeight: this.#bitcoinHeight, isSynced: true } : undefined,
      htlc:
        pass.hasTip && pass.hasHtlc && isFunded(swap)
          ? { isSeen, confs: isSeen ? chain.confs(funding) : 0, spends }
          : undefined,
      isFundingLost: chain.isFundingLost,
      abort: abort && { ...own(abort), isSeen: chain.isSeen(abort.id) },
      refund: refund && own(refund),
      isPaused: pass.isPaused,
      isDegraded: pass.isDegraded,
      isReadOnly: pass.isReadOnly,
      isFenced: this.#isFenced || pass.isFenced,
    };
  }

  #pass(pass: Pass): void {
    const tried = new Set<Duty['kind']>();
    const fates = [...pass.fates];
    for (let step = 0; step < pass.crashAfter && !isDone(this.swap); step += 1) {
      const duty = nextDuty(this.swap, this.#facts(pass), tried);
      if (duty.kind === 'wait') return;
      if (duty.kind !== 'record') {
        tried.add(duty.kind);
        this.#call(duty.kind, { fate: fates.shift() ?? 'works', pass });
      } else if (pass.isReadOnly) tried.add('record');
      else this.#move({ swap: apply(this.swap, duty.event) });
      this.#wasShown ||= this.swap.state === 'FUNDED' && this.swap.payment === 'OPEN';
    }
  }

  #move(change: Partial<Database>): void {
    this.#db = { ...this.#db, ...change };
  }

  #call(kind: Exclude<Duty['kind'], 'wait' | 'record'>, { fate, pass }: { fate: Fate; pass: Pass }): void {
    const isFenced = this.#isFenced || pass.isFenced;
    const isOlder = isFenced || this.swap.isRestored;
    if (fate === 'lost') return;
    switch (kind) {
      case 'create_invoice':
      case 'fund':
        if (isOlder || pass.isReadOnly) this.broken ??= `${kind} in an older copy, or while read-only`;
        if (kind === 'fund') this.#fund();
        else this.#createInvoice(fate);
        return;
      case 'broadcast_funding':
        if (isFenced) this.broken ??= 'funding broadcast while fenced';
        this.#chain.broadcast({ id: FUNDING_TXID, kind: 'funding', spends: ['input'], fee: 1 });
        return;
      case 'sign_abort':
        if (!pass.isReadOnly) this.#move({ abort: this.#sign('abort', ['input'], this.#db.abort) });
        return;
      case 'broadcast_abort':
        if (isFenced) this.broken ??= 'abort broadcast while fenced';
        if (this.#db.abort !== undefined) this.#chain.broadcast(this.#db.abort);
        return;
      case 'settle':
        this.#settle(fate);
        return;
      case 'cancel':
        this.#cancel(pass);
        return;
      case 'sign_refund':
        this.#signRefund({ pass, isOlder });
        return;
      case 'broadcast_refund':
        if (this.#db.refund !== undefined) this.#chain.broadcast(this.#db.refund);
        return;
      default:
        throw new Error(`unknown call ${kind satisfies never}`);
    }
  }

  #createInvoice(fate: Fate): void {
    const expiresAt = this.#secs + PROFILES.regtest.invoiceExpirySecs;
    this.#node ??= { ...report('OPEN'), expiresAt };
    if (fate === 'answer lost' || this.#node.state !== 'OPEN') return;
    const event = { kind: 'invoice_created', bolt11: 'lnbcrt', expiresAt: unixSecs(this.#node.expiresAt) } as const;
    this.#move({ swap: apply(this.swap, event) });
  }

  #fund(): void {
    const refundHeight = blockHeight(this.#chain.height + PROFILES.regtest.refundDeltaBlocks);
    this.#fundings += 1;
    this.#move({ swap: apply(this.swap, { kind: 'funding_signed', funding: { ...FUNDING, refundHeight } }) });
  }

  /** A newer version pays more than the older one; the first self-spend more than the funding. */
  #sign(kind: 'abort' | 'refund', spends: readonly CoinName[], before: Signed | undefined): Signed {
    return { id: freshTxid(), kind, spends, fee: (before?.fee ?? 1) + 1, signedHeight: this.#chain.height };
  }

  #signRefund({ pass, isOlder }: { readonly pass: Pass; readonly isOlder: boolean }): void {
    const { swap } = this;
    if (isFunded(swap) && this.#chain.height < swap.refundHeight) this.broken ??= 'refund signed before T';
    const isSubsidy = swap.state === 'CLAIMED';
    if (!isSubsidy && swap.payment !== 'CANCELED') this.broken ??= `refund signed while ${swap.payment}`;
    if (!isSubsidy && isOlder && this.#node?.state !== 'CANCELED') this.broken ??= 'older copy refunded on a guess';
    if (isSubsidy && pass.isReadOnly) this.broken ??= 'subsidy refunded while read-only';
    if (!isSubsidy) this.#refundSigned = true;
    // An asset that was claimed leaves no row of a refund that could still confirm.
    const before = isSubsidy && this.#db.refund?.spends.includes('asset') === true ? undefined : this.#db.refund;
    const refund = this.#sign('refund', isSubsidy ? ['subsidy'] : ['asset', 'subsidy'], before);
    if (pass.isReadOnly) this.#chain.broadcast(refund);
    else this.#move({ refund });
  }

  #cancel(pass: Pass): void {
    const { payment } = this.swap;
    const isStored = payment === 'CANCELING' || payment === 'CANCELED';
    const isUnpaid = payment === 'OPEN' && this.#node?.state !== 'HELD';
    if (!isStored && !(pass.isReadOnly && isUnpaid)) this.broken ??= `canceled while ${payment}`;
    if (this.#node?.state === 'OPEN' || this.#node?.state === 'HELD') this.#cancelAtNode('');
  }

  /** What the gate promises, seen from outside, at the moment the money moves. */
  #settle(fate: Fate): void {
    const node = this.#node;
    if (this.swap.payment !== 'SETTLING') this.broken ??= `settled while ${this.swap.payment}`;
    if (node?.state !== 'HELD') return;
    if (node.heldMsat < PRICE) this.broken ??= 'settled for less than the price';
    if (this.assetSpend === 'refund') this.broken ??= 'settled after the refund was broadcast';
    if (fate === 'too late') this.#cancelAtNode('the peer timed it out on chain');
    else this.#node = { ...node, ...report('SETTLED', { heldMsat: node.heldMsat }), isHtlcPending: false };
  }

  #check(): void {
    const { swap } = this;
    if (this.#fundings > 1) this.broken ??= 'funded twice';
    if (this.#refundSigned && this.isPaid) this.broken ??= 'refund signed of a swap that was paid';
    if (swap.isPreimageReleased && !this.isPaid) this.broken ??= 'preimage given away';
    if (this.assetSpend === 'claim' && !this.isPaid) this.broken ??= 'claimed and not paid';
    const mayStillBePaid = this.#node?.state === 'OPEN' || this.#node?.state === 'HELD';
    if (this.#refundSigned && mayStillBePaid) this.broken ??= 'refund signed while the invoice can still be paid';
    if (this.isPaid && !this.isIncident && this.#chain.isFundingLost)
      this.broken ??= 'paid, and its funding spent back';
    const isGone = this.#chain.spender('input')?.kind !== 'funding';
    if (swap.state === 'FAILED' && this.isPaid) this.broken ??= 'failed a swap that was paid';
    const isKnown = isFunded(swap) || 'fundingTxid' in swap;
    if (swap.state === 'FAILED' && isKnown && !isGone) this.broken ??= 'failed with its funding on the chain';
    if (swap.state === 'OWED' && !this.isIncident) this.broken ??= 'owed without an incident';
  }
}
