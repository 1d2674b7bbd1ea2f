import { beforeAll, describe, expect, it } from 'vitest';

import { randomScalar, type Zkp } from '../../../src/core/blind.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { buildClaim, buildRefund, type HtlcSpend, type HtlcSpendOptions } from '../../../src/core/htlcSpend.js';
import { feeFor, fullVsize, SEQUENCE_REPLACEABLE, type HtlcOutpoint, type TxInput } from '../../../src/core/tx.js';
import { assetAmount, assetId, blockHeight, outpoint, sat, satPerKvb, type AssetId } from '../../../src/core/units.js';
import { openOutput } from './unblind.js';
import { keyOf, loadZkp, preimageOf, randomBytes, refusal } from './zkp.js';

const LBTC = assetId('5ac9f65c0efcc4775e0baec4ec03abdde22473cd3cf33c0419ca290e0751b225');
const GOLD = assetId('11'.repeat(32));
const CLAIM = keyOf('claim');
const REFUND = keyOf('refund');
const BLINDING = keyOf('blinding');
const REFUND_HEIGHT = blockHeight(3_000_000);
const preimage = preimageOf('S');
const witnessScript = htlcWitnessScript({
  paymentHash: hashPreimage(preimage),
  claimPkh: CLAIM.pkh,
  refundPkh: REFUND.pkh,
  refundHeight: REFUND_HEIGHT,
});

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

const at = (vout: number, id: AssetId, value: bigint): HtlcOutpoint => ({
  outpoint: outpoint('99'.repeat(32), vout),
  assetId: id,
  value: assetAmount(value),
});
const BOTH = [at(0, GOLD, 5_000n), at(1, LBTC, 1_200n)];

const common = (change: Partial<HtlcSpendOptions> = {}): HtlcSpendOptions => ({
  zkp,
  outpoints: BOTH,
  witnessScript,
  privateKey: CLAIM.privateKey,
  payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
  policyAsset: LBTC,
  feeRate: satPerKvb(100n),
  maxFeeSat: sat(10_000n),
  randomBytes,
  ...change,
});
const claim = (change: Partial<HtlcSpendOptions> = {}): HtlcSpend =>
  buildClaim({ ...common(change), preimage, sequence: SEQUENCE_REPLACEABLE });
const refund = (change: Partial<HtlcSpendOptions> = {}): HtlcSpend =>
  buildRefund({ ...common({ privateKey: REFUND.privateKey, ...change }) });

/** Asset, amount and place of every output: the payout script's, or the fee. */
const payouts = ({ tx }: HtlcSpend): unknown[] =>
  tx.outs.map((output) => {
    const { assetId: id, value } = openOutput(zkp, output, BLINDING.privateKey);
    return [id, value, output.script.length === 0 ? 'fee' : 'payout'];
  });

