/** Signs that this database is an old copy (engine/fence.ts), until the operator accepts them. */
import type { UnixSecs } from '../core/units.js';
import type { Store } from './db.js';

/** Where a sign was found: the generation counter, a recovery bundle, a spent coin, an invoice of the node. */
type FindingKind = 'generation' | 'bundle' | 'spend' | 'invoice';

export type Finding = {
  readonly kind: FindingKind;
  /** Swap id, txid or payment hash; what contradicts for `generation`. Unique within the kind. */
  readonly id: string;
  /** One sentence for the operator. */
  readonly text: string;
};

/** What is not accepted, oldest first. */
export function openFindings(store: Store): Finding[] {
  const query = store.q.selectFrom('fence_findings').select(['kind', 'id', 'text']).where('is_accepted', '=', 0n);
  const rows = store.all(query.orderBy('found_at').orderBy('kind').orderBy('id'));
  return rows.map((row) => ({ ...row, kind: row.kind as FindingKind }));
}

/** True if it was found before, accepted or not. */
export function isKnownFinding(store: Store, { kind, id }: Pick<Finding, 'kind' | 'id'>): boolean {
  const query = store.q.selectFrom('fence_findings').select('id').where('kind', '=', kind).where('id', '=', id);
  return store.first(query) !== undefined;
}

/** Stores a finding; one that is known stays as it is. */
export function saveFinding(store: Store, { kind, id, text }: Finding, now: UnixSecs): void {
  const row = { kind, id, text, is_accepted: 0n, found_at: BigInt(now) };
  store.run(
    store.q
      .insertInto('fence_findings')
      .values(row)
      .onConflict((oc) => oc.doNothing()),
  );
}

/** Forgets a finding that no longer holds and was not accepted. */
export function dropFinding(store: Store, { kind, id }: Finding): void {
  const query = store.q.deleteFrom('fence_findings').where('kind', '=', kind).where('id', '=', id);
  store.run(query.where('is_accepted', '=', 0n));
}

export function acceptFindings(store: Store): void {
  store.run(store.q.updateTable('fence_findings').set({ is_accepted: 1n }));
}
