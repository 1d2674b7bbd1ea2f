/** Whatever byte of a valid swap is changed, the swap is refused or the buyer would pay and claim exactly the same. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import type { Deal, Handover, Surroundings } from '../../../src/buyer/deal.js';
import { failedCodes, verifySwap, type VerificationReport } from '../../../src/buyer/verify.js';
import type { Zkp } from '../../../src/core/blind.js';
import { MAX_FINAL_CLTV_DELTA, payerMinBlocks, PROFILES } from '../../../src/core/timelock.js';
import { parseTransaction, txidOf } from '../../../src/core/tx.js';
import { assetAmount, assetId, blockHeight, hex, msat, quoteId, sat, swapId, txid } from '../../../src/core/units.js';
import { keyOf, loadZkp } from '../core/zkp.js';
import { honest, NOW, tell, TIP, type AnsweringServer } from './honest.js';
import { inHtlc, inInvoice, inTerms } from './verifyLies.js';

type Told = { readonly deal: Deal; readonly handover: Handover; readonly around: Surroundings };

let zkp: Zkp;
let told: Told;
let truth: NonNullable<VerificationReport['facts']>;
beforeAll(async () => {
  zkp = await loadZkp();
  told = tell(zkp, honest('liquidv1'));
  const { facts } = verify({});
  if (facts === undefined) throw new Error('the honest story is refused');
  truth = facts;
});

const verify = (part: Partial<Told>): VerificationReport => {
  const { deal, handover, around } = { ...told, ...part };
  return verifySwap(deal, handover, around);
};

/** True if it was refused. @throws if it passes as something else than the truth. */
function isRefused({ facts }: VerificationReport): boolean {
  if (facts === undefined) return true;
  const { fundingTx, ...same } = facts;
  const { fundingTx: original, ...expected } = truth;
  expect(same).toEqual(expected);
  // What the txid does not cover (signatures) may be shown with errors; the outputs are the same ones.
  expect(txidOf(parseTransaction(fundingTx))).toBe(txidOf(parseTransaction(original)));
  return false;
}

const flipped = (bytes: Uint8Array, bit: number): Buffer => {
  const copy = Buffer.from(bytes);
  const at = bit >> 3;
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit & 7));
  return copy;
};
const bitsOf = (bytes: Uint8Array): number[] => Array.from({ length: bytes.length * 8 }, (_, bit) => bit);
const inHandover = (part: Partial<Handover>): Partial<Told> => ({ handover: { ...told.handover, ...part } });

describe('a valid swap with one change', () => {
  it('in any bit of its witness script is refused', () => {
    const { witnessScript } = told.handover;
    const passed = bitsOf(witnessScript).filter(
      (bit) => !isRefused(verify(inHandover({ witnessScript: flipped(witnessScript, bit) }))),
    );
    expect(passed).toEqual([]);
  });

  it('in any bit of its swap id or of its txid is refused', () => {
    const id = Buffer.from(told.handover.swapId, 'hex');
    const funding = Buffer.from(told.handover.fundingTxid, 'hex');
    const passed = [
      ...bitsOf(id).filter((bit) => !isRefused(verify(inHandover({ swapId: swapId(hex(flipped(id, bit))) })))),
      ...bitsOf(funding).filter(
        (bit) => !isRefused(verify(inHandover({ fundingTxid: txid(hex(flipped(funding, bit))) }))),
      ),
    ];
    expect(passed).toEqual([]);
  });

  it('in any letter of its invoice is refused', () => {
    const { bolt11 } = told.handover;
    const passed = Array.from({ length: bolt11.length }).flatMap((_, at) =>
      ['q', 'p', 'z', '1', 'b', ' ', '\u0000']
        .filter((other) => other !== bolt11[at])
        .filter(
          (other) => !isRefused(verify(inHandover({ bolt11: bolt11.slice(0, at) + other + bolt11.slice(at + 1) }))),
        ),
    );
    expect(passed).toEqual([]);
  });

  it('in any bit of the funding that one or both servers show is refused or harmless', () => {
    const raw = truth.fundingTx;
    const shown = (funding: Buffer, both: boolean): Partial<Told> => ({
      around: {
        ...told.around,
        servers: told.around.servers.map((server, i) =>
          i === 0 || both ? { ...(server as AnsweringServer), funding } : server,
        ),
      },
    });
    const harmless = bitsOf(raw).filter((bit) => {
      const funding = flipped(raw, bit);
      return [isRefused(verify(shown(funding, false))), isRefused(verify(shown(funding, true)))].includes(false);
    });
    // The honest funding is unsigned here: nothing in it is outside of its txid.
    expect(harmless).toEqual([]);
  });

  it.each<[string, (deal: Deal) => Partial<Deal>]>([
    ['seller', () => ({ sellerNodeId: keyOf('mallory').pubkey })],
    ['quote', () => ({ quoteId: quoteId('ef'.repeat(16)) })],
    ['asset', () => ({ assetId: assetId('33'.repeat(32)) })],
    ['amount', (deal) => ({ assetAmount: assetAmount(deal.assetAmount + 1n) })],
    ['price', (deal) => ({ priceMsat: msat(deal.priceMsat + 1n) })],
    ['subsidy', (deal) => ({ feeSubsidySat: sat(deal.feeSubsidySat + 1n) })],
    ['profile', () => ({ profile: 'near' })],
    ['refund delta', (deal) => ({ refundDeltaBlocks: deal.refundDeltaBlocks - 1 })],
    ['depth', (deal) => ({ minFundingConfs: deal.minFundingConfs - 1 })],
    ['invoice expiry', (deal) => ({ invoiceExpirySecs: deal.invoiceExpirySecs + 1 })],
    ['claim key', () => ({ claimPubkey: keyOf('mallory').pubkey })],
  ])('in the %s that the buyer asked for is refused, for the seller signed the terms', (_, change) => {
    const report = verify({ deal: { ...told.deal, ...change(told.deal) } });
    expect(isRefused(report)).toBe(true);
    const bound = failedCodes(report).filter((code) =>
      /^(terms_hash_mismatch|invoice_signature_payee|script_claim_key)$/.test(code),
    );
    expect(bound).not.toEqual([]);
  });
});

