/**
 * The on-chain wallet: P2WPKH keys of the node's own seed, coins found in blocks, funding of channels.
 *
 * Every method that changes rows belongs in a turn. Coins of a transaction that is being made are reserved in that turn
 * and freed when LDK gives the funding up, or at the next start if it was never sent.
 */
import { BIP32Factory } from 'bip32';
import { crypto, networks, payments, script as scripts, Transaction } from 'bitcoinjs-lib';
import * as ecc from 'tiny-secp256k1';

import {
  displayHex,
  hex,
  outpoint,
  outpointKey,
  reversedBytes,
  txid,
  type SatPerKvb,
  type Txid,
} from '../core/units.js';
import type { Network } from './chain/headers.js';
import { NodeError } from './errors.js';
import type { CoinRow, WalletRows } from './store/wallet.js';

/** Blocks on top before a coinbase may be spent. */
const COINBASE_DEPTH = 100;
const DUST_SAT = 546n;
const RBF_SEQUENCE = 0xffff_fffd;
/** Virtual bytes, upper bounds: a transaction with one P2WSH and one P2WPKH output; one P2WPKH input. */
const BASE_VSIZE = 90n;
const INPUT_VSIZE = 69n;

export type Wallet = ReturnType<typeof makeWallet>;

const outpointOf = (input: { hash: Uint8Array; index: number }) => outpoint(displayHex(input.hash), input.index);

