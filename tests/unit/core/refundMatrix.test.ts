/** The rules of docs/protocol.md section 2 and the modes of section 3, over every cell. Written from the page, not the code. */
import { describe, expect, it } from 'vitest';

import type { PaymentStatus } from '../../../src/core/swap.js';
import { PAYMENTS } from '../../support/swapFixtures.js';
import { lineOf, REPORT_NAMES, type Outcome } from './dutyCases.js';
import { CELLS, outcomeIn, type Cell } from './refundCells.js';

const PLAIN = { isFenced: false, isRestored: false, isReadOnly: false, isDegraded: false } as const;

/** One line per status that we stored; across: OPEN, HELD, SETTLED, CANCELED, not found, unreachable at the node. */
type Table = Readonly<Record<PaymentStatus, readonly [string, string, string, string, string, string]>>;

const REFUND = 'sign_refund, broadcast_refund';
const CANCEL = 'cancel_decided, cancel';
const SETTLE = 'settle_decided, settle';
/** Paid although we never decided so: it is stored, and somebody has to look. */
const PAID = 'payment_settled!, preimage_released';
const GONE = 'payment_canceled';

const AT_T: Table = {
  NONE: ['', '', PAID, '', '', ''],
  OPEN: [CANCEL, `payment_held, ${CANCEL}`, PAID, `${GONE}, ${REFUND}`, `cancel_decided, ${GONE}, ${REFUND}`, CANCEL],
  HELD: [CANCEL, CANCEL, PAID, `${GONE}, ${REFUND}`, `cancel_decided, ${GONE}, ${REFUND}`, CANCEL],
  SETTLING: ['settle', 'settle', 'payment_settled, preimage_released', `${GONE}, ${REFUND}`, '', 'settle'],
  SETTLED: ['', '', 'preimage_released', '', '', ''],
  CANCELING: ['cancel', 'cancel', PAID, `${GONE}, ${REFUND}`, `${GONE}, ${REFUND}`, 'cancel'],
  CANCELED: ['cancel', 'cancel', PAID, REFUND, REFUND, REFUND],
};

/** FENCED, or accepted after that: only what the node itself reports as CANCELED is finally unpaid. */
const AT_T_IN_AN_OLDER_COPY: Table = {
  ...AT_T,
  OPEN: [CANCEL, `payment_held, ${CANCEL}`, PAID, `${GONE}, ${REFUND}`, CANCEL, ''],
  HELD: [CANCEL, CANCEL, PAID, `${GONE}, ${REFUND}`, CANCEL, CANCEL],
  CANCELING: ['cancel', 'cancel', PAID, `${GONE}, ${REFUND}`, 'cancel', 'cancel'],
  CANCELED: ['cancel', 'cancel', PAID, REFUND, '', ''],
};

/** Nothing can be stored: what was committed is repeated, an OPEN invoice canceled, a CANCELED swap refunded. */
const AT_T_READ_ONLY: Table = {
  NONE: ['', '', '', '', '', ''],
  OPEN: ['cancel', '', '', '', 'cancel', ''],
  HELD: ['', '', '', '', '', ''],
  SETTLING: ['settle', 'settle', '', '', '', 'settle'],
  SETTLED: ['', '', '', '', '', ''],
  CANCELING: ['cancel', 'cancel', '', '', '', 'cancel'],
  CANCELED: ['cancel', 'cancel', '', 'sign_refund', 'sign_refund', 'sign_refund'],
};

const EARLY: Table = {
  NONE: ['', '', PAID, '', '', ''],
  OPEN: ['', `payment_held, ${SETTLE}`, PAID, GONE, '', ''],
  HELD: ['', SETTLE, PAID, GONE, '', ''],
  SETTLING: ['settle', 'settle', 'payment_settled, preimage_released', GONE, '', 'settle'],
  SETTLED: ['', '', 'preimage_released', '', '', ''],
  CANCELING: ['cancel', 'cancel', PAID, GONE, GONE, 'cancel'],
  CANCELED: ['cancel', 'cancel', PAID, '', '', ''],
};
const EARLY_DEGRADED: Table = {
  ...EARLY,
  OPEN: ['', 'payment_held', PAID, GONE, '', ''],
  HELD: ['', '', PAID, GONE, '', ''],
};
const EARLY_FENCED: Table = {
  ...EARLY_DEGRADED,
  CANCELING: ['cancel', 'cancel', PAID, GONE, 'cancel', 'cancel'],
};
const EARLY_READ_ONLY: Table = {
  ...AT_T_READ_ONLY,
  OPEN: ['', '', '', '', '', ''],
  CANCELED: ['cancel', 'cancel', '', '', '', ''],
};

