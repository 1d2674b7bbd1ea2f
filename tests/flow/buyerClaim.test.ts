/** Claims on a real chain: fees that rise, refunds that come near, coins that help, blocks that fall out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { claimFromKit } from '../../src/buyer/claimFromKit.js';
import { claimKitFile, claimSource } from '../../src/buyer/claimStep.js';
import { signVersion } from '../../src/buyer/claimSign.js';
import { readRecord, saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import type { PurchaseRecord } from '../../src/buyer/record.js';
import { parseTransaction, txidOf } from '../../src/core/tx.js';
import { displayHex, hex, satPerKvb, type Txid } from '../../src/core/units.js';
import { ClaimStage, secretOf, type Claiming, type PaidOptions } from '../support/claimStage.js';
import { eventually } from '../support/eventually.js';
import { keyOf, preimageOf, refusal } from '../unit/core/zkp.js';

const FINAL = 0xffff_ffff;
const REPLACEABLE = 0xffff_fffd;
const BLINDING = keyOf('blinding');

let stage: ClaimStage;
const running: Claiming[] = [];

beforeEach(async () => {
  stage = await ClaimStage.open();
});
afterEach(async () => {
  for (const each of running) each.stop();
  await Promise.allSettled(running.splice(0).map(({ ended }) => ended));
  await stage[Symbol.asyncDispose]();
});

function claim(record: PurchaseRecord): Claiming {
  const claiming = stage.claim(record);
  running.push(claiming);
  return claiming;
}

/** Versions on the disk, oldest first. */
function versionsOf(record: PurchaseRecord): readonly Txid[] {
  const progress = readRecord(stage.buyer.dir, record.number)?.progress;
  return progress?.step === 'claiming' ? progress.claims.map(({ txid }) => txid) : [];
}

const feeOf = (id: Txid): bigint => stage.paidBy(id).find(({ to }) => to === 'fee')?.value ?? 0n;
const sequencesOf = (id: Txid): number[] => stage.tx(id).ins.map(({ sequence }) => sequence);
const told = (events: readonly PurchaseEvent[], text: string): boolean =>
  events.some((event) => event.kind === 'waiting' && event.problem.includes(text));
const reasons = (events: readonly PurchaseEvent[]): string[] =>
  events.flatMap((event) => (event.kind === 'claim' && event.news.kind === 'bumped' ? [event.news.reason] : []));

/** Mines the claim that waits and one block more; then the purchase is over. */
async function settle({ ended }: Claiming): Promise<string> {
  stage.sandbox.mine(2);
  const { progress } = await ended;
  if (progress.step !== 'claimed') throw new Error(`expected claimed, found ${progress.step}`);
  return progress.claimTxid;
}

/** Mines until all of them are over. */
async function whileMining(claims: readonly Claiming[]): Promise<void> {
  const over = new AbortController();
  const ended = Promise.all(claims.map(async (each) => await each.ended)).finally(() => {
    over.abort();
  });
  while (!over.signal.aborted) {
    stage.sandbox.mine(1);
    await sleep(200);
  }
  await ended;
}

/** Claims and returns the txid that waits in the mempool. */
async function claimed(options: PaidOptions = {}): Promise<{ claiming: Claiming; record: PurchaseRecord; id: Txid }> {
  const record = await stage.paid(options);
  const claiming = claim(record);
  return { claiming, record, id: await stage.inMempool('the claim') };
}

