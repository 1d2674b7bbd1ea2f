import { describe, expect, it } from 'vitest';

import type { ClosedChannel, InvoiceAnswer, OpenChannel, Resolution } from '../../../src/lightning/lnd/answers.js';
import { claimsToCheck, fateOf, needsChannels, needsClosed, type Channels } from '../../../src/lightning/lnd/htlcs.js';
import { feeReserve, inboundCapacity } from '../../../src/lightning/lnd/node.js';

const HASH = 'ab'.repeat(32);
const CHANNEL = 77n;

type State = InvoiceAnswer['htlcs'][number]['state'];
const invoice = (state: InvoiceAnswer['state'], ...htlcs: State[]): InvoiceAnswer => ({
  memo: '',
  r_hash: HASH,
  r_preimage: '',
  value_msat: 1_000_500n,
  amt_paid_msat: 0n,
  creation_date: 0n,
  expiry: 600n,
  cltv_expiry: 42n,
  description_hash: '',
  payment_request: '',
  is_amp: false,
  state,
  htlcs: htlcs.map((each) => ({ chan_id: CHANNEL, amt_msat: 1_000_500n, expiry_height: 500, state: each })),
});
const SETTLED = invoice('SETTLED', 'SETTLED');

const open = (change: Partial<OpenChannel> = {}): OpenChannel => ({
  active: true,
  initiator: false,
  chan_id: CHANNEL,
  alias_scids: [],
  zero_conf_confirmed_scid: 0n,
  remote_balance: 0n,
  fee_per_kw: 0n,
  remote_constraints: { chan_reserve_sat: 0n },
  commitment_type: 'ANCHORS',
  pending_htlcs: [],
  ...change,
});
const ending = (outcome: string, change: Partial<Resolution> = {}): Resolution => ({
  resolution_type: 'INCOMING_HTLC',
  outcome,
  amount_sat: 1000n,
  outpoint: { txid_str: 'commitment' },
  sweep_txid: 'sweep',
  ...change,
});
const closed = (...resolutions: Resolution[]): ClosedChannel => ({
  chan_id: CHANNEL,
  alias_scids: [],
  zero_conf_confirmed_scid: 0n,
  closing_tx_hash: 'commitment',
  resolutions,
});
const channels = (change: Partial<Channels>): Channels => ({ open: [], closed: [], ...change });
const own = () => true;
const strange = () => false;
const unknown = () => undefined;

