/** What a person is told after a verification: when to pay, when to have claimed, and what happens otherwise. */
import { beforeAll, describe, expect, it } from 'vitest';

import { outlook, type Outlook } from '../../../src/buyer/outlook.js';
import { verifySwap } from '../../../src/buyer/verify.js';
import type { Zkp } from '../../../src/core/blind.js';
import { blockHeight, unixSecs } from '../../../src/core/units.js';
import { loadZkp } from '../core/zkp.js';
import { honest, NOW, tell, TIP, type Story } from './honest.js';
import { inHtlc, inInvoice, inServer } from './verifyLies.js';

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

function outlookOf(story: Story): Outlook {
  const { deal, handover, around } = tell(zkp, story);
  return outlook(verifySwap(deal, handover, around), unixSecs(NOW));
}

describe('a swap that may be paid', () => {
  it('has a last moment to pay, a cap, and a height by which the claim is final before the refund opens', () => {
    const story = inHtlc({ refundHeight: blockHeight(TIP + 10_000) })(honest('liquidv1'));
    const { next, ...numbers } = outlookOf(story);
    expect(numbers).toEqual({
      refundHeight: TIP + 10_000,
      blocksLeft: 10_000,
      payUntil: NOW - 60 + 600 - 120,
      claimBy: { height: TIP + 9_999, time: NOW + 9_999 * 60 },
      maxTotalCltvDelta: 432,
    });
    const text = next.join('\n');
    for (const fact of ['2027-01-15 08:07:00 UTC', '432 blocks', '10999', '11000', '2027-01-22 06:39:00 UTC']) {
      expect(text).toContain(fact);
    }
  });

  it('knows no time of a height on regtest, where blocks come when somebody wants them', () => {
    const { claimBy, next } = outlookOf(honest());
    expect(claimBy).toEqual({ height: TIP + 56, time: undefined });
    expect(next.join('\n')).not.toContain('not before');
  });
});

describe('a swap that may have been paid already', () => {
  it.each(['paying', 'paid', 'claiming', 'claimed', 'lost'] as const)(
    'is at step %s: nobody is told to pay it, or that nothing is locked',
    (step) => {
      for (const story of [honest(), inInvoice({ createdAt: NOW - 600 })(honest())]) {
        const { deal, handover, around } = tell(zkp, story);
        const { next, payUntil } = outlook(verifySwap(deal, handover, around), unixSecs(NOW), step);
        expect(payUntil).toBeUndefined();
        expect(next[0]).toContain(`at step ${step}`);
        expect(next.join('\n')).not.toMatch(/nothing of yours is locked|can be paid until/i);
      }
    },
  );
});

describe('a swap that must not be paid', () => {
  it.each([
    ['waits for a block', inServer({ fundingHeight: TIP }), 'Waiting may put this right'],
    ['is a lie', inInvoice({ signer: 'mallory' }), 'what the seller handed over is not what you ordered'],
    ['is over', inInvoice({ createdAt: NOW - 600 }), 'this swap is over'],
  ])('and %s names no deadline and says so', (_, lie, sentence) => {
    const { next, ...numbers } = outlookOf(lie(honest()));
    expect(Object.values(numbers)).toEqual(Array(5).fill(undefined));
    expect(next[0]).toContain('Do not pay');
    expect(next.join('\n')).toContain(sentence);
  });

  it('names the checks that failed', () => {
    expect(outlookOf(inInvoice({ signer: 'mallory' })(honest())).next[0]).toBe(
      'Do not pay this invoice: a check failed (invoice_signature_payee).',
    );
    expect(outlookOf(inInvoice({ createdAt: NOW - 600 })(honest())).next[0]).toBe(
      'Do not pay this invoice: 2 checks failed (invoice_expired, invoice_expiry_left).',
    );
  });
});