describe('a claim', () => {
  it('pays its fee out of the subsidy and is followed until it has two confirmations', async () => {
    const { claiming, id } = await claimed();
    expect(sequencesOf(id)).toEqual([REPLACEABLE, REPLACEABLE]);
    expect(stage.paidBy(id).map(({ to, asset }) => `${asset} to ${to}`)).toEqual([
      'gold to wallet',
      'lbtc to wallet',
      'lbtc to fee',
    ]);
    stage.sandbox.mine(1);
    await eventually('one confirmation', () =>
      claiming.events.some(
        (each) => each.kind === 'claim' && each.news.kind === 'seen' && each.news.confirmations === 1,
      ),
    );
    stage.sandbox.mine(1);
    expect((await claiming.ended).progress).toMatchObject({ step: 'claimed', claimTxid: id });
  });

  it('is signed again with a higher fee when the relay floor rises, and the version is on disk first', async () => {
    const { claiming, record, id } = await claimed();
    const fee = feeOf(id);
    let unstored = 0;
    stage.gate = (raw) => {
      if (!versionsOf(record).includes(txidOf(parseTransaction(raw)))) unstored += 1;
      return undefined;
    };
    stage.sandbox.setRelayFloor(satPerKvb(1_000n));
    const next = await stage.inMempool('the next version', (each) => each !== id);
    expect(feeOf(next)).toBeGreaterThan((fee * 3n) / 2n);
    expect(reasons(claiming.events)).not.toEqual([]);
    expect(versionsOf(record).at(-1)).toBe(next);
    expect(unstored).toBe(0);
    expect(await settle(claiming)).toBe(next);
  });

  it('that a server swallows is signed again after three blocks', async () => {
    stage.gate = () => ({ kind: 'accepted' });
    const record = await stage.paid();
    const claiming = claim(record);
    await eventually('the first version', () => versionsOf(record).length === 1);
    stage.sandbox.mine(2);
    await eventually('the blocks were seen', () => claiming.events.length > 0);
    expect(versionsOf(record)).toHaveLength(1);
    stage.sandbox.mine(1);
    await eventually('the second version', () => versionsOf(record).length === 2);
    expect(reasons(claiming.events)).toEqual(['slow']);
    stage.gate = () => undefined;
    stage.sandbox.mine(1);
    await stage.inMempool('a version');
    await settle(claiming);
  });

  it('that a server swallows for ever pays no more than the ceiling', async () => {
    stage.gate = () => ({ kind: 'accepted' });
    await stage.deposit(500_000n);
    const record = await stage.paid();
    const claiming = claim(record);
    await eventually('the first version', () => versionsOf(record).length === 1);
    await eventually('the end of it', () => {
      stage.sandbox.mine(3);
      return told(claiming.events, 'no coins of the wallet that suffice');
    });
    const progress = readRecord(stage.buyer.dir, record.number)?.progress;
    const last = progress?.step === 'claiming' ? progress.claims.at(-1)?.raw : undefined;
    const tx = parseTransaction(Buffer.from(last ?? '', 'hex'));
    const fee = tx.outs.find((output) => output.script.length === 0)?.value.readBigUInt64BE(1) ?? 0n;
    expect(versionsOf(record).length).toBeGreaterThan(5);
    expect(fee).toBeGreaterThan(1_000n);
    expect(fee).toBeLessThan(6_000n);
  });

  it('stored by an earlier program goes on', async () => {
    const { claiming, record, id } = await claimed();
    claiming.stop();
    await claiming.ended;
    const file = join(stage.buyer.dir, 'swaps', '0000', 'session.json');
    const text = readFileSync(file, 'utf8').replace(/,\s*"height": \d+/, '');
    expect(text).not.toContain('"height"');
    expect(text).not.toContain('changeScript');
    writeFileSync(file, text);
    expect(await settle(claim(record))).toBe(id);
  });

  it('that a server refuses for its fee is signed again, not sent again', async () => {
    const seen: string[] = [];
    stage.gate = (raw) => {
      const id = txidOf(parseTransaction(raw));
      if (!seen.includes(id)) seen.push(id);
      return seen.length > 2
        ? undefined
        : { kind: 'rejected', reason: 'insufficient_fee', text: 'min relay fee not met' };
    };
    const { claiming, record, id } = await claimed();
    expect(versionsOf(record)).toEqual([...seen]);
    expect(seen.indexOf(id)).toBe(2);
    expect(reasons(claiming.events)).toEqual(['fee_refused', 'fee_refused']);
    await settle(claiming);
  });

  it('continues after a restart with the version that is on disk', async () => {
    stage.gate = () => ({ kind: 'unknown', cause: 'silence' });
    const record = await stage.paid();
    const claiming = claim(record);
    const [id] = await eventually('the version', () => versionsOf(record).length > 0 && versionsOf(record));
    claiming.stop();
    await claiming.ended;
    stage.gate = () => undefined;
    const again = claim(record);
    expect(await stage.inMempool('the claim')).toBe(id);
    expect(await settle(again)).toBe(id);
  });

  it('that falls out of its block is sent again, with the funding that fell out, too', async () => {
    const record = await stage.paid({ lbtcSat: 50_000n });
    const claiming = claim(record);
    const id = await stage.inMempool('the claim');
    stage.sandbox.mine(1);
    await eventually('its confirmation', () =>
      claiming.events.some(
        (each) => each.kind === 'claim' && each.news.kind === 'seen' && each.news.confirmations === 1,
      ),
    );
    stage.sandbox.reorg(2, { dropTransactions: true });
    stage.sandbox.mine(2);
    await stage.inMempool('the claim again', (each) => each === id);
    expect(await settle(claiming)).toBe(id);
  });
});

