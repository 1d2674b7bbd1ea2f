/** What a person is told who stops a purchase. */
import { describe, expect, it } from 'vitest';

import type { Progress, StoredHtlc } from '../../../src/buyer/record.js';
import { whatIsSafe } from '../../../src/buyer/safety.js';
import { blockHeight, hex, paymentHash, swapId, txid } from '../../../src/core/units.js';
import { keyOf } from '../core/zkp.js';
import { PREIMAGE } from './honest.js';

const htlc: StoredHtlc = {
  swapId: swapId('5a'.repeat(16)),
  bolt11: 'lnbcrt1',
  paymentHash: paymentHash('11'.repeat(32)),
  witnessScript: '00',
  refundHeight: blockHeight(4321),
  fundingTx: '00',
  outpoints: [],
};
const paid = { htlc, preimage: hex(PREIMAGE) };

describe('a purchase that is stopped', () => {
  it.each<[Progress, RegExp]>([
    [{ step: 'quoted' }, /^Nothing was paid.*safe to leave/],
    [{ step: 'created', swapId: htlc.swapId }, /^Nothing was paid.*safe to leave/],
    [{ step: 'verified', htlc }, /^Nothing was paid.*safe to leave/],
    [
      { step: 'paying', htlc, payer: { kind: 'node', nodeId: keyOf('own').pubkey } },
      /may be on its way.*Lightning node.*4321/,
    ],
    [{ step: 'paying', htlc, payer: { kind: 'external' } }, /may be on its way.*wallet.*4321/],
    [{ step: 'paid', ...paid }, /without delay, before Liquid height 4321/],
    [{ step: 'claiming', ...paid, claims: [{ txid: txid('22'.repeat(32)), raw: '00' }] }, /without delay.*4321/],
    [{ step: 'claimed', htlc, claimTxid: txid('22'.repeat(32)) }, /final: nothing is left/],
    [{ step: 'unpaid', reason: 'refused' }, /paid nothing/],
    [{ step: 'lost', htlc, refundTxid: txid('22'.repeat(32)) }, /keep the evidence/],
  ])('at %j is told in one sentence, without the preimage', (progress, sentence) => {
    const told = whatIsSafe(progress);
    expect(told).toMatch(sentence);
    expect(told).not.toContain(hex(PREIMAGE));
    expect(told.match(/[.]( |$)/g)).toHaveLength(1);
  });
});
