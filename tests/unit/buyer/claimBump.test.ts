/** When a claim needs another version: every reason, and what must not be one. */
import { beforeAll, describe, expect, it } from 'vitest';

import { signClaim, type ClaimSource } from '../../../src/buyer/claim.js';
import { bumpFor, type ClaimSituation, type ClaimVersion } from '../../../src/buyer/claimBump.js';
import type { ClaimView, HtlcSpend } from '../../../src/buyer/claimLook.js';
import type { Zkp } from '../../../src/core/blind.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  outpoint,
  satPerKvb,
  txid,
  type BlockHeight,
} from '../../../src/core/units.js';
import type { BroadcastOutcome, RejectReason } from '../../../src/liquid/chain.js';
import { keyOf, loadZkp, preimageOf } from '../core/zkp.js';

const PREIMAGE = preimageOf('bump');
const T = blockHeight(2_000);
const { policyAsset } = LIQUID_NETWORKS.regtest;
const terms = {
  paymentHash: hashPreimage(PREIMAGE),
  claimPkh: keyOf('buyer').pkh,
  refundPkh: keyOf('refund').pkh,
  refundHeight: T,
};
const source: ClaimSource = {
  network: 'regtest',
  paymentHash: terms.paymentHash,
  witnessScript: htlcWitnessScript(terms),
  refundHeight: T,
  outpoints: [
    { outpoint: outpoint('fa'.repeat(32), 0), assetId: assetId('11'.repeat(32)), value: assetAmount(250n) },
    { outpoint: outpoint('fa'.repeat(32), 1), assetId: policyAsset, value: assetAmount(1_000n) },
  ],
  fundingTx: Buffer.of(1),
  privateKey: keyOf('buyer').privateKey,
  payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
};

let zkp: Zkp;
let far: ClaimVersion;
let near: ClaimVersion;
const SIGNED = blockHeight(1_000);

function version(tipHeight: BlockHeight, rate: bigint): ClaimVersion {
  const claim = signClaim(zkp, source, { preimage: PREIMAGE, tipHeight, feeRate: satPerKvb(rate) });
  return { txid: claim.txid, raw: claim.raw, height: tipHeight };
}

beforeAll(async () => {
  zkp = await loadZkp();
  far = version(SIGNED, 200n);
  near = version(blockHeight(T - 60), 101n);
});

const rejected = (reason: RejectReason): BroadcastOutcome => ({ kind: 'rejected', reason, text: reason });
const spend = (of: ClaimVersion, over: Partial<HtlcSpend> = {}): HtlcSpend => ({
  kind: 'claimed',
  txid: of.txid,
  raw: of.raw,
  confirmations: 0,
  spends: [0, 1],
  ...over,
});
const stranger = (over: Partial<HtlcSpend> = {}): HtlcSpend =>
  spend(far, { kind: 'refunded', txid: txid('5e'.repeat(32)), ...over });
const view = (tip: number, spends: readonly HtlcSpend[] = [], rate = 100n): ClaimView => ({
  tip: blockHeight(tip),
  feeRate: satPerKvb(rate),
  spends,
});
const reason = (over: Partial<ClaimSituation>): string | undefined =>
  bumpFor({ source, versions: [far], views: [view(1_001)], outcomes: [], waitsSince: SIGNED, ...over })?.reason;

describe('a claim is signed again', () => {
  it('after three blocks, and not before', () => {
    expect(reason({ views: [view(1_002, [spend(far)])] })).toBeUndefined();
    expect(reason({ views: [view(1_003, [spend(far)])] })).toBe('slow');
  });
  it('when the rate rises beyond what it pays, by the highest server', () => {
    expect(reason({ views: [view(1_001, [spend(far)], 199n)] })).toBeUndefined();
    expect(reason({ views: [view(1_001), view(1_001, [], 250n)] })).toBe('rate_rose');
  });
  it('when the refund comes near and it could be replaced, but a final one is not', () => {
    expect(reason({ views: [view(T - 61, [spend(far)])], waitsSince: blockHeight(T - 61) })).toBeUndefined();
    expect(reason({ views: [view(T - 60, [spend(far)])], waitsSince: blockHeight(T - 60) })).toBe('refund_near');
    const final = { versions: [near], waitsSince: blockHeight(T - 60) };
    expect(reason({ ...final, views: [view(T - 50, [spend(near)], 9_000n)] })).toBeUndefined();
    expect(reason({ ...final, views: [view(T - 50)] })).toBeUndefined();
  });
  it('when nobody takes it for its fee, a final one, too', () => {
    expect(reason({ outcomes: [rejected('insufficient_fee')] })).toBe('fee_refused');
    expect(reason({ outcomes: [rejected('insufficient_fee'), { kind: 'unknown', cause: 1 }] })).toBe('fee_refused');
    expect(reason({ outcomes: [rejected('insufficient_fee'), { kind: 'accepted' }] })).toBeUndefined();
    expect(
      reason({ versions: [near], views: [view(T - 59)], outcomes: [rejected('insufficient_fee')], waitsSince: T }),
    ).toBe('fee_refused');
  });
  it('at most four times at one height, whatever a server refuses', () => {
    const versions = [1n, 2n, 3n, 4n].map((each) => ({ ...version(SIGNED, 200n + each), height: blockHeight(1_001) }));
    const outcomes = [rejected('insufficient_fee')];
    expect(reason({ versions: versions.slice(0, 3), outcomes })).toBe('fee_refused');
    expect(reason({ versions, outcomes, waitsSince: blockHeight(1_001) })).toBeUndefined();
  });
  it('when something replaceable is in its way, and not when that is final', () => {
    const outcomes = [rejected('conflict')];
    expect(reason({ views: [view(1_001, [stranger()])], outcomes })).toBe('conflict');
    expect(reason({ views: [view(1_001, [stranger({ raw: near.raw })])], outcomes })).toBeUndefined();
  });
  it('when an input is gone', () => {
    const outcomes = [rejected('missing_inputs')];
    expect(reason({ outcomes })).toBeUndefined(); // the funding is away; it is broadcast again
    const taken = view(1_001, [stranger({ spends: [1], confirmations: 1 })]);
    expect(reason({ views: [taken], outcomes })).toBe('input_spent');
  });
  it('never once it, or a refund, is in a block', () => {
    for (const each of [spend(far, { confirmations: 1 }), stranger({ confirmations: 1 })]) {
      expect(reason({ views: [view(1_500), view(1_500, [each], 9_000n)] })).toBeUndefined();
    }
  });
});

describe('the next version', () => {
  const bump = (views: ClaimView[]): ReturnType<typeof bumpFor> =>
    bumpFor({ source, versions: [far, near], views, outcomes: [rejected('conflict')], waitsSince: SIGNED });
  it('replaces all versions and all that waits beside them', () => {
    const found = bumpFor({
      source,
      versions: [far],
      views: [view(1_001, [stranger({ raw: far.raw })]), view(1_004)],
      outcomes: [],
      waitsSince: SIGNED,
    });
    expect(found).toMatchObject({ reason: 'slow', tipHeight: 1_004, feeRate: 100n });
    expect(found?.replaces).toHaveLength(2);
  });
  it('leaves out an output beside the asset that is gone, and never the asset', () => {
    const gone = [stranger({ spends: [1], confirmations: 1 })];
    expect(
      bumpFor({ source, versions: [far], views: [view(1_004, gone)], outcomes: [], waitsSince: SIGNED })?.outpoints,
    ).toEqual(source.outpoints.slice(0, 1));
    expect(bump([view(1_004, [stranger()])])?.outpoints ?? source.outpoints).toEqual(source.outpoints);
  });
});