describe('a claim with the refund near', () => {
  it('is final and pays ten times the rate', async () => {
    const near = await claimed({ blocksLeft: 60 });
    expect(sequencesOf(near.id)).toEqual([FINAL, FINAL]);
    const fee = feeOf(near.id);
    await settle(near.claiming);
    const far = await claimed({ blocksLeft: 62 });
    expect(sequencesOf(far.id)).toEqual([REPLACEABLE, REPLACEABLE]);
    expect(fee).toBeGreaterThanOrEqual(feeOf(far.id) * 9n);
  });

  it('takes the place of a replaceable one that still waits', async () => {
    const record = await stage.paid({ blocksLeft: 61 });
    const { progress } = record;
    if (progress.step !== 'paid') throw new Error('not paid');
    const source = claimSource(stage.buyer, record, progress.htlc);
    const need = {
      tipHeight: stage.sandbox.tip().height,
      feeRate: satPerKvb(100n),
      outpoints: source.outpoints,
      replaces: [],
      isContested: false,
    };
    const first = await signVersion(source, secretOf(record), need, undefined);
    const { txid, raw, height } = first;
    saveRecord(stage.buyer.dir, {
      ...record,
      progress: { ...progress, step: 'claiming', claims: [{ txid, raw: hex(raw), height }] },
    });
    stage.sandbox.mine(1);
    stage.sandbox.broadcast(hex(raw));
    expect(sequencesOf(txid)).toEqual([REPLACEABLE, REPLACEABLE]);
    const claiming = claim(record);
    const final = await stage.inMempool('the final version', (id) => id !== txid);
    expect(sequencesOf(final)).toEqual([FINAL, FINAL]);
    expect(reasons(claiming.events)).toEqual(['refund_near']);
    expect(await settle(claiming)).toBe(final);
  });

  it('outbids a refund that came first, with own L-BTC where the subsidy does not suffice', async () => {
    await stage.deposit(20_000n);
    const record = await stage.paid({ blocksLeft: 1 });
    if (record.progress.step !== 'paid') throw new Error('not paid');
    stage.sandbox.mine(2);
    const refund = await stage.refund(record, record.progress.htlc.outpoints, 900n);
    const refundId = stage.sandbox.broadcast(refund);
    const refundFee = feeOf(refundId);
    const claiming = claim(record);
    const id = await stage.inMempool('the claim', (each) => each !== refundId);
    expect(feeOf(id)).toBeGreaterThan(refundFee);
    expect(stage.sandbox.status().mempool).not.toContain(refundId);
    expect(await settle(claiming)).toBe(id);
  });

  it('says what would help when it cannot outbid a refund, and ends lost when that is final', async () => {
    const record = await stage.paid({ blocksLeft: 1 });
    if (record.progress.step !== 'paid') throw new Error('not paid');
    stage.sandbox.mine(2);
    stage.sandbox.broadcast(await stage.refund(record, record.progress.htlc.outpoints, 900n));
    const claiming = claim(record);
    await eventually('the hint', () => told(claiming.events, 'L-BTC sent to'));
    await whileMining([claiming]);
    expect((await claiming.ended).progress.step).toBe('lost');
  });
});