/** S is out: a complete payment is taken in every mode that can store it, and nothing is refunded. */
const CLAIMED = 'claim_seen';
const CLAIMED_UNPAID = 'claim_seen!';
const EARLY_AND_CLAIMED: Table = {
  NONE: [CLAIMED_UNPAID, CLAIMED_UNPAID, `${PAID}, ${CLAIMED}`, CLAIMED_UNPAID, CLAIMED_UNPAID, CLAIMED_UNPAID],
  OPEN: [
    CLAIMED_UNPAID,
    `payment_held, settle_decided!, settle, ${CLAIMED}`,
    `${PAID}, ${CLAIMED}`,
    `${GONE}, ${CLAIMED_UNPAID}`,
    CLAIMED_UNPAID,
    CLAIMED_UNPAID,
  ],
  HELD: [
    CLAIMED_UNPAID,
    `settle_decided!, settle, ${CLAIMED}`,
    `${PAID}, ${CLAIMED}`,
    `${GONE}, ${CLAIMED_UNPAID}`,
    CLAIMED_UNPAID,
    CLAIMED_UNPAID,
  ],
  SETTLING: [
    `settle, ${CLAIMED}`,
    `settle, ${CLAIMED}`,
    `payment_settled, preimage_released, ${CLAIMED}`,
    `${GONE}, ${CLAIMED_UNPAID}`,
    CLAIMED,
    `settle, ${CLAIMED}`,
  ],
  SETTLED: [CLAIMED, CLAIMED, `preimage_released, ${CLAIMED}`, CLAIMED, CLAIMED, CLAIMED],
  CANCELING: [
    `cancel, ${CLAIMED_UNPAID}`,
    `cancel, ${CLAIMED_UNPAID}`,
    `${PAID}, ${CLAIMED}`,
    `${GONE}, ${CLAIMED_UNPAID}`,
    `${GONE}, ${CLAIMED_UNPAID}`,
    `cancel, ${CLAIMED_UNPAID}`,
  ],
  CANCELED: [
    `cancel, ${CLAIMED_UNPAID}`,
    `cancel, ${CLAIMED_UNPAID}`,
    `${PAID}, ${CLAIMED}`,
    CLAIMED_UNPAID,
    CLAIMED_UNPAID,
    CLAIMED_UNPAID,
  ],
};

type Place = Pick<Cell, 'height' | 'outpoints'> & Partial<Cell>;
const tableOf = (place: Place): Record<string, string[]> =>
  Object.fromEntries(
    PAYMENTS.map((ours) => [ours, REPORT_NAMES.map((node) => lineOf(outcomeIn({ ...PLAIN, ...place, ours, node })))]),
  );

describe('what is done about a swap, our status down, the report of the node across', () => {
  it.each<[string, Place, Table]>([
    ['at T', { height: 'T', outpoints: 'unspent' }, AT_T],
    ['at T while degraded', { height: 'T', outpoints: 'unspent', isDegraded: true }, AT_T],
    ['at T while fenced', { height: 'T', outpoints: 'unspent', isFenced: true }, AT_T_IN_AN_OLDER_COPY],
    ['at T when restored', { height: 'T', outpoints: 'unspent', isRestored: true }, AT_T_IN_AN_OLDER_COPY],
    ['at T while read-only', { height: 'T', outpoints: 'unspent', isReadOnly: true }, AT_T_READ_ONLY],
    ['early', { height: 'early', outpoints: 'unspent' }, EARLY],
    ['early while degraded', { height: 'early', outpoints: 'unspent', isDegraded: true }, EARLY_DEGRADED],
    ['early while fenced', { height: 'early', outpoints: 'unspent', isFenced: true }, EARLY_FENCED],
    ['early while read-only', { height: 'early', outpoints: 'unspent', isReadOnly: true }, EARLY_READ_ONLY],
    ['with a claim in the mempool', { height: 'early', outpoints: 'claim in mempool' }, EARLY_AND_CLAIMED],
    [
      'with a claim in a block while degraded',
      { height: 'early', outpoints: 'claim in block', isDegraded: true },
      EARLY_AND_CLAIMED,
    ],
  ])('%s', (_name, place, expected) => {
    expect(tableOf(place)).toEqual(expected);
  });
});

