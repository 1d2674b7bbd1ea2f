/**
 * How the HTLCs of closed channels end. LDK tells what it claims, but not that a payment which it took went back to the
 * payer after all: it only stops naming it. So the blocks are read here, too.
 */
import { createHash } from 'node:crypto';

import { crypto, type Transaction } from 'bitcoinjs-lib';
import type * as ldk from 'lightningdevkit';

import { displayHex, hex, outpoint, outpointKey, type Outpoint, type PaymentHash } from '../../core/units.js';
import type { HtlcEndRows } from '../store/htlcEnds.js';

// BOLT 3, with the line that anchors add. The first hash is that of the revocation key, the second that of the payment.
const OFFERED =
  /^76a914([0-9a-f]{40})8763ac6721[0-9a-f]{66}7c820120876475527c21[0-9a-f]{66}52ae67a914([0-9a-f]{40})88ac68(?:51b275)?68$/;
const RECEIVED =
  /^76a914([0-9a-f]{40})8763ac6721[0-9a-f]{66}7c8201208763a914([0-9a-f]{40})88527c21[0-9a-f]{66}52ae6775(?:[0-9a-f]{2}){1,6}b175ac68(?:51b275)?68$/;

/** The end of one HTLC output, as its spender's witness shows it. */
export type HtlcEnd = {
  readonly kind: 'preimage' | 'revocation' | 'timeout';
  /** RIPEMD160 of the payment hash, 40 hex digits. */
  readonly paymentHash160: string;
};

const hash160 = (bytes: Uint8Array): string => hex(crypto.hash160(bytes));

/**
 * Reads a witness; undefined if it spends no HTLC. What is neither a preimage nor a revocation is a timeout: its
 * argument should be empty, but the script accepts others.
 */
export function htlcEnd(witness: readonly Uint8Array[]): HtlcEnd | undefined {
  const [argument, script] = witness.slice(-2);
  if (argument === undefined || script === undefined) return undefined;
  const text = hex(script);
  const [, revocationHash160, paymentHash160] = OFFERED.exec(text) ?? RECEIVED.exec(text) ?? [];
  if (paymentHash160 === undefined) return undefined;
  const shown = hash160(argument);
  const kind = shown === paymentHash160 ? 'preimage' : shown === revocationHash160 ? 'revocation' : 'timeout';
  return { kind, paymentHash160 };
}

export type HtlcWatchParts = {
  readonly chainMonitor: ldk.ChainMonitor;
  readonly rows: HtlcEndRows;
};

export type HtlcWatch = ReturnType<typeof makeHtlcWatch>;

/** Watches the blocks for payments that went back. Its methods that write belong in a turn. */
export function makeHtlcWatch({ chainMonitor, rows }: HtlcWatchParts) {
  const fundings = (): ReadonlySet<string> =>
    new Set(
      chainMonitor.list_monitors().map((pair) => {
        const funding = pair.get_a();
        return outpointKey(outpoint(displayHex(funding.get_txid()), funding.get_index()));
      }),
    );

  const spent = (point: Outpoint, witness: readonly Uint8Array[], height: number): void => {
    const end = htlcEnd(witness);
    // Anybody can write such a script: it counts only on a transaction that closed a channel of ours.
    if (end?.kind === 'timeout' && rows.isClosing(point.txid)) rows.putTimedOut(point, end.paymentHash160, height);
  };

  return {
    /** A block's transactions, in its order; those that spend no channel may be missing. */
    connect: (transactions: readonly Transaction[], height: number): void => {
      const ours = fundings();
      if (ours.size === 0) return;
      for (const tx of transactions) {
        if (tx.isCoinbase()) continue;
        for (const input of tx.ins) {
          const point = outpoint(displayHex(input.hash), input.index);
          if (ours.has(outpointKey(point))) rows.putClosing(tx.getId(), height);
          else if (input.witness.length >= 3) spent(point, input.witness, height);
        }
      }
    },
    disconnect: rows.undo,
    /** True if a part of the payment went back to the payer in a block. */
    isTimedOut: (paymentHash: PaymentHash): boolean =>
      rows.isTimedOut(createHash('ripemd160').update(paymentHash, 'hex').digest('hex')),
  };
}