describe('a claim', () => {
  it('pays the asset, the rest of the subsidy as change, and the fee', () => {
    const spend = claim();
    expect(payouts(spend)).toEqual([
      [GOLD, 5_000n, 'payout'],
      [LBTC, 1_200n - spend.feeSat, 'payout'],
      [LBTC, spend.feeSat, 'fee'],
    ]);
    expect(spend.feeSat).toBe(40n); // 393 vB at 0.1 sat/vB
    expect(spend.tx.locktime).toBe(0);
  });
  it('pays at least the rate, and at most 1 vB per signature more', () => {
    for (const rate of [100n, 137n, 1_000n, 1_700n]) {
      const { tx, feeSat } = claim({ feeRate: satPerKvb(rate) });
      expect(feeSat).toBeGreaterThanOrEqual(feeFor(fullVsize(tx), satPerKvb(rate)));
      expect(feeSat).toBeLessThanOrEqual(feeFor(fullVsize(tx) + 2, satPerKvb(rate)));
    }
  });
  it('carries the preimage in every input, and the sequence it is told', () => {
    const { tx } = buildClaim({ ...common(), preimage, sequence: 0xffff_ffff });
    expect(tx.ins.map((input) => input.sequence)).toEqual([0xffff_ffff, 0xffff_ffff]);
    expect(tx.ins.map((input) => input.witness[2])).toEqual([Buffer.from(preimage), Buffer.from(preimage)]);
  });
  it('gives everything left to the fee when less than 500 sat would remain', () => {
    const spend = claim({ outpoints: [at(0, GOLD, 5_000n), at(1, LBTC, 539n)] });
    expect(payouts(spend)).toEqual([
      [GOLD, 5_000n, 'payout'],
      [LBTC, 539n, 'fee'],
    ]);
    expect(payouts(claim({ outpoints: [at(0, GOLD, 5_000n), at(1, LBTC, 540n)] }))).toContainEqual([
      LBTC,
      500n,
      'payout',
    ]);
  });
  it('blinds asset and change for the key that is given', () => {
    const spend = claim({ blindingPubkey: BLINDING.pubkey, feeRate: satPerKvb(200n) });
    expect(payouts(spend)).toEqual([
      [GOLD, 5_000n, 'payout'],
      [LBTC, 1_200n - spend.feeSat, 'payout'],
      [LBTC, spend.feeSat, 'fee'],
    ]);
    expect(spend.tx.outs.map((output) => output.value.length)).toEqual([33, 33, 9]);
    // The full size counts, although some nodes give a discount: 2642 vB.
    expect(spend.feeSat).toBe(529n);
    expect(fullVsize(spend.tx)).toBeLessThanOrEqual(2_645);
  });
  it('of L-BTC alone pays one output', () => {
    const spend = claim({ outpoints: [at(0, LBTC, 100_000n)] });
    expect(payouts(spend)).toEqual([
      [LBTC, 100_000n - spend.feeSat, 'payout'],
      [LBTC, spend.feeSat, 'fee'],
    ]);
    expect(spend.feeSat).toBe(23n);
  });
  it('may be helped by coins of a wallet, which come after the HTLC and are signed by it', () => {
    const coin: TxInput = {
      ...at(7, LBTC, 50_000n),
      sequence: SEQUENCE_REPLACEABLE,
      assetBlinder: randomScalar(zkp, randomBytes),
      valueBlinder: randomScalar(zkp, randomBytes),
    };
    const change = { outpoints: [at(0, GOLD, 5_000n)], feeInputs: [coin], feeRate: satPerKvb(1_000n) };
    const spend = claim({ ...change, blindingPubkey: BLINDING.pubkey });
    expect(payouts(spend)).toContainEqual([LBTC, 50_000n - spend.feeSat, 'payout']);
    expect(spend.tx.ins.map((input) => input.witness.length)).toEqual([5, 0]);
    // 107 bytes of witness are still to come: signature, key and their lengths, a quarter each.
    expect(spend.feeSat).toBeGreaterThanOrEqual(feeFor(fullVsize(spend.tx) + 26, satPerKvb(1_000n)));
    expect(() => claim(change)).toThrow(refusal('blinding key'));
  });

  const feerate = (message: string): Error => refusal(message, 'feerate_too_high');
  it.each([
    ['whose fee exceeds the subsidy', { feeRate: satPerKvb(10_000n) }, feerate('3270 needed, 1200 there')],
    [
      'of L-BTC that would leave less than 500 sat',
      { outpoints: [at(0, LBTC, 600n)], feeRate: satPerKvb(1_000n) },
      feerate('225 needed, 600 there, of which 500 must remain'),
    ],
    ['of 500 sat of L-BTC', { outpoints: [at(0, LBTC, 500n)] }, refusal('more than 500 sat')],
    ['of the asset alone, without L-BTC', { outpoints: [at(0, GOLD, 5_000n)] }, refusal('L-BTC to pay the fee')],
    ['above the fee ceiling', { maxFeeSat: sat(39n) }, feerate('40 needed, at most 39 allowed')],
    [
      'above the fee ceiling for lack of change',
      { outpoints: [at(0, GOLD, 5_000n), at(1, LBTC, 499n)], maxFeeSat: sat(498n) },
      feerate('499 needed, at most 498 allowed'),
    ],
    ['of nothing', { outpoints: [] }, refusal('outpoints: expected at least one')],
    ['of two assets', { outpoints: [...BOTH, at(2, assetId('33'.repeat(32)), 1n)] }, refusal('one asset and L-BTC')],
    ['of one outpoint twice', { outpoints: [...BOTH, at(0, GOLD, 5_000n)] }, refusal('each outpoint once')],
    ['with the refund key', { privateKey: REFUND.privateKey }, refusal('that of the branch')],
    ['of another script', { witnessScript: Buffer.of(0x51) }, refusal('the HTLC template')],
  ])('is refused: one %s', (_, change, error) => {
    expect(() => claim(change)).toThrow(error);
  });
  it('is refused with another preimage, which is not shown', () => {
    const options = { ...common(), preimage: preimageOf('other'), sequence: SEQUENCE_REPLACEABLE };
    expect(() => buildClaim(options)).toThrow(refusal('preimage: expected the one of the payment hash, found another'));
  });
});

describe('a refund', () => {
  it('is locked to the refund height, replaceable, and takes the branch without preimage', () => {
    const { tx, feeSat } = refund();
    expect(tx.locktime).toBe(REFUND_HEIGHT);
    expect(tx.ins.map((input) => input.sequence)).toEqual([SEQUENCE_REPLACEABLE, SEQUENCE_REPLACEABLE]);
    expect(tx.ins.map((input) => input.witness.map((item) => item.length))).toEqual(
      [0, 1].map(() => [expect.toSatisfy((length: number) => length <= 72) as number, 33, 0, witnessScript.length]),
    );
    expect(feeSat).toBe(38n); // 376 vB
  });
  it('takes back the asset and the rest of the subsidy in one transaction', () => {
    const spend = refund();
    expect(payouts(spend)).toEqual([
      [GOLD, 5_000n, 'payout'],
      [LBTC, 1_200n - spend.feeSat, 'payout'],
      [LBTC, spend.feeSat, 'fee'],
    ]);
  });
  it('of the left-over subsidy alone pays one output', () => {
    const spend = refund({ outpoints: [at(1, LBTC, 1_200n)] });
    expect(payouts(spend)).toEqual([
      [LBTC, 1_200n - spend.feeSat, 'payout'],
      [LBTC, spend.feeSat, 'fee'],
    ]);
  });
  it('of the same outpoints at a higher rate pays a higher fee', () => {
    expect(refund({ feeRate: satPerKvb(500n) }).feeSat).toBeGreaterThan(refund().feeSat);
  });
  it('is refused with the claim key, and above the subsidy', () => {
    expect(() => refund({ privateKey: CLAIM.privateKey })).toThrow(refusal('that of the branch'));
    expect(() => refund({ privateKey: Buffer.alloc(32) })).toThrow(refusal('that of the branch'));
    expect(() => refund({ feeRate: satPerKvb(10_000n) })).toThrow(refusal('1200 there', 'feerate_too_high'));
  });
});
