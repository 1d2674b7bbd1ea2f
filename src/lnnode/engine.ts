/** Connects LDK to the turn, and the chain to LDK. */
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

/** One turn per block, or per reorg: headers, wallet, LDK and the invoices' deadlines move together. */
export function makeListener({ turns, headers, wallet }: Base, parts: Ldk, services: Services): ChainListener {
  const { manager, chainMonitor } = parts;
  const connect = ({ hash, height, header, raw, block }: ConnectedBlock): void => {
    headers.connect({ hash, height, header });
    wallet.connect(block.transactions ?? [], height);
    manager.as_Listen().block_connected(raw, height);
    chainMonitor.as_Listen().block_connected(raw, height);
    services.invoices.atHeight(height);
    services.sweeper.sweep();
    services.channelBook.atHeight(height);
    turns.markDirty();
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
          headers.disconnect(hash);
        }
        fresh.forEach(connect);
      });
    },
  };
}
