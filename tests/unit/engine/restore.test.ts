/** What the operator says with the daemon stopped, and when it is refused. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { hashPreimage, htlcWitnessScript, pubkeyHash } from '../../../src/core/htlc.js';
import type { PaymentStatus, Swap } from '../../../src/core/swap.js';
import { blockHeight, outpoint, paymentHash, swapId, txid, unixSecs } from '../../../src/core/units.js';
import { writeBundle, type Bundle } from '../../../src/engine/bundle.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { compareWithFiles } from '../../../src/engine/fence.js';
import { checkBundle } from '../../../src/engine/recovery.js';
import { acceptPaymentRisk, acceptRestore, sayNodeIsGone } from '../../../src/engine/restore.js';
import { SwapError } from '../../../src/errors.js';
import { openFindings, saveFinding } from '../../../src/store/fence.js';
import { markRestored } from '../../../src/store/restored.js';
import { findSwap, nextKeyIndex } from '../../../src/store/swaps.js';
import { FUNDING, fundedWith, pathTo, REFUND_HEIGHT } from '../../support/swapFixtures.js';
import { storeMoved, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf } from '../core/zkp.js';
import { engineContext } from './testContext.js';

/** The code of what is thrown. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SwapError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

let temp: TempStore;
let ctx: EngineContext;
beforeEach(() => {
  temp = tempStore();
  ctx = engineContext(temp);
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const funded = (n: number, payment: PaymentStatus, isRestored = false): Swap => {
  const swap = storeMoved(temp.store, n, pathTo('FUNDED', payment));
  if (isRestored) {
    temp.store.tx(() => {
      markRestored(temp.store, swap.id);
    });
  }
  return swap;
};
const stored = ({ id }: Swap): Pick<Swap, 'payment' | 'isRestored'> => {
  const swap = findSwap(temp.store, id);
  if (swap === undefined) throw new Error('no swap');
  return { payment: swap.payment, isRestored: swap.isRestored };
};
const fence = (): void => {
  temp.store.tx(() => {
    saveFinding(temp.store, { kind: 'spend', id: 'aa', text: 'a coin was spent' }, unixSecs(1));
  });
};

describe('accept-restore', () => {
  it('marks every swap that is open, leaves the others alone, and accepts what was found', () => {
    const open = funded(1, 'OPEN');
    const ended = storeMoved(temp.store, 2, pathTo('REFUNDED', 'CANCELED'));
    fence();
    expect(acceptRestore(ctx)).toBe(1);
    expect([stored(open).isRestored, stored(ended).isRestored]).toEqual([true, false]);
    expect([openFindings(temp.store), compareWithFiles(ctx)]).toEqual([[], []]);
  });

  it('leaves out the keys of bundles, and of swaps whose bundles are lost, too', () => {
    const { keyIndex } = funded(1, 'OPEN');
    expect(nextKeyIndex(temp.store)).toBe(keyIndex + 1);
    writeBundle(temp.dir, { ...fundedWith('OPEN'), keyIndex: 777 });
    acceptRestore(ctx);
    expect(nextKeyIndex(temp.store)).toBe(778 + 10_000);
  });
});

describe('--node-gone', () => {
  it('takes a committed cancellation for a final one', () => {
    const swap = funded(1, 'CANCELING');
    sayNodeIsGone(ctx, swap.id);
    expect(stored(swap).payment).toBe('CANCELED');
  });

  it.each<PaymentStatus>(['OPEN', 'HELD', 'SETTLING', 'SETTLED', 'CANCELED'])(
    'is refused while it is %s',
    (payment) => {
      const swap = funded(1, payment);
      expect(
        codeOf(() => {
          sayNodeIsGone(ctx, swap.id);
        }),
      ).toBe('forbidden');
      expect(stored(swap).payment).toBe(payment);
    },
  );

  it('is refused for a restored swap, a FENCED database and a swap that is not there', () => {
    const swap = funded(1, 'CANCELING', true);
    const say = (id = swap.id): unknown =>
      codeOf(() => {
        sayNodeIsGone(ctx, id);
      });
    expect([say(), say(swapId('ee'.repeat(16)))]).toEqual(['forbidden', 'swap_not_found']);
    fence();
    expect(say()).toBe('fenced');
  });
});

describe('--accept-payment-risk', () => {
  it.each<PaymentStatus>(['OPEN', 'HELD', 'CANCELING', 'CANCELED'])('cancels a restored swap that is %s', (payment) => {
    const swap = funded(1, payment, true);
    acceptPaymentRisk(ctx, swap.id);
    expect(stored(swap)).toEqual({ payment: 'CANCELED', isRestored: false });
  });

  it('cancels one that was never funded', () => {
    const swap = storeMoved(temp.store, 1, []);
    temp.store.tx(() => {
      markRestored(temp.store, swap.id);
    });
    acceptPaymentRisk(ctx, swap.id);
    expect(stored(swap)).toEqual({ payment: 'CANCELED', isRestored: false });
  });

  it.each<PaymentStatus>(['SETTLING', 'SETTLED'])('is refused when it is %s: S may be out', (payment) => {
    const swap = funded(1, payment, true);
    expect(
      codeOf(() => {
        acceptPaymentRisk(ctx, swap.id);
      }),
    ).toBe('forbidden');
    expect(stored(swap)).toEqual({ payment, isRestored: true });
  });

  it('is refused when there is no such risk, and while FENCED', () => {
    const swap = funded(1, 'CANCELING');
    const take = (): unknown =>
      codeOf(() => {
        acceptPaymentRisk(ctx, swap.id);
      });
    expect(take()).toBe('forbidden');
    fence();
    expect(take()).toBe('fenced');
  });
});

describe('a bundle', () => {
  const id = swapId('a1'.repeat(16));
  const bundle = (): Bundle => {
    const hash = hashPreimage(ctx.keys.preimageFor(id));
    const refundPkh = pubkeyHash(ctx.keys.refundKey(7).pubkey);
    const terms = { paymentHash: hash, claimPkh: keyOf('buyer').pkh, refundPkh, refundHeight: REFUND_HEIGHT };
    return { ...FUNDING, id, paymentHash: hash, keyIndex: 7, witnessScript: htlcWitnessScript(terms) };
  };

  it('is believed when hash, script, key and outpoints come from this seed and belong together', () => {
    expect(() => {
      checkBundle(ctx, bundle());
    }).not.toThrow();
  });

  it.each<[what: string, over: Partial<Bundle>]>([
    ['another swap', { id: swapId('a2'.repeat(16)) }],
    ['another hash', { paymentHash: paymentHash('aa'.repeat(32)) }],
    ['another key', { keyIndex: 8 }],
    ['another script', { witnessScript: FUNDING.witnessScript }],
    ['no HTLC', { witnessScript: Buffer.from('51', 'hex') }],
    ['another refund height', { refundHeight: blockHeight(REFUND_HEIGHT - 1) }],
    ['another funding', { fundingTxid: txid('ab'.repeat(32)) }],
    [
      'an outpoint of another transaction',
      {
        outpoints: [
          { ...(FUNDING.outpoints[0] as Bundle['outpoints'][number]), outpoint: outpoint('ab'.repeat(32), 0) },
        ],
      },
    ],
  ])('is refused when it names %s', (_, over) => {
    expect(
      codeOf(() => {
        checkBundle(ctx, { ...bundle(), ...over });
      }),
    ).toBe('invalid_argument');
  });
});
