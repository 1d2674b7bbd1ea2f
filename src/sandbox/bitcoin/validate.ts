/**
 * What a relaying Bitcoin node checks before it takes a transaction into its mempool. Pure over a {@link CoinView}.
 *
 * Reasons and error numbers are those of Bitcoin Core (validation.cpp, tx_verify.cpp, rpc/protocol.h).
 */
import type { Transaction } from 'bitcoinjs-lib';

import { displayHex, hex, outpoint, outpointKey } from '../../core/units.js';
import { BitcoinRpcError, RPC_CODES } from './rpcError.js';
import { ScriptRefusal, verifyInput } from './script.js';

/** An output that can be spent. */
export type Coin = {
  /** Satoshi. */
  readonly value: bigint;
  readonly script: Uint8Array;
  /** Height of its block; of the next block while it is in the mempool. */
  readonly height: number;
  readonly isCoinbase: boolean;
};

/** The chain as a new transaction sees it. */
export type CoinView = {
  /** An output of the chain or mempool that no block has spent. */
  coin(key: string): Coin | undefined;
  /** Height of the block that the transaction would be in. */
  readonly nextHeight: number;
  /** Median time of the eleven blocks up to `height`, Unix seconds. */
  medianTimeAt(height: number): number;
};

/** Least relay fee of an ordinary node, satoshi per 1000 virtual bytes. */
const MIN_RELAY_SAT_PER_KVB = 1000n;
const MAX_MONEY = 2_100_000_000_000_000n;
const MAX_STANDARD_WEIGHT = 400_000;
const MIN_STANDARD_STRIPPED_BYTES = 65;
const COINBASE_MATURITY = 100;
const LOCKTIME_THRESHOLD = 500_000_000;
const SEQUENCE_FINAL = 0xffff_ffff;
const SEQUENCE_DISABLE = 0x8000_0000;
const SEQUENCE_TYPE_FLAG = 0x0040_0000;
const SEQUENCE_GRANULARITY_SECS = 512;

const reject = (reason: string, code: number = RPC_CODES.rejected): never => {
  throw new BitcoinRpcError(code, reason);
};

/** The outpoints that a transaction spends, as keys. */
export const spentKeys = (tx: Transaction): string[] =>
  tx.ins.map((input) => outpointKey(outpoint(displayHex(input.hash), input.index)));

/** Fee that a rate asks for a size, rounded up. */
export const relayFeeFor = (vsize: number): bigint => (BigInt(vsize) * MIN_RELAY_SAT_PER_KVB + 999n) / 1000n;

/**
 * Checks a transaction completely, except conflicts with the mempool and the relay fee.
 *
 * @returns its fee in satoshi.
 * @throws BitcoinRpcError -25 if an input is missing or spent, -26 with the reason otherwise.
 */
export function checkTransaction(tx: Transaction, view: CoinView): bigint {
  checkShape(tx);
  const coins = spentKeys(tx).map(
    (key) => view.coin(key) ?? reject('bad-txns-inputs-missingorspent', RPC_CODES.transaction),
  );
  checkFinality(tx, coins, view);
  for (const coin of coins) {
    if (coin.isCoinbase && view.nextHeight - coin.height < COINBASE_MATURITY) {
      reject(`bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth ${view.nextHeight - coin.height}`);
    }
  }
  const total = (values: readonly { readonly value: bigint }[]): bigint =>
    values.reduce((sum, { value }) => sum + value, 0n);
  const [valueIn, valueOut] = [total(coins), total(tx.outs)];
  if (valueIn < valueOut) reject(`bad-txns-in-belowout, value in (${valueIn}) < value out (${valueOut})`);
  coins.forEach((coin, index) => {
    checkScript(tx, index, coin);
  });
  return valueIn - valueOut;
}

function checkShape(tx: Transaction): void {
  if (tx.ins.length === 0) reject('bad-txns-vin-empty');
  if (tx.outs.length === 0) reject('bad-txns-vout-empty');
  if (tx.isCoinbase()) reject('coinbase');
  if (tx.byteLength(false) < MIN_STANDARD_STRIPPED_BYTES) reject('tx-size-small');
  if (tx.weight() > MAX_STANDARD_WEIGHT) reject('tx-size');
  let sum = 0n;
  for (const { value } of tx.outs) {
    sum += value;
    if (value < 0n || value > MAX_MONEY) reject('bad-txns-vout-toolarge');
    if (sum > MAX_MONEY) reject('bad-txns-txouttotal-toolarge');
  }
  if (new Set(spentKeys(tx)).size !== tx.ins.length) reject('bad-txns-inputs-duplicate');
}

/** nLockTime (IsFinalTx with BIP113) and relative locktimes (BIP68). */
function checkFinality(tx: Transaction, coins: readonly Coin[], view: CoinView): void {
  const limit = tx.locktime < LOCKTIME_THRESHOLD ? view.nextHeight : view.medianTimeAt(view.nextHeight - 1);
  const isLocked = tx.locktime !== 0 && tx.locktime >= limit;
  if (isLocked && tx.ins.some((input) => input.sequence !== SEQUENCE_FINAL)) reject('non-final');
  if (tx.version < 2) return;
  tx.ins.forEach(({ sequence }, index) => {
    const coin = coins[index];
    if (coin === undefined || sequence >= SEQUENCE_DISABLE) return;
    const wait = sequence & 0xffff;
    const isMature =
      (sequence & SEQUENCE_TYPE_FLAG) === 0
        ? coin.height + wait <= view.nextHeight
        : view.medianTimeAt(Math.max(coin.height - 1, 0)) + wait * SEQUENCE_GRANULARITY_SECS <=
          view.medianTimeAt(view.nextHeight - 1);
    if (!isMature) reject('non-BIP68-final');
  });
}

function checkScript(tx: Transaction, index: number, coin: Coin): void {
  try {
    verifyInput({ tx, index, scriptPubKey: coin.script, value: coin.value });
  } catch (cause) {
    if (!(cause instanceof ScriptRefusal)) throw cause;
    reject(`mandatory-script-verify-flag-failed (${cause.message}), input ${index} spending ${hex(coin.script)}`);
  }
}
