import { Transaction } from 'liquidjs-lib';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';

import type { HtlcReport } from '../../../src/core/facts.js';
import type { FundedSwap } from '../../../src/core/swap.js';
import { rawOf, txidOf } from '../../../src/core/tx.js';
import { blockHeight, reversedBytes, sat, txid, unixSecs, type Txid } from '../../../src/core/units.js';
import { gatherFacts, reportHtlc } from '../../../src/engine/facts.js';
import { SwapError } from '../../../src/errors.js';
import type { HistoryEntry } from '../../../src/liquid/chain.js';
import { savePause } from '../../../src/store/meta.js';
import { insertTx } from '../../../src/store/txs.js';
import { FUNDING_TXID, fundedWith, intent, START, swapIn } from '../../support/swapFixtures.js';
import { insertNew, tempStore } from '../../support/tempStore.js';
import { preimageOf, refusal } from '../core/zkp.js';
import { chainOf, engineContext, nodeOf, TIP } from './testContext.js';

const SECRET = Buffer.from(preimageOf('swap'));
const swap = fundedWith('OPEN');
const HEIGHT = TIP.height;

type Spend = { readonly tx: Transaction; readonly id: Txid };

/** A transaction that spends these outputs with this witness. */
function spendOf(vouts: readonly number[], witness: readonly Buffer[], id = FUNDING_TXID, salt = 0): Spend {
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = salt;
  for (const vout of vouts) tx.addInput(reversedBytes(id), vout);
  vouts.forEach((_, i) => {
    tx.setWitness(i, [...witness]);
  });
  tx.addOutput(Buffer.of(0x51), Buffer.from('010000000000000001', 'hex'), Buffer.alloc(33, 1), Buffer.of(0));
  return { tx, id: txidOf(tx) };
}

const entry = (id: Txid, height: number): HistoryEntry => ({ txid: id, height });
const funded = entry(FUNDING_TXID, HEIGHT - 3);

/** What is reported; `refunds` are the transactions that we signed, `asked` collects what the server had to deliver. */
async function reportOf(
  history: readonly HistoryEntry[],
  spends: readonly Spend[] = [],
  { refunds = [], asked = [] }: { readonly refunds?: readonly Spend[]; readonly asked?: string[] } = {},
): Promise<HtlcReport> {
  using temp = tempStore();
  const { store } = temp;
  insertNew(store);
  refunds.forEach(({ id, tx }, i) => {
    const refund = { swapId: swap.id, kind: 'refund', version: i + 1, txid: id, raw: rawOf(tx) } as const;
    insertTx(store, { ...refund, feeSat: sat(1n), signedHeight: HEIGHT, walletInputs: [] }, unixSecs(START));
  });
  const chain = chainOf({
    history: () => Promise.resolve(history),
    transaction: (id) => {
      asked.push(id);
      return Promise.resolve(spends.filter((spend) => spend.id === id).map(({ tx }) => rawOf(tx))[0]);
    },
    proveInclusion: (id, height) => {
      asked.push(`proof of ${id} at ${height}`);
      return Promise.resolve(TIP.hash);
    },
  });
  return await reportHtlc(engineContext(temp, { chain }), swap, { tip: HEIGHT, isDecisive: false });
}

