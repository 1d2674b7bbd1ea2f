/** Brings the outputs of closed channels into the wallet. */
import * as ldk from 'lightningdevkit';

import { displayHex, txid } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { WalletRows } from '../store/wallet.js';
import { valueOf } from './channelFacts.js';
import { describe, errorOf, isOk, unwrap } from './result.js';

export type SweeperParts = {
  readonly keys: ldk.KeysManager;
  readonly rows: WalletRows;
  /** A script of the wallet. */
  readonly destination: () => Uint8Array;
  readonly feePerKw: () => number;
  readonly broadcast: (raw: Uint8Array) => string;
  readonly log: Logger;
};

export type Sweeper = ReturnType<typeof makeSweeper>;

/** Both methods belong in a turn. */
export function makeSweeper({ keys, rows, destination, feePerKw, broadcast, log }: SweeperParts) {
  let script: Uint8Array | undefined; // kept until a sweep uses it, so that failures use up no addresses
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
    /** Sends all outputs that are not on their way yet; too small ones wait for company. */
    sweep: (): void => {
      const waiting = rows.unswept();
      if (waiting.length === 0) return;
      const descriptors = waiting.map((row) =>
        unwrap(
          ldk.SpendableOutputDescriptor.constructor_read(Uint8Array.from(row.descriptor)),
          ldk.Result_SpendableOutputDescriptorDecodeErrorZ_OK,
          'spendable output',
        ),
      );
      script ??= destination();
      const result = keys
        .as_OutputSpender()
        .spend_spendable_outputs(descriptors, [], script, feePerKw(), ldk.Option_u32Z.constructor_none());
      if (!isOk(result)) {
        log.warn({ outputs: waiting.length, why: describe(errorOf(result)) }, 'sweep is not possible yet');
        return;
      }
      const id = broadcast(unwrap(result, ldk.Result_TransactionNoneZ_OK, 'sweep'));
      script = undefined;
      for (const row of waiting) rows.swept(row, id);
    },
  };
}