describe('the HTLCs of an invoice', () => {
  it('are none without a payment, and pending while one is held', () => {
    expect(fateOf(invoice('OPEN'), undefined, unknown)).toEqual({ isPending: false, isTimedOutOnChain: false });
    for (const held of [invoice('OPEN', 'ACCEPTED'), invoice('ACCEPTED', 'ACCEPTED', 'CANCELED')]) {
      expect(needsChannels(held)).toBe(false);
      expect(fateOf(held, undefined, unknown)).toEqual({ isPending: true, isTimedOutOnChain: false });
    }
  });
  it('are pending while nobody looked at the channels', () => {
    expect(needsChannels(SETTLED)).toBe(true);
    expect(fateOf(SETTLED, undefined, unknown)).toMatchObject({ isPending: true });
  });
  it.each(['SETTLED', 'CANCELED'] as const)('of a %s one are pending while they are in an open channel', (state) => {
    const lock = { incoming: true, hash_lock: HASH };
    const found = (each: object) =>
      fateOf(invoice(state, state), channels({ open: [open({ pending_htlcs: [{ ...lock, ...each }] })] }), unknown);
    expect(found({})).toEqual({ isPending: true, isTimedOutOnChain: false });
    expect(found({ incoming: false })).toEqual({ isPending: false, isTimedOutOnChain: false });
    expect(found({ hash_lock: 'cd'.repeat(32) })).toEqual({ isPending: false, isTimedOutOnChain: false });
  });
  it.each<[string, Partial<OpenChannel>]>([
    ['its alias', { chan_id: 5n, alias_scids: [CHANNEL] }],
    ['its confirmed id', { chan_id: 5n, zero_conf_confirmed_scid: CHANNEL }],
  ])('find their channel by %s', (_name, change) => {
    expect(needsClosed(SETTLED, [open(change)])).toBe(false);
    expect(fateOf(SETTLED, channels({ open: [open(change)] }), unknown)).toMatchObject({ isPending: false });
  });
  it('are pending while their channel is neither open nor closed', () => {
    expect(needsClosed(SETTLED, [])).toBe(true);
    expect(fateOf(SETTLED, channels({}), own)).toEqual({ isPending: true, isTimedOutOnChain: false });
  });
  it('are resolved when their channel closed without them', () => {
    const others = [ending('TIMEOUT', { amount_sat: 999n }), ending('TIMEOUT', { resolution_type: 'OUTGOING_HTLC' })];
    expect(fateOf(SETTLED, channels({ closed: [closed(...others)] }), unknown)).toEqual({
      isPending: false,
      isTimedOutOnChain: false,
    });
  });
  it.each(['TIMEOUT', 'ABANDONED', 'UNCLAIMED', 'SOMETHING_NEW'])(
    'that ended as %s went back to the payer',
    (outcome) => {
      expect(fateOf(SETTLED, channels({ closed: [closed(ending(outcome))] }), own)).toMatchObject({
        isTimedOutOnChain: true,
      });
    },
  );
  it('that were given back before another was taken may time out', () => {
    const [first, second] = invoice('SETTLED', 'CANCELED', 'SETTLED').htlcs;
    if (first === undefined || second === undefined) throw new Error('expected two HTLCs');
    const mixed = { ...SETTLED, htlcs: [first, { ...second, chan_id: 78n }] };
    const ends = channels({ open: [open({ chan_id: 78n })], closed: [closed(ending('TIMEOUT'))] });
    expect(fateOf(mixed, ends, unknown)).toEqual({ isPending: false, isTimedOutOnChain: false });
    // Until its channel is gone, it is an HTLC of this hash like any other.
    expect(fateOf(mixed, { ...ends, closed: [] }, unknown)).toMatchObject({ isPending: true });
  });
  it('are pending while a settled invoice shows none that was taken', () => {
    for (const without of [invoice('SETTLED'), invoice('SETTLED', 'CANCELED')]) {
      expect(fateOf(without, channels({ open: [open()] }), own)).toEqual({ isPending: true, isTimedOutOnChain: false });
    }
  });
  it('on our own commitment of a channel without anchors are told less a fee if they were not taken', () => {
    const less = ending('TIMEOUT', { amount_sat: 830n, outpoint: { txid_str: 'second stage' } });
    const lost = { isPending: false, isTimedOutOnChain: true };
    const kept = { isPending: false, isTimedOutOnChain: false };
    const fateWith = (...endings: Resolution[]) => fateOf(SETTLED, channels({ closed: [closed(...endings)] }), own);
    expect(fateWith(less)).toEqual(lost);
    expect(fateWith({ ...less, amount_sat: 1001n })).toEqual(kept);
    expect(fateWith({ ...less, outpoint: { txid_str: 'commitment' } })).toEqual(kept);
    expect(fateWith({ ...less, outcome: 'CLAIMED' })).toEqual(kept);
    expect(fateWith(less, ending('CLAIMED', { resolution_type: 'ANCHOR', amount_sat: 330n }))).toEqual(kept);
  });
  it('that lnd calls claimed were taken only by a transaction that it made', () => {
    const ends = channels({ closed: [closed(ending('CLAIMED'))] });
    expect(claimsToCheck(SETTLED, ends.closed)).toEqual(['sweep']);
    expect(fateOf(SETTLED, ends, own)).toEqual({ isPending: false, isTimedOutOnChain: false });
    expect(fateOf(SETTLED, ends, strange)).toEqual({ isPending: false, isTimedOutOnChain: true });
    expect(fateOf(SETTLED, ends, unknown)).toEqual({ isPending: true, isTimedOutOnChain: false });
  });
  it('that are taken in two stages were taken when the second is', () => {
    const first = ending('FIRST_STAGE', { sweep_txid: 'first' });
    const second = ending('CLAIMED', { outpoint: { txid_str: 'first' }, amount_sat: 990n });
    expect(fateOf(SETTLED, channels({ closed: [closed(first)] }), own)).toMatchObject({ isPending: true });
    expect(claimsToCheck(SETTLED, [closed(first, second)])).toEqual(['sweep']);
    expect(fateOf(SETTLED, channels({ closed: [closed(first, second)] }), own)).toMatchObject({ isPending: false });
    expect(fateOf(SETTLED, channels({ closed: [closed(first, second)] }), strange)).toMatchObject({
      isTimedOutOnChain: true,
    });
  });
  it('of a canceled invoice may time out', () => {
    const ends = channels({ closed: [closed(ending('TIMEOUT'))] });
    expect(claimsToCheck(invoice('CANCELED', 'CANCELED'), ends.closed)).toEqual([]);
    expect(fateOf(invoice('CANCELED', 'CANCELED'), ends, unknown)).toEqual({
      isPending: false,
      isTimedOutOnChain: false,
    });
  });
});

describe('what can be received', () => {
  it("is the other side's balance, less its reserve and the fee of one more HTLC that it pays", () => {
    const rich = { remote_balance: 10_000n, remote_constraints: { chan_reserve_sat: 1_000n } };
    expect(inboundCapacity([open(rich)])).toBe(9_000_000n);
    expect(inboundCapacity([open({ ...rich, fee_per_kw: 1_000n })])).toBe(8_656_000n);
    expect(inboundCapacity([open({ ...rich, fee_per_kw: 1_000n, initiator: true })])).toBe(9_000_000n);
    expect(inboundCapacity([open({ ...rich, active: false })])).toBe(0n);
    expect(inboundCapacity([open(rich), open({ remote_constraints: { chan_reserve_sat: 5_000n } })])).toBe(9_000_000n);
  });
});

describe('the coins for the fees of claims', () => {
  it.each([
    [[], 0n],
    [['LEGACY', 'STATIC_REMOTE_KEY'], 0n],
    [['ANCHORS'], 10_000n],
    [['STATIC_REMOTE_KEY', 'SCRIPT_ENFORCED_LEASE', 'SIMPLE_TAPROOT', 'UNKNOWN_COMMITMENT_TYPE'], 30_000n],
    [Array.from({ length: 10 }, () => 'ANCHORS'), 100_000n],
    [Array.from({ length: 30 }, () => 'ANCHORS'), 100_000n],
  ])('of channels %j are %i sat', (types, wanted) => {
    expect(feeReserve(types.map((type) => open({ commitment_type: type })))).toBe(wanted);
  });
});