describe('own L-BTC', () => {
  it.each([false, true])('pays what the subsidy cannot (confidential coin: %s)', async (isConfidential) => {
    await stage.deposit(2_000n);
    await stage.deposit(60_000n, { isConfidential });
    stage.sandbox.setRelayFloor(satPerKvb(8_000n));
    const { claiming, id } = await claimed();
    const paid = stage.paidBy(id);
    expect(stage.tx(id).ins).toHaveLength(3);
    expect(paid.map(({ to }) => to)).toEqual(['wallet', 'wallet', 'fee']);
    expect(paid[1]?.asset).toBe(isConfidential ? 'hidden' : 'lbtc');
    expect(feeOf(id)).toBeGreaterThan(1_000n);
    const fee = feeOf(id);
    await settle(claiming);
    await eventually('the change', async () => (await stage.buyer.wallet.lbtcSat()) === 62_000n + 1_000n - fee);
  });

  it('is taken in several coins if one does not suffice', async () => {
    for (const amount of [900n, 901n, 902n]) await stage.deposit(amount);
    stage.sandbox.setRelayFloor(satPerKvb(6_000n));
    const { claiming, id } = await claimed();
    expect(stage.tx(id).ins.length).toBeGreaterThan(3);
    await settle(claiming);
  });

  it('stays in the wallet while the subsidy suffices', async () => {
    await stage.deposit(60_000n);
    const { claiming, id } = await claimed();
    expect(stage.tx(id).ins).toHaveLength(2);
    await settle(claiming);
  });

  it('is taken by no two purchases, also while the chain shows neither claim', async () => {
    await stage.deposit(30_000n);
    await stage.deposit(40_000n);
    stage.sandbox.setRelayFloor(satPerKvb(8_000n));
    stage.gate = () => ({ kind: 'unknown', cause: 'silence' });
    const records = [await stage.paid(), await stage.paid()];
    const claims = records.map(claim);
    await eventually('both are signed', () => records.every((record) => versionsOf(record).length > 0));
    const inputs = records.flatMap((record) => {
      const progress = readRecord(stage.buyer.dir, record.number)?.progress;
      const raw = progress?.step === 'claiming' ? progress.claims[0]?.raw : undefined;
      return parseTransaction(Buffer.from(raw ?? '', 'hex')).ins.map(
        ({ hash, index }) => `${displayHex(hash)}:${index}`,
      );
    });
    expect(inputs).toHaveLength(6);
    expect(new Set(inputs).size).toBe(6);
    stage.gate = () => undefined;
    await whileMining(claims);
    for (const { ended } of claims) expect((await ended).progress.step).toBe('claimed');
  });

  it('is not taken twice when there is one coin only: the other waits with what it has', async () => {
    await stage.deposit(30_000n);
    stage.sandbox.setRelayFloor(satPerKvb(8_000n));
    const records = [await stage.paid(), await stage.paid()];
    const claims = records.map(claim);
    await eventually('both are signed', () => records.every((record) => versionsOf(record).length > 0));
    const coins = records.map((record) => {
      const progress = readRecord(stage.buyer.dir, record.number)?.progress;
      return progress?.step === 'claiming'
        ? parseTransaction(Buffer.from(progress.claims[0]?.raw ?? '', 'hex')).ins.length
        : 0;
    });
    expect(coins.sort()).toEqual([2, 3]);
    stage.sandbox.setRelayFloor(satPerKvb(100n));
    await whileMining(claims);
  });

  it('claims the asset alone when the seller took the subsidy back after T', async () => {
    await stage.deposit(30_000n);
    const record = await stage.paid({ blocksLeft: 1 });
    if (record.progress.step !== 'paid') throw new Error('not paid');
    stage.sandbox.mine(2);
    const subsidy = record.progress.htlc.outpoints.slice(1);
    stage.sandbox.broadcast(await stage.refund(record, subsidy, 100n));
    stage.sandbox.mine(1);
    const { claiming, id } = { claiming: claim(record), id: await stage.inMempool('the claim') };
    expect(stage.tx(id).ins).toHaveLength(2);
    expect(stage.paidBy(id)[0]).toMatchObject({ to: 'wallet', asset: 'gold', value: 250n });
    await settle(claiming);
  });

  it('claims from an HTLC without any subsidy, as soon as there is a coin', async () => {
    const record = await stage.paid({ subsidySat: 0n });
    const claiming = claim(record);
    await eventually('the hint', () => told(claiming.events, 'L-BTC sent to'));
    await stage.deposit(5_000n);
    const id = await stage.inMempool('the claim');
    expect(stage.tx(id).ins).toHaveLength(2);
    await settle(claiming);
  });
});

