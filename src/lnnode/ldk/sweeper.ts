/** Brings the outputs of closed channels into the wallet, and again at a higher fee rate when that takes too long. */
import { Transaction } from 'bitcoinjs-lib';
import * as ldk from 'lightningdevkit';

import { displayHex, txid } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { SpendableRow, WalletRows } from '../store/wallet.js';
import { valueOf } from './channelFacts.js';
import { describe, errorOf, isOk, unwrap } from './result.js';

/** Blocks that a sweep may wait before it is replaced. */
const PATIENCE_BLOCKS = 6;
/** Outputs of one sweep: far below the size that is relayed. */
const MOST_OUTPUTS = 100;
/** Bitcoin nodes ask for as much more than what is replaced, satoshi per 1000 weight units; with room for rounding. */
const INCREMENT_PER_KW = 255;

export type SweeperParts = {
  readonly keys: ldk.KeysManager;
  readonly rows: WalletRows;
  /** A script of the wallet. */
  readonly destination: () => Uint8Array;
  readonly feePerKw: () => number;
  readonly broadcast: (raw: Uint8Array) => string;
  /** The outputs of a replaced transaction do not exist until a block decides. */
  readonly replaced: (id: string) => void;
  readonly tipHeight: () => number;
  readonly log: Logger;
};

export type Sweeper = ReturnType<typeof makeSweeper>;

/** Both methods belong in a turn. */
export function makeSweeper(parts: SweeperParts) {
  const { keys, rows, destination, feePerKw, broadcast, replaced, tipHeight, log } = parts;
  let script: Uint8Array | undefined; // kept until a sweep uses it, so that failures use up no addresses

  /** A signed sweep, or undefined while the outputs are worth less than its fee. */
  const make = (outputs: readonly SpendableRow[], target: Uint8Array, ratePerKw: number): Uint8Array | undefined => {
    const result = keys
      .as_OutputSpender()
      .spend_spendable_outputs(outputs.map(read), [], target, ratePerKw, ldk.Option_u32Z.constructor_none());
    if (isOk(result)) return unwrap(result, ldk.Result_TransactionNoneZ_OK, 'sweep');
    log.warn({ outputs: outputs.length, why: describe(errorOf(result)) }, 'sweep is not possible yet');
    return undefined;
  };

  const send = (outputs: readonly SpendableRow[], raw: Uint8Array): void => {
    const id = broadcast(raw);
    for (const row of outputs) rows.swept(row, id);
    rows.putSweep(id, tipHeight());
  };

  const sweepWaiting = (): void => {
    const waiting = rows.unswept();
    for (let start = 0; start < waiting.length; start += MOST_OUTPUTS) {
      const outputs = waiting.slice(start, start + MOST_OUTPUTS);
      script ??= destination();
      const raw = make(outputs, script, feePerKw());
      if (raw === undefined) continue;
      send(outputs, raw);
      script = undefined;
    }
  };

  /** Only a risen estimate tells that a sweep pays too little: a miner's bad luck costs nothing. */
  const replaceStuck = (): void => {
    for (const id of rows.stuckSweeps(tipHeight() - PATIENCE_BLOCKS)) {
      const old = rows.rawTransaction(id);
      const outputs = rows.sweptBy(id);
      if (old === undefined || outputs.length === 0) continue;
      const tx = Transaction.fromBuffer(old);
      const target = tx.outs[0]?.script;
      const leastPerKw = paidPerKw(tx, outputs) + INCREMENT_PER_KW;
      if (target === undefined || feePerKw() < leastPerKw) continue;
      const raw = make(outputs, Uint8Array.from(target), feePerKw());
      if (raw === undefined) continue;
      send(outputs, raw);
      replaced(id);
      log.info({ txid: id, outputs: outputs.length }, 'sweep replaced by a better paid one');
    }
  };

  return {
    /** Stores what only LDK's keys can spend; the event is not repeated. */
    add: (outputs: readonly ldk.SpendableOutputDescriptor[], channelId: string): void => {
      for (const output of outputs) {
        const point = output.spendable_outpoint();
        rows.putSpendable({
          txid: txid(displayHex(point.get_txid())),
          vout: point.get_index(),
          descriptor: Buffer.from(output.write()),
          channelId,
          valueSat: valueOf(output),
        });
      }
    },
    /** Sends all outputs that are not on their way yet (too small ones wait for company), and replaces what is stuck. */
    sweep: (): void => {
      sweepWaiting();
      replaceStuck();
    },
  };
}

const read = (row: SpendableRow): ldk.SpendableOutputDescriptor =>
  unwrap(
    ldk.SpendableOutputDescriptor.constructor_read(Uint8Array.from(row.descriptor)),
    ldk.Result_SpendableOutputDescriptorDecodeErrorZ_OK,
    'spendable output',
  );

/** Satoshi per 1000 weight units, rounded up. */
function paidPerKw(tx: Transaction, inputs: readonly SpendableRow[]): number {
  const brought = inputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
  const paid = tx.outs.reduce((sum, { value }) => sum - value, brought);
  return Math.ceil((Number(paid) * 1000) / tx.weight());
}
