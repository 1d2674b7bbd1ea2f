import { Transaction } from 'bitcoinjs-lib';
import { beforeEach, describe, expect, it } from 'vitest';

import { satPerKvb, txid } from '../../../src/core/units.js';
import { planSpend } from '../../../src/lnnode/coinPlan.js';
import { openDatabase } from '../../../src/lnnode/store/db.js';
import { walletRows } from '../../../src/lnnode/store/wallet.js';
import { makeWallet, type Wallet } from '../../../src/lnnode/wallet.js';
import { openBitcoinChain, type BitcoinChain } from '../../../src/sandbox/bitcoin/chain.js';

const RATE = satPerKvb(2000n);
const TARGET = Buffer.from(`0020${'00'.repeat(32)}`, 'hex');

let chain: BitcoinChain;
let wallet: Wallet;
let db: ReturnType<typeof openDatabase>;

const open = (): Wallet => makeWallet(walletRows(db), Buffer.alloc(32, 5), 'regtest');

beforeEach(() => {
  chain = openBitcoinChain();
  db = openDatabase(':memory:');
  wallet = open();
});

const mine = (): void => {
  chain.mine(1);
  wallet.connect(chain.tip.transactions, chain.tip.height);
};

const receive = (amountSat: bigint): void => {
  chain.faucet(wallet.nextKey().address, amountSat);
  mine();
};

const balance = () => wallet.balance(chain.tip.height);
const fund = (valueSat: bigint): Buffer =>
  wallet.spend({ script: TARGET, valueSat, feeRate: RATE }, chain.tip.height).raw;

