/** LDK's monitors in SQLite, written inside the turn. */
import * as ldk from 'lightningdevkit';

import type { LdkRows } from '../store/ldkRows.js';
import { unwrap } from './result.js';
import type { Turns } from './turn.js';

/** A monitor is rewritten whole after this many updates. */
const MAX_PENDING_UPDATES = 100n;

/** A key-value store for LDK. Only real absence answers NotFound; an SQLite error ends the process. */
export function makeKvStore(rows: LdkRows, turns: Turns): { store: ldk.KVStore; keep: readonly unknown[] } {
  const done = ldk.Result_NoneIOErrorZ.constructor_ok();
  const notFound = ldk.Result_CVec_u8ZIOErrorZ.constructor_err(ldk.IOError.LDKIOError_NotFound);
  const change = (body: () => void): ldk.Result_NoneIOErrorZ =>
    turns.guarded('store', () => {
      turns.markDirty();
      body();
      return done;
    });
  const store = ldk.KVStore.new_impl({
    read: (primary, secondary, key) =>
      turns.guarded('store', () => {
        const value = rows.get(primary, secondary, key);
        return value === undefined ? notFound : ldk.Result_CVec_u8ZIOErrorZ.constructor_ok(value);
      }),
    write: (primary, secondary, key, value) =>
      change(() => {
        rows.put([primary, secondary, key], value);
      }),
    remove: (primary, secondary, key) =>
      change(() => {
        rows.remove(primary, secondary, key);
      }),
    list: (primary, secondary) =>
      turns.guarded('store', () => ldk.Result_CVec_StrZIOErrorZ.constructor_ok(rows.list(primary, secondary))),
  });
  return { store, keep: [done, notFound, store] };
}

/** What the persister needs of LDK. */
export type PersisterParts = {
  readonly store: ldk.KVStore;
  readonly logger: ldk.Logger;
  readonly entropy: ldk.EntropySource;
  readonly signers: ldk.SignerProvider;
  readonly broadcaster: ldk.BroadcasterInterface;
  readonly fees: ldk.FeeEstimator;
};

/** Full monitors and their updates, as LDK's own persister writes them. */
export const makePersister = (parts: PersisterParts): ldk.MonitorUpdatingPersister =>
  ldk.MonitorUpdatingPersister.constructor_new(
    parts.store,
    parts.logger,
    MAX_PENDING_UPDATES,
    parts.entropy,
    parts.signers,
    parts.broadcaster,
    parts.fees,
  );

/** All stored monitors; `keep` must stay referenced as long as they are used. */
export function readMonitors(persister: ldk.MonitorUpdatingPersister): {
  monitors: ldk.ChannelMonitor[];
  keep: readonly unknown[];
} {
  const result = persister.read_all_channel_monitors_with_updates();
  const pairs = unwrap(result, ldk.Result_CVec_C2Tuple_ThirtyTwoBytesChannelMonitorZZIOErrorZ_OK, 'channel monitors');
  const monitors = pairs.map((pair) => pair.get_b());
  return { monitors, keep: [result, pairs, monitors] };
}