describe('an invoice that the seller signs anew', () => {
  it('over any other terms is refused', () => {
    const terms = fc.oneof(
      fc.record({ assetAmount: fc.bigInt({ min: 1n, max: 10n ** 15n }).filter((value) => value !== 250n) }),
      fc.record({ feeSubsidySat: fc.bigInt({ min: 0n, max: 10n ** 15n }).filter((value) => value !== 1_000n) }),
      fc.record({ refundDeltaBlocks: fc.nat(100_000).filter((value) => value !== 10_080) }),
      fc.record({ invoiceExpirySecs: fc.nat(100_000).filter((value) => value !== 600) }),
      fc.record({ profile: fc.constantFrom('near', 'direct', 'regtest') }),
    );
    fc.assert(
      fc.property(terms, (part) => {
        const story = inTerms(part)(honest('liquidv1'));
        const { deal, handover, around } = tell(zkp, story);
        expect(failedCodes(verifySwap(deal, handover, around))).toEqual(['terms_hash_mismatch']);
      }),
      { numRuns: 60 },
    );
  });

  it('passes only with a final CLTV and a refund height that leave the slowest payment time enough', () => {
    const { payerMin } = PROFILES.routed;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 9_000, max: 10_100 }), (finalCltv, left) => {
        const story = inInvoice({ finalCltv })(inHtlc({ refundHeight: blockHeight(TIP + left) })(honest('liquidv1')));
        const { deal, handover, around } = tell(zkp, story);
        const { facts } = verifySwap(deal, handover, around);
        expect(facts !== undefined).toBe(finalCltv <= MAX_FINAL_CLTV_DELTA && left >= payerMin + 2);
        if (facts === undefined) return;
        const cap = facts.maxTotalCltvDelta;
        expect(left).toBeGreaterThanOrEqual(payerMinBlocks(cap) + 2);
        expect(finalCltv + 3).toBeLessThanOrEqual(cap);
        expect(cap === 432 || payerMinBlocks(cap + 1) + 2 > left).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('passes only while it has 120 seconds left and asks the price to the millisatoshi', () => {
    fc.assert(
      fc.property(fc.integer({ min: -300, max: 600 }), fc.constantFrom(-1n, 0n, 1n), (left, extra) => {
        const amount = `${(told.deal.priceMsat + extra) * 10n}p`;
        const story = inInvoice({ createdAt: NOW - 600 + left, expirySecs: 600, amount })(honest('liquidv1'));
        const { deal, handover, around } = tell(zkp, story);
        const { facts } = verifySwap(deal, handover, around);
        expect(facts !== undefined).toBe(left >= 120 && extra === 0n);
      }),
      { numRuns: 60 },
    );
  });
});
