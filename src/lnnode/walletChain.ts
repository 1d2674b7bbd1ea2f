/** What transactions do to the wallet: those that leave, those in blocks, and those that lost to another. */
import { Transaction } from 'bitcoinjs-lib';

import { displayHex, outpoint, outpointKey, txid, type Outpoint, type Txid } from '../core/units.js';
import type { WalletRows } from './store/wallet.js';
import type { WalletKeys } from './walletKeys.js';

type Input = { readonly hash: Uint8Array; readonly index: number };

export const outpointOf = (input: Input): Outpoint => outpoint(displayHex(input.hash), input.index);

/** Every method belongs in a turn. */
export function makeWalletChain(rows: WalletRows, keys: WalletKeys) {
  /** Records outputs to our own keys. */
  const receive = (id: Txid, tx: Transaction, height: number | undefined): void => {
    tx.outs.forEach(({ script, value }, vout) => {
      const keyIndex = keys.indexOf(script);
      if (keyIndex === undefined) return;
      rows.putCoin({ txid: id, vout, valueSat: value, keyIndex, isCoinbase: tx.isCoinbase(), height });
    });
  };

  const forget = (id: string): void => {
    rows.forget(id);
    rows.unsweep(id);
  };

  /** Own transactions that wait for a block, by what they spend. */
  const waitingSpends = (): Map<string, string[]> => {
    const spends = new Map<string, string[]>();
    for (const { txid: own, raw } of rows.unconfirmed()) {
      for (const input of Transaction.fromBuffer(raw).ins) {
        const key = outpointKey(outpointOf(input));
        spends.set(key, [...(spends.get(key) ?? []), own]);
      }
    }
    return spends;
  };

  /** A transaction lost its input for good, and with it everything built on it. */
  const lose = (id: string, height: number, spends: ReadonlyMap<string, readonly string[]>): void => {
    const raw = rows.rawTransaction(id);
    rows.conflict(id, height);
    forget(id);
    if (raw === undefined) return;
    Transaction.fromBuffer(raw).outs.forEach((_, vout) => {
      for (const child of spends.get(`${id}:${vout}`) ?? []) lose(child, height, spends);
    });
  };

  return {
    /** Coins of a transaction that is being made are taken, its outputs to us are on their way. */
    reserve: (tx: Transaction): Txid => {
      const id = txid(tx.getId());
      for (const input of tx.ins) rows.spend(outpointOf(input), id, undefined);
      receive(id, tx, undefined);
      return id;
    },
    /** A transaction of ours leaves the process: it will be repeated until it confirms. */
    sent: (raw: Uint8Array): Txid => {
      const tx = Transaction.fromBuffer(raw);
      const id = txid(tx.getId());
      if (rows.hasTransaction(id)) return id;
      rows.putTransaction(id, raw);
      for (const input of tx.ins) {
        const point = outpointOf(input);
        const former = rows.waitingSpender(point);
        if (former !== undefined && former !== id) rows.dropCoins(former); // replaced: a block decides between them
        rows.spend(point, id, undefined);
      }
      receive(id, tx, undefined);
      return id;
    },
    /** Gives a transaction up unless it was sent. */
    giveUp: (id: string): void => {
      if (!rows.hasTransaction(id)) forget(id);
    },
    /** A replacement spends the coins now; until a block decides, the outputs of the old one do not exist. */
    replaced: (id: string): void => {
      rows.forget(id);
    },
    connect: (transactions: readonly Transaction[], height: number): void => {
      const spends = waitingSpends();
      for (const tx of transactions) {
        const id = txid(tx.getId());
        rows.confirm(id, height);
        receive(id, tx, height);
        if (tx.isCoinbase()) continue;
        for (const input of tx.ins) {
          const point = outpointOf(input);
          for (const rival of spends.get(outpointKey(point)) ?? []) if (rival !== id) lose(rival, height, spends);
          rows.spend(point, id, height);
          rows.spendableSpent(point, height);
        }
      }
      rows.prune(height);
    },
    disconnect: rows.undoBlock,
  };
}