describe('the HTLC as the chain shows it', () => {
  it.each([
    ['in a block', [funded], { isSeen: true, confs: 4 }],
    ['in the newest block', [entry(FUNDING_TXID, HEIGHT)], { isSeen: true, confs: 1 }],
    ['in the mempool', [entry(FUNDING_TXID, 0)], { isSeen: true, confs: 0 }],
    ['in the mempool with unconfirmed parents', [entry(FUNDING_TXID, -1)], { isSeen: true, confs: 0 }],
    ['in a block above the tip, which is a lie', [entry(FUNDING_TXID, HEIGHT + 1)], { isSeen: true, confs: 0 }],
    ['nowhere', [], { isSeen: false, confs: 0 }],
  ] as const)('its funding is %s', async (_name, history, expected) => {
    expect(await reportOf(history)).toEqual({ ...expected, spends: [undefined, undefined] });
  });

  const sig = Buffer.alloc(72, 1);
  const script = swap.witnessScript;
  it.each([
    ['a claim', [sig, Buffer.alloc(33), SECRET, Buffer.of(1), script], 'claim'],
    ['a claim with the preimage anywhere', [SECRET, sig, script], 'claim'],
    ['a claim with another selector', [sig, Buffer.alloc(33), SECRET, Buffer.of(2), script], 'claim'],
    ['a refund', [sig, Buffer.alloc(33), Buffer.alloc(0), script], 'refund'],
    ['a refund with 32 other bytes', [sig, Buffer.alloc(32, 7), script], 'refund'],
  ])('%s is told by the preimage alone', async (_name, witness, kind) => {
    const spend = spendOf([0, 1], witness);
    const seen = { kind, txid: spend.id, confs: 1 };
    expect((await reportOf([funded, entry(spend.id, HEIGHT)], [spend], { refunds: [spend] })).spends).toEqual([
      seen,
      seen,
    ]);
  });
  it('a spend without the preimage that we did not sign cannot be, so the server is not believed', async () => {
    const spend = spendOf([0, 1], [sig, Buffer.alloc(33), Buffer.alloc(0), script]);
    await expect(reportOf([funded, entry(spend.id, HEIGHT)], [spend])).rejects.toThrow(
      refusal('is not our refund', 'chain_unavailable'),
    );
  });
  it('an outpoint that is neither unspent nor spent is a contradiction, and decides nothing', async () => {
    using temp = tempStore();
    const ctx = engineContext(temp, {
      chain: chainOf({ history: () => Promise.resolve([funded]), unspent: () => Promise.resolve([]) }),
    });
    await expect(reportHtlc(ctx, fundedWith('CANCELED'), { tip: HEIGHT, isDecisive: true })).rejects.toThrow(
      refusal('neither as unspent nor with its spend', 'chain_unavailable'),
    );
  });
  it('a contradiction that holds a refund back is told, and only then', async () => {
    using temp = tempStore();
    const told: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => told.push(line) });
    const chain = chainOf({
      tip: () => Promise.resolve(TIP),
      history: () => Promise.resolve([funded]),
      unspent: () => Promise.resolve([]),
    });
    const ctx = { ...engineContext(temp, { chain }), log };
    const canceled = fundedWith('CANCELED');
    await gatherFacts(ctx, canceled);
    expect(told).toEqual([]);
    await gatherFacts(ctx, { ...canceled, refundHeight: HEIGHT });
    expect(told).toEqual([expect.stringMatching(`"swapId":"${canceled.id}".*neither as unspent.*held back`)]);
  });
  it('each outpoint has its own spend', async () => {
    const asset = spendOf([0], [SECRET]);
    const subsidy = spendOf([1], [sig]);
    const refunds = [subsidy];
    const { spends } = await reportOf([funded, entry(subsidy.id, 0), entry(asset.id, HEIGHT)], [asset, subsidy], {
      refunds,
    });
    expect(spends).toEqual([
      { kind: 'claim', txid: asset.id, confs: 1 },
      { kind: 'refund', txid: subsidy.id, confs: 0 },
    ]);
    expect((await reportOf([funded, entry(subsidy.id, 0)], [subsidy], { refunds })).spends[0]).toBeUndefined();
  });
  it('of two spends the deeper one counts, in whatever order they come', async () => {
    const [first, second] = [spendOf([0], [SECRET], FUNDING_TXID, 1), spendOf([0], [sig], FUNDING_TXID, 2)];
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const history = order.map(({ id }) => entry(id, id === second.id ? HEIGHT : 0));
      const { spends } = await reportOf([funded, ...history], order, { refunds: [second] });
      expect(spends[0]).toEqual({ kind: 'refund', txid: second.id, confs: 1 });
    }
  });
  it('a spend that is final is proven to be in its block, a shallow one is not asked about', async () => {
    const spend = spendOf([0, 1], [SECRET]);
    const asked: string[] = [];
    await reportOf([funded, entry(spend.id, HEIGHT)], [spend], { asked });
    expect(asked.splice(0)).toEqual([spend.id]);
    await reportOf([funded, entry(spend.id, HEIGHT - 1)], [spend], { asked });
    expect(asked).toEqual([spend.id, `proof of ${spend.id} at ${HEIGHT - 1}`]);
  });
  it('a stranger who pays the script, or spends what he paid, changes nothing', async () => {
    const stranger = spendOf([0], [SECRET], txid('77'.repeat(32)));
    const other = spendOf([2], [SECRET]);
    const history = [funded, entry(stranger.id, HEIGHT), entry(other.id, HEIGHT)];
    expect((await reportOf(history, [stranger, other])).spends).toEqual([undefined, undefined]);
  });
  it('is unknown when the server keeps back a transaction that it lists', async () => {
    await expect(reportOf([funded, entry(txid('66'.repeat(32)), 0)])).rejects.toThrow(
      refusal('does not have it', 'chain_unavailable'),
    );
  });
});

