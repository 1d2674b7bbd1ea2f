/** Proven transactions and headers to LDK: its Confirm interface, beside the block-wise one of engine.ts. */
import { createHash } from 'node:crypto';

import { Transaction } from 'bitcoinjs-lib';
import * as ldk from 'lightningdevkit';

import { displayHex, outpoint, txid } from '../core/units.js';
import type { ConfirmListener, FilteredBlock } from './chain/confirmFollower.js';
import { distinctOutputs } from './chain/scan.js';
import { applyBlock } from './engine.js';
import type { Ldk } from './ldk/assembly.js';
import { some } from './ldk/result.js';
import type { Base, Services } from './parts.js';
import type { WalletRows } from './store/wallet.js';

/** One turn per block, late finding, or reorg. */
export function makeConfirmListener(base: Base, parts: Ldk, services: Services, rows: WalletRows): ConfirmListener {
  const { turns, headers, wallet } = base;
  const targets = (): ldk.Confirm[] => [parts.manager.as_Confirm(), parts.chainMonitor.as_Confirm()];

  const confirm = ({ header, height, findings }: FilteredBlock): void => {
    const pairs = findings.filter(({ isForLdk }) => isForLdk).map(({ proven }) => proven);
    if (pairs.length === 0) return;
    for (const target of targets()) {
      target.transactions_confirmed(
        Uint8Array.from(header),
        pairs.map(({ position, tx }) =>
          ldk.TwoTuple_usizeTransactionZ.constructor_new(position, Uint8Array.from(tx.toBuffer())),
        ),
        height,
      );
    }
  };

  const connect = (block: FilteredBlock): void => {
    applyBlock(base, services, block, transactionsOf(block), () => {
      confirm(block);
      for (const target of targets()) target.best_block_updated(Uint8Array.from(block.header), block.height);
    });
  };

  /** All at once and before anything is confirmed again, as LDK wants it. */
  const unconfirm = (gone: ReadonlySet<string>): void => {
    for (const target of targets()) {
      for (const relevant of target.get_relevant_txids()) {
        const hash = some(relevant.get_c(), ldk.Option_ThirtyTwoBytesZ_Some);
        if (hash !== undefined && gone.has(displayHex(hash))) target.transaction_unconfirmed(relevant.get_a());
      }
    }
  };

  return {
    walletInterests: () => {
      const unconfirmed = rows.unconfirmed().map(({ raw }) => Transaction.fromBuffer(raw));
      const inputs = unconfirmed.flatMap(({ ins }) => ins);
      return {
        txids: rows.unconfirmed().map((own) => txid(own.txid)),
        outputs: distinctOutputs([
          ...inputs.map(({ hash, index }) => outpoint(displayHex(hash), index)),
          ...rows.unswept().map((output) => outpoint(output.txid, output.vout)),
        ]),
        scriptHashes: rows.keys().map(({ script }) => scriptHashOf(script)),
      };
    },
    connectFiltered: (block) => {
      turns.run(() => {
        connect(block);
      });
    },
    confirmLate: (block) => {
      turns.run(() => {
        wallet.connect(transactionsOf(block), block.height);
        services.htlcWatch.connect(transactionsOf(block), block.height);
        confirm(block);
        turns.markDirty();
      });
    },
    reorganizeFiltered: (gone, fresh) => {
      turns.run(() => {
        unconfirm(new Set(gone.map(({ hash }) => hash)));
        for (const { hash, height } of gone) {
          wallet.disconnect(height);
          services.htlcWatch.disconnect(height);
          headers.disconnect(hash);
        }
        fresh.forEach(connect);
      });
    },
  };
}

const transactionsOf = ({ findings }: FilteredBlock): Transaction[] => findings.map(({ proven }) => proven.tx);

const scriptHashOf = (script: string): string => createHash('sha256').update(Buffer.from(script, 'hex')).digest('hex');
