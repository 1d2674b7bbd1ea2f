/** Payments to addresses, at most once per key of the caller, and their replacement by better paid ones (BIP 125). */
import { address as addresses, initEccLib, networks, Transaction } from 'bitcoinjs-lib';
import * as ecc from 'tiny-secp256k1';

import { satPerKvb, txid, type SatPerKvb, type Txid } from '../core/units.js';
import type { FeeRates } from './chain/fees.js';
import type { Network } from './chain/headers.js';
import { vsizeFor } from './coinPlan.js';
import { NodeError } from './errors.js';
import type { Turns } from './ldk/turn.js';
import type { SendRow, SendRows, SendTxRow } from './store/sends.js';
import type { Signed, Wallet } from './wallet.js';

/** Blocks within which a payment should confirm when the caller names no fee rate. */
const SEND_TARGET = 6;
/** Bitcoin nodes ask for as much more than what is replaced, satoshi per 1000 virtual bytes. */
const INCREMENT = 1000n;
/** First opcodes of P2WPKH and P2WSH, P2TR, P2PKH, P2SH. */
const KNOWN_SCRIPTS = new Set([0x00, 0x51, 0x76, 0xa9]);

initEccLib(ecc); // for taproot addresses

export type SendServiceParts = {
  readonly rows: SendRows;
  readonly turns: Turns;
  readonly wallet: Wallet;
  readonly fees: FeeRates;
  readonly network: Network;
  readonly tipHeight: () => number;
  readonly broadcast: (raw: Uint8Array) => string;
};

export type Sent = {
  readonly txid: Txid;
  readonly feeSats: bigint;
  /** Undefined for one of long ago. */
  readonly raw: Uint8Array | undefined;
};

export type Sends = ReturnType<typeof makeSends>;

/** The payments of one node. */
export function makeSends({ rows, turns, wallet, fees, network, tipHeight, broadcast }: SendServiceParts) {
  const answer = ({ txid: id, feeSats }: SendTxRow): Sent => ({ txid: id, feeSats, raw: wallet.rawTransaction(id) });

  /** The version that a block has, or the newest. */
  const standing = (key: string): SendTxRow => {
    const versions = rows.versions(key);
    const found = versions.find(({ isConfirmed }) => isConfirmed) ?? versions.at(-1);
    if (found === undefined) throw new Error(`payment ${key} has no transaction`);
    return found;
  };

  const record = (key: string, { txid: id, raw, feeSat }: Signed, feeRate: SatPerKvb): Sent => {
    rows.putVersion({ txid: id, idempotencyKey: key, feeSats: feeSat, feeRateSatPerKvb: feeRate });
    broadcast(raw);
    return { txid: id, feeSats: feeSat, raw };
  };

  const assertReplaceable = (standingTx: SendTxRow, feeRate: SatPerKvb): Buffer => {
    const raw = wallet.rawTransaction(standingTx.txid);
    if (standingTx.isConfirmed || raw === undefined)
      throw new NodeError('transaction_confirmed', `transaction ${standingTx.txid} is in a block`);
    const least = paidRate(standingTx, raw) + INCREMENT;
    if (feeRate < least) {
      throw new NodeError('fee_rate_too_low', `fee rate: expected at least ${least} sat/kvB, found ${feeRate}`);
    }
    return raw;
  };

  return {
    /**
     * Pays an address; the same key again answers with the transaction that stands for it now.
     * @throws NodeError `invalid_argument`, `insufficient_funds`, `idempotency_key_reused`
     */
    send: (request: SendRow): Sent =>
      turns.run(() => {
        const { idempotencyKey: key, address, amountSats, isAll, feeRateSatPerKvb } = request;
        const known = rows.get(key);
        if (known !== undefined) {
          if (!isSame(known, request))
            throw new NodeError(
              'idempotency_key_reused',
              `key ${key}: expected the fields of its first use, found others`,
            );
          return answer(standing(key));
        }
        const script = scriptOf(address, network);
        const feeRate = feeRateSatPerKvb === 0n ? fees.rate(SEND_TARGET) : satPerKvb(feeRateSatPerKvb);
        const signed = wallet.spend({ script, valueSat: isAll ? undefined : amountSats, feeRate }, tipHeight());
        rows.put(request);
        return record(key, signed, feeRate);
      }),
    /**
     * Replaces an unconfirmed payment. A repeated call answers with the replacement that it made.
     * @throws NodeError `transaction_not_found`, `transaction_confirmed`, `fee_rate_too_low`, `insufficient_funds`
     */
    bump: (id: string, rate: bigint): Sent =>
      turns.run(() => {
        const key = rows.keyOf(id);
        const send = key === undefined ? undefined : rows.get(key);
        if (key === undefined || send === undefined)
          throw new NodeError('transaction_not_found', `transaction ${id}: expected one of SendToAddress`);
        const feeRate = satPerKvb(rate);
        const newest = standing(key);
        if (newest.txid !== txid(id) && newest.feeRateSatPerKvb === feeRate) return answer(newest);
        const signed = wallet.replace(assertReplaceable(newest, feeRate), feeRate, send.isAll, tipHeight());
        return record(key, signed, feeRate);
      }),
  };
}

/** What a transaction pays, by our upper bound of its size, satoshi per 1000 virtual bytes. */
function paidRate({ feeSats }: SendTxRow, raw: Uint8Array): bigint {
  const tx = Transaction.fromBuffer(raw);
  return (feeSats * 1000n) / vsizeFor(tx.ins.length, tx.outs[0]?.script.length ?? 0);
}

const isSame = (a: SendRow, b: SendRow): boolean =>
  a.address === b.address &&
  a.amountSats === b.amountSats &&
  a.isAll === b.isAll &&
  a.feeRateSatPerKvb === b.feeRateSatPerKvb;

/** @throws NodeError `invalid_argument` */
function scriptOf(address: string, network: Network): Uint8Array {
  const refuse = (cause?: unknown): never => {
    const description = `expected a Bitcoin address of ${network}, found ${JSON.stringify(address)}`;
    throw new NodeError('invalid_argument', `address: ${description}`, {
      cause,
      problems: [{ field: 'address', description }],
    });
  };
  let script: Uint8Array;
  try {
    script = addresses.toOutputScript(address, networks[network]);
  } catch (cause) {
    return refuse(cause);
  }
  return KNOWN_SCRIPTS.has(script[0] ?? 0xff) ? script : refuse();
}