describe('what one decision is made of', () => {
  it('is undefined where nobody answers', async () => {
    using temp = tempStore();
    expect(await gatherFacts(engineContext(temp), fundedWith('HELD'))).toMatchObject({
      tip: undefined,
      invoice: undefined,
      node: undefined,
      htlc: undefined,
      isFundingLost: false,
      abort: undefined,
      refund: undefined,
      isPaused: false,
      isDegraded: false,
      isReadOnly: false,
      isFenced: false,
    });
  });
  it('asks the node only for what the decision needs', async () => {
    using temp = tempStore();
    const asked: string[] = [];
    const lightning = nodeOf({
      lookupInvoice: () => {
        asked.push('invoice');
        return Promise.resolve(undefined);
      },
      getInfo: () => {
        asked.push('info');
        return Promise.reject(new Error('not needed'));
      },
    });
    const ctx = engineContext(temp, { lightning });
    await gatherFacts(ctx, intent);
    expect(asked).toEqual([]);
    expect((await gatherFacts(ctx, fundedWith('CANCELING'))).invoice).toBe('unknown_hash');
    expect(asked).toEqual(['invoice']);
    for (const payment of ['HELD', 'SETTLING'] as const) {
      await expect(gatherFacts(ctx, fundedWith(payment))).rejects.toThrow('not needed');
    }
  });
  it('has no HTLC without a tip to measure its depth against, nor without a funding', async () => {
    using temp = tempStore();
    const history = () => Promise.resolve([funded]);
    expect((await gatherFacts(engineContext(temp, { chain: chainOf({ history }) }), swap)).htlc).toBeUndefined();
    const chain = chainOf({ history, tip: () => Promise.resolve(TIP) });
    expect((await gatherFacts(engineContext(temp, { chain }), swap)).htlc?.confs).toBe(4);
    expect((await gatherFacts(engineContext(temp, { chain }), swapIn('INVOICED'))).htlc).toBeUndefined();
  });
  it.each<[FundedSwap, number, boolean]>([
    [swapIn('FUNDING_SIGNED') as FundedSwap, 2, true],
    [fundedWith('HELD'), 2, true],
    [fundedWith('HELD'), 1, false],
    [fundedWith('OPEN'), 2, false],
  ])('has a depth that is proven where it decides (%#)', async (at, confs, isProven) => {
    using temp = tempStore();
    const proven: number[] = [];
    const chain = chainOf({
      history: () => Promise.resolve([entry(FUNDING_TXID, HEIGHT - confs + 1)]),
      proveInclusion: (_id, height) => {
        proven.push(height);
        return Promise.resolve(TIP.hash);
      },
    });
    expect((await reportHtlc(engineContext(temp, { chain }), at, { tip: HEIGHT, isDecisive: false })).confs).toBe(
      confs,
    );
    expect(proven).toEqual(isProven ? [HEIGHT - confs + 1] : []);
  });
  it('has no depth where the proof fails', async () => {
    using temp = tempStore();
    const chain = chainOf({ history: () => Promise.resolve([funded]), tip: () => Promise.resolve(TIP) });
    expect((await gatherFacts(engineContext(temp, { chain }), fundedWith('HELD'))).htlc).toBeUndefined();
  });
  it('knows nothing of a script that strangers flooded, unless the swap is finally unpaid', async () => {
    using temp = tempStore();
    const history = () => Promise.reject(new SwapError('history_too_long', 'too many'));
    const ctx = engineContext(temp, { chain: chainOf({ history, tip: () => Promise.resolve(TIP) }) });
    for (const payment of ['OPEN', 'HELD', 'SETTLING', 'SETTLED', 'CANCELING'] as const) {
      expect((await gatherFacts(ctx, fundedWith(payment))).htlc).toBeUndefined();
    }
    const unspent = { isSeen: true, confs: 0, spends: [undefined, undefined] };
    expect((await gatherFacts(ctx, fundedWith('CANCELED'))).htlc).toEqual(unspent);
    expect((await gatherFacts(ctx, swapIn('CLAIM_SEEN', { payment: 'CANCELED' }))).htlc).toBeUndefined();
  });
  it('finds its refund although strangers flooded the script, by the script that it pays', async () => {
    using temp = tempStore();
    insertNew(temp.store);
    const refund = spendOf([0, 1], [Buffer.alloc(72, 1)]);
    const own = { swapId: swap.id, kind: 'refund', version: 1, txid: refund.id, raw: rawOf(refund.tx) } as const;
    insertTx(temp.store, { ...own, feeSat: sat(1n), signedHeight: HEIGHT, walletInputs: [] }, unixSecs(START));
    const payout = refund.tx.outs[0]?.script ?? Buffer.alloc(0);
    const chain = chainOf({
      tip: () => Promise.resolve(TIP),
      history: (script) =>
        payout.equals(script)
          ? Promise.resolve([entry(txid('55'.repeat(32)), 0), entry(refund.id, HEIGHT - 1)])
          : Promise.reject(new SwapError('history_too_long', 'too many')),
      transaction: () => Promise.resolve(rawOf(refund.tx)),
      proveInclusion: () => Promise.resolve(TIP.hash),
    });
    for (const at of [fundedWith('CANCELED'), swapIn('REFUND_SEEN', { payment: 'CANCELED' })]) {
      const { htlc } = await gatherFacts(engineContext(temp, { chain }), at);
      const seen = { kind: 'refund', txid: refund.id, confs: 2 };
      expect(htlc).toEqual({ isSeen: true, confs: 0, spends: [seen, seen] });
    }
  });
  it('does not hide a bug as "no answer"', async () => {
    using temp = tempStore();
    const lightning = nodeOf({ lookupInvoice: () => Promise.reject(new TypeError('bug')) });
    await expect(gatherFacts(engineContext(temp, { lightning }), swap)).rejects.toThrow('bug');
  });
  it('does not take a payment after all servers went while they were asked', async () => {
    using temp = tempStore();
    let looks = 0;
    const tips = () => (looks++ === 0 ? Promise.resolve([TIP]) : chainOf().tips());
    const chain = chainOf({ tips, history: () => Promise.resolve([funded]) });
    expect(await gatherFacts(engineContext(temp, { chain }), fundedWith('HELD'))).toMatchObject({ isDegraded: true });
    expect(looks).toBe(2);
  });
  it('knows the modes', async () => {
    using temp = tempStore();
    savePause(temp.store, 'x');
    const health = { ...engineContext(temp).health, degradedReason: 'x', tip: { ...TIP, height: blockHeight(5) } };
    expect(await gatherFacts(engineContext(temp, { health }), swap)).toMatchObject({
      isPaused: true,
      isDegraded: true,
    });
  });
});
