/** Everything that may happen in the world of a swap, in any order. */
import fc from 'fast-check';

/**
 * What happens to one call: it works, it never arrives, it works and the answer is lost, or (settling) the node takes it and
 * the payment is gone all the same.
 */
export type Fate = 'works' | 'lost' | 'answer lost' | 'too late';

/** One pass of the seller: which lookups are answered, its modes, and what happens to its calls, in order. */
export type Pass = {
  readonly hasTip: boolean;
  readonly hasInvoice: boolean;
  readonly hasNode: boolean;
  readonly hasHtlc: boolean;
  readonly isDegraded: boolean;
  readonly isPaused: boolean;
  /** No commit succeeds. */
  readonly isReadOnly: boolean;
  /** Suspected to be an older copy, although it is not. */
  readonly isFenced: boolean;
  readonly fates: readonly Fate[];
  /** The process ends after this many steps; what it stored is all that it has then. */
  readonly crashAfter: number;
};

export type Action =
  | { readonly kind: 'pass'; readonly pass: Pass }
  | { readonly kind: 'secs' | 'blocks' | 'empty_blocks' | 'bitcoin_blocks' | 'reorg'; readonly n: number }
  | { readonly kind: 'pay'; readonly missingMsat: number }
  | { readonly kind: 'claim' | 'claim_asset' | 'mempool_lost' | 'conflict' }
  | { readonly kind: 'node_expires' | 'node_forgets' | 'incident' | 'backup' | 'restore' | 'accept' };

const MAX_STEPS = 24;
export const CALM: Pass = {
  hasTip: true,
  hasInvoice: true,
  hasNode: true,
  hasHtlc: true,
  isDegraded: false,
  isPaused: false,
  isReadOnly: false,
  isFenced: false,
  fates: [],
  crashAfter: MAX_STEPS,
};

const mostly = (value: boolean): fc.Arbitrary<boolean> => fc.constantFrom(value, value, value, !value);
const anyPass: fc.Arbitrary<Pass> = fc.record({
  hasTip: mostly(true),
  hasInvoice: mostly(true),
  hasNode: mostly(true),
  hasHtlc: mostly(true),
  isDegraded: mostly(false),
  isPaused: mostly(false),
  isReadOnly: mostly(false),
  isFenced: mostly(false),
  fates: fc.array(fc.constantFrom<Fate>('works', 'works', 'lost', 'answer lost', 'too late'), { maxLength: 8 }),
  crashAfter: fc.integer({ min: 1, max: MAX_STEPS }),
});
const counted = (kind: Extract<Action, { n: number }>['kind'], max: number): fc.Arbitrary<Action> =>
  fc.integer({ min: 1, max }).map((n) => ({ kind, n }));

/** Reorganisations undo one block or two: as deep as finality reaches. */
const common: readonly fc.WeightedArbitrary<Action>[] = [
  { weight: 8, arbitrary: fc.oneof(fc.constant(CALM), anyPass).map((pass) => ({ kind: 'pass', pass })) },
  { weight: 2, arbitrary: counted('secs', 200) },
  { weight: 4, arbitrary: fc.oneof(counted('blocks', 3), counted('blocks', 12)) },
  { weight: 1, arbitrary: counted('empty_blocks', 4) },
  { weight: 1, arbitrary: counted('bitcoin_blocks', 12) },
  { weight: 1, arbitrary: counted('reorg', 2) },
  { weight: 3, arbitrary: fc.constantFrom(0, 0, 0, 1).map((missingMsat) => ({ kind: 'pay', missingMsat })) },
  { weight: 2, arbitrary: fc.constantFrom('claim', 'claim_asset').map((kind) => ({ kind })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('mempool_lost', 'mempool_lost', 'conflict', 'node_expires', 'node_expires', 'node_forgets')
      .map((kind) => ({ kind })),
  },
];

/** What a healthy operator's swap lives through. */
export const anyAction: fc.Arbitrary<Action> = fc.oneof(...common);
/** Also an older database that is put back, and a stranger's spend that undoes a final funding. */
export const anyDisaster: fc.Arbitrary<Action> = fc.oneof(...common, {
  weight: 2,
  arbitrary: fc.constantFrom('backup', 'backup', 'restore', 'accept', 'incident').map((kind) => ({ kind })),
});
