/**
 * All that can meet when a swap is refunded or its payment taken: what the node reports, what we stored, the height, the
 * outpoints, and the modes. Each cell is driven to rest with the real decisions.
 */
import type { PaymentStatus } from '../../../src/core/swap.js';
import { blockHeight } from '../../../src/core/units.js';
import { fundedWith, htlcAt, PAYMENTS, REFUND_HEIGHT, spend } from '../../support/swapFixtures.js';
import { drive, REPORT_NAMES, REPORTS, SIGNED, type Outcome, type ReportName } from './dutyCases.js';

/** Blocks before T: every margin kept, one block early, and T itself. */
const HEIGHTS = { early: 58, 'T - 1': 1, T: 0 } as const;
const OUTPOINTS = {
  unspent: [undefined, undefined],
  'claim in mempool': [spend('claim', 0), spend('claim', 0)],
  'claim in block': [spend('claim', 1), spend('claim', 1)],
  'refund in mempool': [spend('refund', 0), spend('refund', 0)],
  'refund in block': [spend('refund', 1), spend('refund', 1)],
} as const;

export type Cell = {
  /** What we stored of the payment. */
  readonly ours: PaymentStatus;
  /** What the node reports of the invoice. */
  readonly node: ReportName;
  readonly height: keyof typeof HEIGHTS;
  readonly outpoints: keyof typeof OUTPOINTS;
  readonly isFenced: boolean;
  readonly isRestored: boolean;
  readonly isReadOnly: boolean;
  readonly isDegraded: boolean;
};

const BOTH = [false, true] as const;
const namesOf = <Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] => Object.keys(table) as Name[];

export const CELLS: readonly Cell[] = PAYMENTS.flatMap((ours) =>
  REPORT_NAMES.flatMap((node) =>
    namesOf(HEIGHTS).flatMap((height) =>
      namesOf(OUTPOINTS).flatMap((outpoints) =>
        BOTH.flatMap((isFenced) =>
          BOTH.flatMap((isRestored) =>
            BOTH.flatMap((isReadOnly) =>
              BOTH.map((isDegraded) => {
                const modes = { isFenced, isRestored, isReadOnly, isDegraded };
                return { ours, node, height, outpoints, ...modes };
              }),
            ),
          ),
        ),
      ),
    ),
  ),
);

/** What is done in that cell until nothing is due. */
export const outcomeIn = (cell: Cell): Outcome =>
  drive(
    { ...fundedWith(cell.ours), isRestored: cell.isRestored },
    {
      tip: blockHeight(REFUND_HEIGHT - HEIGHTS[cell.height]),
      invoice: REPORTS[cell.node],
      htlc: htlcAt({ spends: OUTPOINTS[cell.outpoints] }),
      refund: cell.outpoints.startsWith('refund') ? SIGNED : undefined,
      isFenced: cell.isFenced,
      isReadOnly: cell.isReadOnly,
      isDegraded: cell.isDegraded,
    },
  );
