/**
 * Channels of a restored database. The peer may have a newer state, so our own commitment transactions may be revoked: to
 * send one would lose everything in the channel. The channels are given up at the first start, before any block or peer
 * is heard: the peers are asked to close them, and whatever LDK may think of later, no transaction of ours spends their
 * funding. Our balance in the peer's newest state comes back by itself once the peer has closed.
 */
import { Transaction } from 'bitcoinjs-lib';
import type * as ldk from 'lightningdevkit';

import { displayHex, outpointKey, txid, type Txid } from '../core/units.js';
import type { Logger } from '../log.js';
import { assertOk, isAbsent } from './ldk/result.js';
import type { GenerationRows } from './store/generation.js';
import type { Wallet } from './wallet.js';

/** Addresses of the lost time are looked for this far. */
const KEY_GAP = 100;
const WORD_TO_PEERS = 'the database of this node was restored: please close the channel';

export type Restored = ReturnType<typeof makeRestored>;

/** What is known of given up channels, and the guard over what is sent. */
export function makeRestored(rows: GenerationRows, log: Logger) {
  const fundings = new Set(rows.givenUp().map(({ txid: id, vout }) => outpointKey({ txid: txid(id), vout })));
  const told = new Set<Txid>();
  let isWaiting = rows.isRestoreAccepted();
  return {
    /** The transaction's id if it must never leave this process; nor may one that spends it. */
    withheld: (raw: Uint8Array): Txid | undefined => {
      if (!isWaiting && fundings.size === 0) return undefined;
      const tx = Transaction.fromBuffer(Buffer.from(raw));
      const id = txid(tx.getId());
      const isBarred = tx.ins.some(({ hash, index }) => {
        const parent = txid(displayHex(hash));
        return told.has(parent) || fundings.has(outpointKey({ txid: parent, vout: index }));
      });
      if (!isWaiting && !isBarred) return undefined;
      if (!told.has(id))
        log.warn({ txid: id }, 'not sent: the channel is of a restored database, its peer must close it');
      told.add(id); // LDK offers it again with every block
      return id;
    },
    /** Gives all channels up if the operator accepted this database. Belongs in the first turn. */
    giveUpChannels: (manager: ldk.ChannelManager, wallet: Pick<Wallet, 'nextKey'>): void => {
      if (!isWaiting) return;
      for (const details of manager.list_channels()) {
        const funding = details.get_funding_txo();
        if (!isAbsent(funding)) {
          const point = { txid: txid(displayHex(funding.get_txid())), vout: funding.get_index() };
          rows.giveUp(point);
          fundings.add(outpointKey(point));
        }
        const peer = details.get_counterparty().get_node_id();
        const result = manager.force_close_without_broadcasting_txn(details.get_channel_id(), peer, WORD_TO_PEERS);
        assertOk(result, 'giving a channel up');
      }
      for (let i = 0; i < KEY_GAP; i += 1) wallet.nextKey();
      rows.setRestoreAccepted(false);
      isWaiting = false;
      log.warn({ channels: fundings.size }, 'channels of the restored database are given up: their peers close them');
    },
  };
}