/** A wallet over its rows; `seed` is 32 secret bytes. */
export function makeWallet(rows: WalletRows, seed: Uint8Array, network: Network) {
  const parameters = networks[network];
  const account = BIP32Factory(ecc).fromSeed(seed, parameters).derivePath("m/84'/0'/0'/0");
  const keyIndexes = new Map(rows.keys().map(({ keyIndex, script }) => [script, keyIndex]));

  const nextKey = (): { address: string; script: Buffer } => {
    const keyIndex = keyIndexes.size;
    const { address, output } = payments.p2wpkh({ pubkey: account.derive(keyIndex).publicKey, network: parameters });
    if (address === undefined || output === undefined) throw new Error('a key has an address');
    rows.putKey(keyIndex, hex(output));
    keyIndexes.set(hex(output), keyIndex);
    return { address, script: Buffer.from(output) };
  };

  /** Records outputs to our own keys. */
  const receive = (id: Txid, tx: Transaction, height: number | undefined): void => {
    tx.outs.forEach(({ script, value }, vout) => {
      const keyIndex = keyIndexes.get(hex(script));
      if (keyIndex === undefined) return;
      rows.putCoin({ txid: id, vout, valueSat: value, keyIndex, isCoinbase: tx.isCoinbase(), height });
    });
  };

  const isSpendable = (coin: CoinRow, tipHeight: number): boolean =>
    coin.height !== undefined && (!coin.isCoinbase || tipHeight - coin.height >= COINBASE_DEPTH);

  const sign = (tx: Transaction, coins: readonly CoinRow[]): void => {
    coins.forEach((coin, index) => {
      const key = account.derive(coin.keyIndex);
      const { output: code } = payments.p2pkh({ hash: crypto.hash160(key.publicKey) });
      if (code === undefined) throw new Error('a key hash has a script');
      const digest = tx.hashForWitnessV0(index, code, coin.valueSat, Transaction.SIGHASH_ALL);
      const signature = scripts.signature.encode(key.sign(digest), Transaction.SIGHASH_ALL);
      tx.setWitness(index, [signature, key.publicKey]);
    });
  };

  const forget = (id: string): void => {
    rows.forget(id);
    rows.unsweep(id);
  };

  return {
    /** A fresh address and its script. */
    nextKey,
    balance: (tipHeight: number): { confirmedSats: bigint; unconfirmedSats: bigint } => {
      let confirmedSats = 0n;
      let unconfirmedSats = 0n;
      for (const coin of rows.unspent()) {
        if (isSpendable(coin, tipHeight)) confirmedSats += coin.valueSat;
        else unconfirmedSats += coin.valueSat;
      }
      return { confirmedSats, unconfirmedSats };
    },
    /**
     * A signed transaction that pays `valueSat` to `script`; its coins are reserved.
     * @throws NodeError `insufficient_funds`
     */
    fund: (output: { script: Uint8Array; valueSat: bigint }, feeRate: SatPerKvb, tipHeight: number): Buffer => {
      const coins = selectCoins(
        rows.unspent().filter((coin) => isSpendable(coin, tipHeight)),
        output.valueSat,
        feeRate,
      );
      const tx = new Transaction();
      tx.version = 2;
      tx.locktime = tipHeight;
      for (const coin of coins) tx.addInput(reversedBytes(coin.txid), coin.vout, RBF_SEQUENCE);
      tx.addOutput(output.script, output.valueSat);
      const total = coins.reduce((sum, coin) => sum + coin.valueSat, 0n);
      const change = total - output.valueSat - feeFor(coins.length, feeRate);
      if (change >= DUST_SAT) tx.addOutput(nextKey().script, change);
      sign(tx, coins);
      const id = txid(tx.getId());
      for (const coin of coins) rows.spend(coin, id, undefined);
      receive(id, tx, undefined);
      return Buffer.from(tx.toBuffer());
    },
    /** True if `fund` would find the coins now. */
    canFund: (valueSat: bigint, feeRate: SatPerKvb, tipHeight: number): boolean => {
      const coins = rows.unspent().filter((coin) => isSpendable(coin, tipHeight));
      const total = coins.reduce((sum, coin) => sum + coin.valueSat, 0n);
      return total >= valueSat + feeFor(coins.length, feeRate);
    },
    /** A transaction of ours leaves the process: it will be repeated until it confirms. */
    sent: (raw: Uint8Array): Txid => {
      const tx = Transaction.fromBuffer(raw);
      const id = txid(tx.getId());
      if (rows.hasTransaction(id)) return id;
      rows.putTransaction(id, raw);
      for (const input of tx.ins) rows.spend(outpointOf(input), id, undefined);
      receive(id, tx, undefined);
      return id;
    },
    /** Gives a transaction up unless it was sent. */
    giveUp: (id: string): void => {
      if (!rows.hasTransaction(id)) forget(id);
    },
    reservedOnly: rows.reservedOnly,
    unconfirmed: rows.unconfirmed,
    connect: (transactions: readonly Transaction[], height: number): void => {
      const rivals = new Map<string, string>();
      for (const { txid: own, raw } of rows.unconfirmed()) {
        for (const input of Transaction.fromBuffer(raw).ins) rivals.set(outpointKey(outpointOf(input)), own);
      }
      for (const tx of transactions) {
        const id = txid(tx.getId());
        rows.confirm(id, height);
        receive(id, tx, height);
        if (tx.isCoinbase()) continue;
        for (const input of tx.ins) {
          const point = outpointOf(input);
          const rival = rivals.get(outpointKey(point));
          if (rival !== undefined && rival !== id) {
            rows.conflict(rival, height);
            forget(rival);
          }
          rows.spend(point, id, height);
          rows.spendableSpent(point, height);
        }
      }
      rows.prune(height);
    },
    disconnect: rows.undoBlock,
  };
}

const feeFor = (inputs: number, feeRate: SatPerKvb): bigint =>
  ((BASE_VSIZE + INPUT_VSIZE * BigInt(inputs)) * feeRate + 999n) / 1000n;

function selectCoins(coins: readonly CoinRow[], valueSat: bigint, feeRate: SatPerKvb): CoinRow[] {
  const chosen: CoinRow[] = [];
  let found = 0n;
  for (const coin of coins) {
    chosen.push(coin);
    found += coin.valueSat;
    if (found >= valueSat + feeFor(chosen.length, feeRate)) return chosen;
  }
  throw new NodeError('insufficient_funds', `wallet: expected ${valueSat} sat and a fee, found ${found} sat confirmed`);
}
