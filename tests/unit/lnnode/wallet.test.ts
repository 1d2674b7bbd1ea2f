import { Transaction } from 'bitcoinjs-lib';
import { beforeEach, describe, expect, it } from 'vitest';

import { satPerKvb, txid } from '../../../src/core/units.js';
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
const fund = (valueSat: bigint): Buffer => wallet.fund({ script: TARGET, valueSat }, RATE, chain.tip.height);

describe('the wallet', () => {
  it('finds coins in blocks, also after a restart', () => {
    receive(100_000n);
    wallet = open();
    receive(50_000n);
    expect(balance()).toEqual({ confirmedSats: 150_000n, unconfirmedSats: 0n });
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
    expect(balance()).toEqual({ confirmedSats: change, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
  });
  it('refuses to pay more than it has, one satoshi short of the fee', () => {
    receive(100_000n);
    const fee = (159n * RATE + 999n) / 1000n;
    expect(() => fund(100_000n - fee + 1n)).toThrow('expected');
    expect(wallet.canFund(100_000n - fee + 1n, RATE, chain.tip.height)).toBe(false);
    expect(wallet.canFund(100_000n - fee, RATE, chain.tip.height)).toBe(true);
    expect(Transaction.fromBuffer(fund(100_000n - fee)).outs).toHaveLength(1);
  });
  it('never spends a reserved coin twice, and frees it when the funding is given up', () => {
    receive(100_000n);
    const id = Transaction.fromBuffer(fund(50_000n)).getId();
    expect(() => fund(50_000n)).toThrow('found 0 sat');
    expect(wallet.reservedOnly()).toEqual([id]);
    wallet.giveUp(id);
    expect(balance()).toEqual({ confirmedSats: 100_000n, unconfirmedSats: 0n });
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
    expect(balance()).toEqual({ confirmedSats: 0n, unconfirmedSats: after.confirmedSats });
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
    expect(balance()).toEqual({ confirmedSats: 90_000n, unconfirmedSats: 0n });
    expect(wallet.unconfirmed()).toEqual([]);
    wallet.disconnect(chain.tip.height + 1);
    expect(wallet.unconfirmed()).toEqual([{ txid: lost, raw: loser }]);
  });
  it('does not spend a coinbase before it is mature', () => {
    const coinbase = Transaction.fromBuffer(Buffer.from(chain.tip.transactions[0]?.toBuffer() ?? []));
    coinbase.outs = [{ script: wallet.nextKey().script, value: 70_000n }];
    wallet.connect([coinbase], 200);
    expect(wallet.balance(299)).toEqual({ confirmedSats: 0n, unconfirmedSats: 70_000n });
    expect(wallet.balance(300)).toEqual({ confirmedSats: 70_000n, unconfirmedSats: 0n });
  });
});