describe('a payout', () => {
  it.each<[string, bigint, string[]]>([
    ['asset and change are blinded', 1_000n, ['hidden to wallet', 'hidden to wallet', 'lbtc to fee']],
    ['the asset alone is blinded', 600n, ['hidden to wallet', 'lbtc to fee']],
  ])('to a confidential address is valid when %s', async (_, subsidySat, outputs) => {
    const { claiming, id } = await claimed({ subsidySat, blindingPubkey: BLINDING.pubkey });
    expect(stage.paidBy(id).map(({ to, asset }) => `${asset} to ${to}`)).toEqual(outputs);
    await settle(claiming);
  });

  it('to a confidential address is bumped, too', async () => {
    const { claiming, id } = await claimed({ blindingPubkey: BLINDING.pubkey });
    stage.sandbox.setRelayFloor(satPerKvb(800n));
    const next = await stage.inMempool('the next version', (each) => each !== id);
    expect(await settle(claiming)).toBe(next);
  });

  it.each([undefined, BLINDING.pubkey])(
    'elsewhere leaves all L-BTC at home (blinding key %s)',
    async (blindingPubkey) => {
      const { claiming, id } = await claimed({ isForeign: true, ...(blindingPubkey && { blindingPubkey }) });
      const asset = blindingPubkey === undefined ? 'gold' : 'hidden';
      expect(stage.paidBy(id).map((each) => `${each.asset} to ${each.to}`)).toEqual([
        `${asset} to exchange`,
        'lbtc to wallet',
        'lbtc to fee',
      ]);
      const fee = feeOf(id);
      await settle(claiming);
      await eventually('the rest', async () => (await stage.buyer.wallet.lbtcSat()) === 1_000n - fee);
    },
  );

  it.each([false, true])(
    "elsewhere leaves an own coin's change at home (confidential coin: %s)",
    async (isConfidential) => {
      await stage.deposit(60_000n, { isConfidential });
      stage.sandbox.setRelayFloor(satPerKvb(8_000n));
      const { claiming, id } = await claimed({ isForeign: true });
      const hidden = isConfidential ? 'hidden' : 'lbtc';
      expect(stage.paidBy(id).map((each) => `${each.asset} to ${each.to}`)).toEqual([
        'gold to exchange',
        `${hidden} to wallet`,
        'lbtc to fee',
      ]);
      await settle(claiming);
    },
  );

  it('of L-BTC that was bought pays its own fee in one output, and is bumped', async () => {
    const { claiming, id } = await claimed({ lbtcSat: 51_000n, isForeign: true });
    expect(stage.paidBy(id).map(({ to }) => to)).toEqual(['exchange', 'fee']);
    stage.sandbox.setRelayFloor(satPerKvb(2_000n));
    const next = await stage.inMempool('the next version', (each) => each !== id);
    expect(stage.paidBy(next).reduce((sum, { value }) => sum + (value ?? 0n), 0n)).toBe(51_000n);
    await settle(claiming);
  });
});

describe('a claim kit', () => {
  const kitOf = (record: PurchaseRecord): string => claimKitFile(stage.buyer.dir, record.number);

  it('is claimed with a preimage given by hand, bumped, and the purchase follows what is there', async () => {
    const record = await stage.paid();
    const events: PurchaseEvent[] = [];
    const options = { signal: AbortSignal.timeout(50_000), onEvent: (event: PurchaseEvent) => void events.push(event) };
    const ended = claimFromKit(stage.side, kitOf(record), { ...options, preimage: secretOf(record) });
    const id = await stage.inMempool('the claim');
    const purchase = claim(record);
    await eventually('the purchase follows it', () => versionsOf(record).includes(id));
    purchase.stop();
    await purchase.ended;
    stage.sandbox.setRelayFloor(satPerKvb(1_000n));
    const next = await stage.inMempool('the next version', (each) => each !== id);
    expect(reasons(events)).not.toEqual([]);
    stage.sandbox.mine(2);
    expect(await ended).toEqual({ kind: 'claimed', txid: next });
    expect((await claim(record).ended).progress).toMatchObject({ step: 'claimed', claimTxid: next });
  });

  it('without a preimage, or with another, is refused with one sentence', async () => {
    const record = await stage.paid();
    const options = { signal: AbortSignal.timeout(50_000), onEvent: () => undefined };
    await expect(claimFromKit(stage.side, kitOf(record), options)).rejects.toMatchObject({ code: 'preimage_unknown' });
    const another = { ...options, preimage: preimageOf('another') };
    await expect(claimFromKit(stage.side, kitOf(record), another)).rejects.toThrow(
      refusal('preimage: expected that of'),
    );
  });
});