/** Where a refund may be signed or broadcast: at T, every outpoint unspent. Ours, then what the node reports. */
const REFUNDED = {
  usual: [
    'OPEN CANCELED',
    'OPEN unknown_hash',
    'HELD CANCELED',
    'HELD unknown_hash',
    'SETTLING CANCELED',
    'CANCELING CANCELED',
    'CANCELING unknown_hash',
    'CANCELED CANCELED',
    'CANCELED unknown_hash',
    'CANCELED nothing',
  ],
  'older copy': ['OPEN CANCELED', 'HELD CANCELED', 'SETTLING CANCELED', 'CANCELING CANCELED', 'CANCELED CANCELED'],
  'read-only': ['CANCELED CANCELED', 'CANCELED unknown_hash', 'CANCELED nothing'],
  'read-only older copy': ['CANCELED CANCELED'],
} as const;
type Mode = keyof typeof REFUNDED;

const modeOf = ({ isFenced, isRestored, isReadOnly }: Cell): Mode => {
  const isOlder = isFenced || isRestored;
  return isReadOnly ? (isOlder ? 'read-only older copy' : 'read-only') : isOlder ? 'older copy' : 'usual';
};
const isRefund = (duty: string): boolean => duty.endsWith('_refund');
const nameOf = (cell: Cell): string =>
  [cell.ours, cell.node, cell.height, cell.outpoints, modeOf(cell), cell.isDegraded ? 'degraded' : ''].join(' / ');

const OUTCOMES = CELLS.map((cell) => ({ cell, outcome: outcomeIn(cell) }));

/** Cells that break a rule, by name: none. */
const broken = (holds: (cell: Cell, outcome: Outcome) => boolean): string[] =>
  OUTCOMES.filter(({ cell, outcome }) => !holds(cell, outcome)).map(({ cell }) => nameOf(cell));

