/** Connects LDK to the turn, and the chain to LDK. */
import type { Transaction } from 'bitcoinjs-lib';
import * as ldk from 'lightningdevkit';

import type { Logger } from '../log.js';
import type { ChainListener, ConnectedBlock } from './chain/follower.js';
import type { Ldk } from './ldk/assembly.js';
import { handleEvent, type EventParts } from './ldk/events.js';
import { flag } from './ldk/result.js';
import type { Base, Services } from './parts.js';

/**
 * Tells the turn what one round of LDK's events is and where its bytes go.
 *
 * @returns what must stay referenced as long as LDK runs.
 */
export function useEngine({ turns, wallet }: Base, parts: Ldk, services: Services, log: Logger): unknown {
  const { manager, chainMonitor, peers } = parts;
  let happened = 0;
  let forwardsWait = false;
  const eventParts: EventParts = {
    ...services,
    log,
    forgetFunding: wallet.giveUp,
    forwardSoon: () => {
      forwardsWait = true;
    },
  };
  const done = ldk.Result_NoneReplayEventZ.constructor_ok();
  const handler = ldk.EventHandler.new_impl({
    handle_event: (event) =>
      turns.guarded('event', () => {
        happened += 1;
        handleEvent(event, eventParts);
        return done;
      }),
  });
  turns.use({
    pump: () => {
      happened = 0;
      peers.process_events();
      manager.as_EventsProvider().process_pending_events(handler);
      chainMonitor.as_EventsProvider().process_pending_events(handler);
      if (forwardsWait) {
        forwardsWait = false;
        manager.process_pending_htlc_forwards();
        happened += 1;
      }
      if (happened === 0) peers.process_events();
      return happened > 0;
    },
    changedManager: (isForced) => {
      const needsStoring = flag(manager.get_and_clear_needs_persistence());
      return needsStoring || isForced ? manager.write() : undefined;
    },
    storeManager: parts.storeManager,
    flush: services.transport.flush,
  });
  return [handler, done];
}

/** A block moves headers, wallet, LDK and the deadlines of invoices together. Called inside a turn. */
export function applyBlock(
  { turns, headers, wallet }: Base,
  services: Services,
  block: { readonly hash: string; readonly height: number; readonly header: Uint8Array },
  transactions: readonly Transaction[],
  tellLdk: () => void,
): void {
  headers.connect(block);
  wallet.connect(transactions, block.height);
  services.htlcWatch.connect(transactions, block.height);
  tellLdk();
  services.invoices.atHeight(block.height);
  services.sweeper.sweep();
  services.channelBook.atHeight(block.height);
  turns.markDirty();
}

/** One turn per block, or per reorg. */
export function makeListener(base: Base, parts: Ldk, services: Services): ChainListener {
  const { turns, headers, wallet } = base;
  const { manager, chainMonitor } = parts;
  const connect = (block: ConnectedBlock): void => {
    applyBlock(base, services, block, block.block.transactions ?? [], () => {
      manager.as_Listen().block_connected(block.raw, block.height);
      chainMonitor.as_Listen().block_connected(block.raw, block.height);
    });
  };
  return {
    connect: (block) => {
      turns.run(() => {
        connect(block);
      });
    },
    reorganize: (gone, fresh) => {
      turns.run(() => {
        for (const { hash, height, header } of gone) {
          manager.as_Listen().block_disconnected(header, height);
          chainMonitor.as_Listen().block_disconnected(header, height);
          wallet.disconnect(height);
          services.htlcWatch.disconnect(height);
          headers.disconnect(hash);
        }
        fresh.forEach(connect);
      });
    },
  };
}
