/**
 * Rapid Gossip Sync: the network's channels for payments over more than one hop. The snapshot itself is stored and
 * loaded again at the start; LDK's graph is never written, because that takes seconds at the size of the network.
 */
import * as ldk from 'lightningdevkit';

import { errorChain } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Network } from '../chain/headers.js';
import { assertOk } from '../ldk/result.js';
import type { Turns } from '../ldk/turn.js';
import type { GossipRows } from '../store/gossip.js';
import type { GossipSource } from './fetch.js';
import { snapshotTime } from './snapshot.js';

export type GossipParts = {
  readonly source: GossipSource;
  readonly rows: GossipRows;
  readonly graph: ldk.NetworkGraph;
  readonly logger: ldk.Logger;
  readonly turns: Turns;
  readonly network: Network;
  readonly refreshMs: number;
  readonly log: Logger;
  /** Wall clock, Unix seconds. */
  readonly now: () => number;
};

export type Gossip = ReturnType<typeof makeGossip>;

/** Nothing happens before `start`. */
export function makeGossip({ source, rows, graph, logger, turns, network, refreshMs, log, now }: GossipParts) {
  const sync = ldk.RapidGossipSync.constructor_new(graph, logger);
  let madeAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  const channelCount = (): number => {
    const view = graph.read_only();
    try {
      return view.list_channels().length;
    } finally {
      view.free();
    }
  };

  /** Loads a snapshot that passed our checks. @throws Error; the graph may then have a part of it, which LDK corrects */
  const load = (bytes: Buffer): number => {
    const time = snapshotTime(bytes, network, now());
    if (time === madeAt) return time;
    const seconds = ldk.Option_u64Z.constructor_some(BigInt(now()));
    assertOk(sync.update_network_graph_no_std(Uint8Array.from(bytes), seconds), 'gossip snapshot');
    const channels = channelCount();
    if (channels === 0) throw new Error('gossip: the snapshot has no channel that LDK keeps');
    madeAt = time;
    log.info({ channels, madeAt }, 'gossip: snapshot loaded');
    return time;
  };

  /** One turn; an exception that left it would end the process. */
  const take = (bytes: Buffer, keep: (madeAt: number) => void): void => {
    const outcome = turns.run(() => {
      try {
        keep(load(bytes));
        return undefined;
      } catch (error) {
        return { error };
      }
    });
    if (outcome !== undefined) throw outcome.error;
  };

  const loadStored = (): void => {
    try {
      const stored = rows.get();
      if (stored !== undefined) take(stored.bytes, () => undefined);
    } catch (error) {
      log.warn({ why: errorChain(error) }, 'gossip: the stored snapshot is of no use');
    }
  };

  const refresh = async (): Promise<void> => {
    try {
      const bytes = await source.fetch();
      if (isStopped || snapshotTime(bytes, network, now()) <= madeAt) return;
      take(bytes, (time) => {
        rows.put({ madeAt: time, bytes });
      });
    } catch (error) {
      log.warn({ why: errorChain(error) }, 'gossip: no new snapshot');
    }
  };

  const refreshSoon = (): void => {
    refresh().catch((error: unknown) => {
      log.error({ why: errorChain(error) }, 'gossip');
    });
  };

  return {
    /** Unix seconds of the snapshot in use; 0 without one. */
    madeAt: (): number => madeAt,
    /** Loads the stored snapshot, asks for a new one, and asks again from time to time. */
    start: (): void => {
      loadStored();
      refreshSoon();
      timer = setInterval(refreshSoon, refreshMs);
    },
    stop: (): void => {
      isStopped = true;
      clearInterval(timer);
      source.close();
    },
    keep: sync,
  };
}