describe('the wallet', () => {
  it('finds coins in blocks, also after a restart', () => {
    receive(100_000n);
    wallet = open();
    receive(50_000n);
    expect(balance()).toMatchObject({ confirmedSats: 150_000n, unconfirmedSats: 0n });
  });
  it('never hands out an address twice', () => {
    const first = wallet.nextKey().address;
    wallet = open();
    expect(wallet.nextKey().address).not.toBe(first);
  });
  it('pays with signatures and fees that the chain accepts, and gets the change', () => {
    receive(100_000n);
    receive(60_000n);
    const raw = fund(120_000n);
    wallet.sent(raw);
    chain.submit(raw);
    expect(balance().confirmedSats).toBe(0n);
    const change = balance().unconfirmedSats;
    expect(change).toBeGreaterThan(39_000n);
    mine();
    expect(balance()).toMatchObject({ confirmedSats: change, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
  });
  it('refuses to pay more than it has, one satoshi short of the fee', () => {
    receive(100_000n);
    const fee = (154n * RATE + 999n) / 1000n;
    expect(() => fund(100_000n - fee + 1n)).toThrow('expected');
    const check = (valueSat: bigint) => () => {
      wallet.assertCanSpend({ script: TARGET, valueSat, feeRate: RATE }, chain.tip.height);
    };
    expect(check(100_000n - fee + 1n)).toThrow('expected');
    expect(check(100_000n - fee)).not.toThrow();
    expect(Transaction.fromBuffer(fund(100_000n - fee)).outs).toHaveLength(1);
  });
  it('never spends a reserved coin twice, and frees it when the funding is given up', () => {
    receive(100_000n);
    const id = Transaction.fromBuffer(fund(50_000n)).getId();
    expect(() => fund(50_000n)).toThrow('found 0 sat');
    expect(wallet.reservedOnly()).toEqual([id]);
    wallet.giveUp(id);
    expect(balance()).toMatchObject({ confirmedSats: 100_000n, unconfirmedSats: 0n });
  });
  it('does not give up what was sent', () => {
    receive(100_000n);
    const raw = fund(50_000n);
    const id = wallet.sent(raw);
    wallet.giveUp(id);
    expect(balance().confirmedSats).toBe(0n);
    expect(wallet.unconfirmed()).toEqual([{ txid: id, raw }]);
  });
  it('takes a block back, coins and spends alike', () => {
    receive(100_000n);
    const raw = fund(50_000n);
    wallet.sent(raw);
    chain.submit(raw);
    mine();
    const after = balance();
    wallet.disconnect(chain.tip.height);
    expect(balance()).toMatchObject({ confirmedSats: 0n, unconfirmedSats: after.confirmedSats });
    expect(wallet.unconfirmed()).toHaveLength(1);
    wallet.connect(chain.tip.transactions, chain.tip.height);
    expect(balance()).toEqual(after);
  });
  it('frees what a transaction of ours spent when another one took one of its inputs', () => {
    receive(100_000n);
    receive(90_000n);
    const loser = fund(150_000n);
    const lost = txid(Transaction.fromBuffer(loser).getId());
    wallet.sent(loser);
    const rival = Transaction.fromBuffer(loser);
    rival.ins.length = 1; // spends the larger coin only
    rival.outs.length = 1;
    wallet.connect([rival], chain.tip.height + 1);
    expect(balance()).toMatchObject({ confirmedSats: 90_000n, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
    wallet.disconnect(chain.tip.height + 1);
    expect(wallet.unconfirmed()).toEqual([{ txid: lost, raw: loser }]);
  });
  it('does not spend a coinbase before it is mature', () => {
    const coinbase = Transaction.fromBuffer(Buffer.from(chain.tip.transactions[0]?.toBuffer() ?? []));
    coinbase.outs = [{ script: wallet.nextKey().script, value: 70_000n }];
    wallet.connect([coinbase], 200);
    expect(wallet.balance(299)).toMatchObject({ confirmedSats: 0n, unconfirmedSats: 70_000n });
    expect(wallet.balance(300)).toMatchObject({ confirmedSats: 70_000n, unconfirmedSats: 0n });
  });
  it('replaces a payment by a better paid one, from the same coins', () => {
    receive(100_000n);
    receive(90_000n);
    const first = wallet.spend({ script: TARGET, valueSat: 60_000n, feeRate: RATE }, chain.tip.height);
    wallet.sent(first.raw);
    chain.submit(first.raw);
    const second = wallet.replace(first.raw, satPerKvb(5000n), false, chain.tip.height);
    wallet.sent(second.raw);
    chain.submit(second.raw);
    expect(chain.mempoolTxids()).toEqual([second.txid]);
    expect(second.feeSat).toBeGreaterThan(first.feeSat);
    expect(balance()).toMatchObject({ confirmedSats: 90_000n, unconfirmedSats: 40_000n - second.feeSat });
    mine();
    expect(balance()).toMatchObject({ confirmedSats: 130_000n - second.feeSat, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
  });
  it('counts rightly when the replaced payment confirms after all', () => {
    receive(100_000n);
    const first = wallet.spend({ script: TARGET, valueSat: 60_000n, feeRate: RATE }, chain.tip.height);
    wallet.sent(first.raw);
    chain.submit(first.raw);
    wallet.sent(wallet.replace(first.raw, satPerKvb(5000n), false, chain.tip.height).raw);
    mine();
    expect(balance()).toMatchObject({ confirmedSats: 40_000n - first.feeSat, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
  });
  it('adds a coin to a replacement that its change cannot pay for', () => {
    receive(100_000n);
    receive(90_000n);
    const first = wallet.spend({ script: TARGET, valueSat: 99_000n, feeRate: RATE }, chain.tip.height);
    const second = wallet.replace(first.raw, satPerKvb(50_000n), false, chain.tip.height);
    expect(Transaction.fromBuffer(second.raw).ins).toHaveLength(2);
    expect(chain.submit(second.raw)).toBe(second.txid);
  });
  it('pays out everything, and less of it when that is replaced', () => {
    receive(100_000n);
    receive(90_000n);
    const first = wallet.spend({ script: TARGET, valueSat: undefined, feeRate: RATE }, chain.tip.height);
    wallet.sent(first.raw);
    chain.submit(first.raw);
    expect(balance()).toMatchObject({ confirmedSats: 0n, unconfirmedSats: 0n });
    const second = wallet.replace(first.raw, satPerKvb(4000n), true, chain.tip.height);
    expect(chain.submit(second.raw)).toBe(second.txid);
    expect(Transaction.fromBuffer(second.raw).outs.map(({ value }) => value)).toEqual([190_000n - second.feeSat]);
  });
  it('pays out everything without coins that cost more than they bring, and no more than a relayed transaction holds', () => {
    for (const amount of [100_000n, 600n, 700n]) receive(amount);
    const many = wallet.spend({ script: TARGET, valueSat: undefined, feeRate: satPerKvb(20_000n) }, chain.tip.height);
    expect(Transaction.fromBuffer(many.raw).ins).toHaveLength(1);
    const coins = Array.from({ length: 3000 }, () => ({ valueSat: 10_000n }));
    const plan = { coins, scriptLength: 34, feeRate: RATE, keptSat: 0n };
    expect(planSpend({ ...plan, valueSat: undefined }).coins).toHaveLength(1000);
    expect(() => planSpend({ ...plan, valueSat: 10_000_000n })).toThrow('wallet: expected');
  });
  it('keeps the reserve back, to the satoshi, and also when everything is paid out', () => {
    receive(100_000n);
    const fee = (154n * RATE + 999n) / 1000n;
    wallet.useReserve(() => 30_000n);
    expect(balance().anchorReserveSats).toBe(30_000n);
    expect(() => fund(70_000n - fee + 1n)).toThrow('kept back');
    const all = wallet.spend({ script: TARGET, valueSat: undefined, feeRate: RATE }, chain.tip.height);
    expect(Transaction.fromBuffer(all.raw).outs.map(({ value }) => value)).toEqual([70_000n - all.feeSat, 30_000n]);
  });
  it('forgets what was built on a transaction that lost', () => {
    receive(100_000n);
    const parent = Transaction.fromBuffer(fund(50_000n));
    wallet.sent(parent.toBuffer());
    const child = new Transaction();
    child.addInput(parent.getHash(), 1);
    child.addOutput(wallet.nextKey().script, 20_000n);
    wallet.sent(child.toBuffer());
    const rival = Transaction.fromBuffer(parent.toBuffer());
    rival.outs.length = 1;
    wallet.connect([rival], chain.tip.height + 1);
    expect(wallet.unconfirmed()).toEqual([]);
    expect(balance()).toMatchObject({ confirmedSats: 0n, unconfirmedSats: 0n });
  });
});