describe(`over all ${CELLS.length} cells`, () => {
  it('nobody left a cell out', () => {
    expect(CELLS.length).toBe(7 * 6 * 3 * 5 * 2 * 2 * 2 * 2);
    expect(new Set(CELLS.map((cell) => JSON.stringify(cell))).size).toBe(CELLS.length);
  });
  it('a refund is made in the 62 listed cells and in no other', () => {
    const found = OUTCOMES.filter(({ outcome }) => outcome.steps.some(({ duty }) => isRefund(duty))).map(
      ({ cell }) => cell,
    );
    const pairs = (mode: Mode): string[] => [
      ...new Set(found.filter((cell) => modeOf(cell) === mode).map((cell) => `${cell.ours} ${cell.node}`)),
    ];
    for (const mode of Object.keys(REFUNDED) as Mode[]) expect(pairs(mode), mode).toEqual(REFUNDED[mode]);
    // usual 10, older copy 5 in three ways, read-only 3, read-only older copy 1 in three ways; each also while degraded
    expect(found.length).toBe(2 * (10 + 3 * 5 + 3 + 3 * 1));
    expect(found.filter((cell) => cell.height !== 'T' || cell.outpoints !== 'unspent')).toEqual([]);
  });
  it('a refund is made only of what is stored as CANCELED at that moment', () => {
    expect(
      broken((_cell, { steps }) => steps.every((step) => !isRefund(step.duty) || step.stored.payment === 'CANCELED')),
    ).toEqual([]);
  });
  it('settle is called only after SETTLING was stored, and only on a node that may know the invoice', () => {
    expect(
      broken(({ node }, { steps }) =>
        steps.every(
          ({ duty, stored }) => duty !== 'settle' || (stored.payment === 'SETTLING' && node !== 'unknown_hash'),
        ),
      ),
    ).toEqual([]);
  });
  it('settling is decided only about a payment that is held now, and with S secret only early in a healthy mode', () => {
    expect(
      broken((cell, { steps }) => {
        const isDecided = steps.some(({ duty }) => duty.startsWith('settle_decided'));
        const isHeld = cell.node === 'HELD' && (cell.ours === 'OPEN' || cell.ours === 'HELD');
        const isPublic = cell.outpoints.startsWith('claim');
        const isHealthy = !cell.isDegraded && !cell.isFenced;
        const isSafe = cell.height === 'early' && cell.outpoints === 'unspent' && isHealthy;
        return isDecided === (isHeld && !cell.isReadOnly && (isPublic || isSafe));
      }),
    ).toEqual([]);
  });
  it('nothing is canceled after SETTLING', () => {
    expect(
      broken((_cell, { steps }) =>
        steps.every(
          ({ duty, stored }) =>
            (duty !== 'cancel' && duty !== 'cancel_decided') ||
            (stored.payment !== 'SETTLING' && stored.payment !== 'SETTLED'),
        ),
      ),
    ).toEqual([]);
  });
  it('while S is public nothing is given up that the node may hold', () => {
    expect(
      broken(({ outpoints, node }, { steps }) => {
        const mayBeHeld = node === 'HELD' || node === 'nothing';
        return !outpoints.startsWith('claim') || !mayBeHeld || steps.every(({ duty }) => duty !== 'cancel_decided');
      }),
    ).toEqual([]);
  });
  it('without a commit only an invoice that nobody pays is canceled', () => {
    expect(
      broken(({ node }, { steps }) =>
        steps.every(
          ({ duty, stored }) =>
            duty !== 'cancel' ||
            stored.payment === 'CANCELING' ||
            stored.payment === 'CANCELED' ||
            (stored.payment === 'OPEN' && node !== 'HELD'),
        ),
      ),
    ).toEqual([]);
  });
  it('a node without the invoice ends a payment only after CANCELING, and never in an older copy', () => {
    expect(
      broken(({ node, isFenced, isRestored }, { steps }) =>
        steps.every(
          ({ duty, stored }) =>
            duty !== 'payment_canceled' ||
            node === 'CANCELED' ||
            (node === 'unknown_hash' && stored.payment === 'CANCELING' && !isFenced && !isRestored),
        ),
      ),
    ).toEqual([]);
  });
  it('SETTLED is stored whenever it is reported and can be stored, with an alarm unless SETTLING was', () => {
    expect(
      broken(({ ours, node, isReadOnly }, { steps, end }) => {
        if (node !== 'SETTLED' || isReadOnly) return true;
        const isTold = ours === 'SETTLING' || ours === 'SETTLED' || steps[0]?.duty === 'payment_settled!';
        return end.payment === 'SETTLED' && isTold;
      }),
    ).toEqual([]);
  });
  it('S is released only after SETTLED was stored and while the node reports it', () => {
    expect(
      broken(({ node }, { steps, end }) => {
        const release = steps.find(({ duty }) => duty === 'preimage_released');
        if (release === undefined) return !end.isPreimageReleased;
        return node === 'SETTLED' && release.stored.payment === 'SETTLED';
      }),
    ).toEqual([]);
  });
  it('nothing is stored while read-only, and a spend that is seen is stored otherwise', () => {
    expect(
      broken(({ outpoints, isReadOnly, ours }, { end }) => {
        if (isReadOnly) return end.version === 3 && end.payment === ours && end.state === 'FUNDED';
        if (outpoints === 'unspent') return end.state === 'FUNDED';
        return end.state === (outpoints.startsWith('claim') ? 'CLAIM_SEEN' : 'REFUND_SEEN');
      }),
    ).toEqual([]);
  });
  it('nothing new is begun', () => {
    const begun = new Set(['create_invoice', 'fund', 'broadcast_funding', 'sign_abort', 'broadcast_abort']);
    expect(broken((_cell, { steps }) => steps.every(({ duty }) => !begun.has(duty)))).toEqual([]);
  });
});
