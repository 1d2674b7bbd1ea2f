/**
 * The on-chain wallet: P2WPKH keys of the node's own seed, coins found in blocks, payments and the funding of channels.
 *
 * Every method that changes rows belongs in a turn. Coins of a transaction that is being made are reserved in that turn
 * and freed when LDK gives the funding up, or at the next start if it was never sent. Only confirmed coins are spent.
 */
import { Transaction } from 'bitcoinjs-lib';

import { outpointKey, reversedBytes, type SatPerKvb, type Txid } from '../core/units.js';
import type { Network } from './chain/headers.js';
import { planSpend, type Plan } from './coinPlan.js';
import type { CoinRow, WalletRows } from './store/wallet.js';
import { makeWalletChain, outpointOf } from './walletChain.js';
import { makeWalletKeys } from './walletKeys.js';

/** Blocks on top before a coinbase may be spent. */
const COINBASE_DEPTH = 100;
const RBF_SEQUENCE = 0xffff_fffd;

export type WalletBalance = {
  readonly confirmedSats: bigint;
  readonly unconfirmedSats: bigint;
  /** Part of confirmedSats. */
  readonly anchorReserveSats: bigint;
};

export type Spend = {
  readonly script: Uint8Array;
  /** Undefined pays everything that is not kept back. */
  readonly valueSat: bigint | undefined;
  readonly feeRate: SatPerKvb;
};

/** A signed transaction; output 0 is the payment. */
export type Signed = {
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly feeSat: bigint;
};

export type Wallet = ReturnType<typeof makeWallet>;

/** A wallet over its rows; `seed` is 32 secret bytes. */
export function makeWallet(rows: WalletRows, seed: Uint8Array, network: Network) {
  const keys = makeWalletKeys(rows, seed, network);
  const chain = makeWalletChain(rows, keys);
  let reserveSat = (): bigint => 0n;

  const spendable = (tipHeight: number): CoinRow[] =>
    rows
      .unspent()
      .filter(
        ({ height, isCoinbase }) => height !== undefined && (!isCoinbase || tipHeight - height >= COINBASE_DEPTH),
      );

  const build = (plan: Plan<CoinRow>, script: Uint8Array, change: () => Uint8Array, tipHeight: number): Signed => {
    const tx = new Transaction();
    tx.version = 2;
    tx.locktime = tipHeight;
    for (const coin of plan.coins) tx.addInput(reversedBytes(coin.txid), coin.vout, RBF_SEQUENCE);
    tx.addOutput(script, plan.valueSat);
    if (plan.changeSat > 0n) tx.addOutput(change(), plan.changeSat);
    plan.coins.forEach((coin, index) => {
      keys.sign(tx, index, coin);
    });
    return { txid: chain.reserve(tx), raw: Buffer.from(tx.toBuffer()), feeSat: plan.feeSat };
  };

  const spend = ({ script, valueSat, feeRate }: Spend, tipHeight: number): Signed => {
    const coins = spendable(tipHeight);
    const plan = planSpend({ coins, scriptLength: script.length, valueSat, feeRate, keptSat: reserveSat() });
    return build(plan, script, () => keys.nextKey().script, tipHeight);
  };

  return {
    /** A fresh address and its script. */
    nextKey: keys.nextKey,
    /** Tells how much to keep back for the fees of channels with anchors. */
    useReserve: (reserve: () => bigint): void => {
      reserveSat = reserve;
    },
    balance: (tipHeight: number): WalletBalance => {
      const sum = (coins: readonly CoinRow[]): bigint => coins.reduce((found, { valueSat }) => found + valueSat, 0n);
      const confirmedSats = sum(spendable(tipHeight));
      const reserve = reserveSat();
      return {
        confirmedSats,
        unconfirmedSats: sum(rows.unspent()) - confirmedSats,
        anchorReserveSats: reserve < confirmedSats ? reserve : confirmedSats,
      };
    },
    /** Makes a payment; its coins are reserved. @throws NodeError `insufficient_funds` */
    spend,
    /** @throws NodeError `insufficient_funds` if `spend` would not find the coins now and `extraKeptSat` besides. */
    assertCanSpend: ({ script, valueSat, feeRate }: Spend, tipHeight: number, extraKeptSat = 0n): void => {
      const keptSat = reserveSat() + extraKeptSat;
      planSpend({ coins: spendable(tipHeight), scriptLength: script.length, valueSat, feeRate, keptSat });
    },
    /**
     * Makes a transaction that spends the coins of an unconfirmed payment at a higher fee rate; the payment pays what
     * it paid before if `isAll` is false, and less otherwise. @throws NodeError `insufficient_funds`
     */
    replace: (old: Uint8Array, feeRate: SatPerKvb, isAll: boolean, tipHeight: number): Signed => {
      const tx = Transaction.fromBuffer(old);
      const [payment, change] = tx.outs;
      if (payment === undefined) throw new Error('a payment has an output');
      const always = tx.ins.map((input) => {
        const point = outpointOf(input);
        const coin = rows.coin(point);
        if (coin === undefined) throw new Error(`coin ${outpointKey(point)} is not ours`);
        return coin;
      });
      const plan = planSpend({
        coins: isAll ? [] : spendable(tipHeight),
        always,
        scriptLength: payment.script.length,
        valueSat: isAll ? undefined : payment.value,
        feeRate,
        keptSat: isAll ? (change?.value ?? 0n) : reserveSat(),
      });
      const signed = build(plan, payment.script, () => change?.script ?? keys.nextKey().script, tipHeight);
      chain.replaced(tx.getId());
      return signed;
    },
    /** Coins for the fees of a claim: those that it has, then all others; the reserve is there for this. */
    claimCoins: (claimId: string, tipHeight: number): CoinRow[] => [
      ...rows.claimCoins(claimId),
      ...spendable(tipHeight),
    ],
    /** The same claim gets the same coins again, at a higher rate. */
    reserveForClaim: (claimId: string, coins: readonly CoinRow[]): void => {
      for (const coin of coins) rows.putClaimCoin(claimId, coin);
    },
    scriptOf: (coin: CoinRow): Buffer => keys.scriptOf(coin.keyIndex),
    /** Signs the inputs of a transaction that spend coins of the wallet. */
    signOwnInputs: (tx: Transaction): void => {
      tx.ins.forEach((input, index) => {
        const coin = rows.coin(outpointOf(input));
        if (coin !== undefined) keys.sign(tx, index, coin);
      });
    },
    sent: chain.sent,
    giveUp: chain.giveUp,
    replaced: chain.replaced,
    rawTransaction: rows.rawTransaction,
    reservedOnly: rows.reservedOnly,
    unconfirmed: rows.unconfirmed,
    connect: chain.connect,
    disconnect: chain.disconnect,
  };
}
