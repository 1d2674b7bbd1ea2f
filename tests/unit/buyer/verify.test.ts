import { beforeAll, describe, expect, it } from 'vitest';

import { CHECK_CODES, isWorthWaiting, type CheckCode } from '../../../src/buyer/check.js';
import { failedCodes, verifySwap, type VerificationReport } from '../../../src/buyer/verify.js';
import type { Zkp } from '../../../src/core/blind.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { assetAmount, blockHeight, sat, satPerKvb, unixSecs } from '../../../src/core/units.js';
import { keyOf, loadZkp } from '../core/zkp.js';
import { BLOCK, honest, NOW, tell, TIP, type Story } from './honest.js';
import {
  changeAsset,
  DISAGREEMENTS,
  inDeal,
  inHtlc,
  inInvoice,
  inServer,
  inTerms,
  SELLER_LIES,
  SERVER_LIES,
  UNCHECKED_FUNDING,
  type Lie,
} from './verifyLies.js';

const { policyAsset: LBTC } = LIQUID_NETWORKS.regtest;

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

function reportOn(story: Story): VerificationReport {
  const { deal, handover, around } = tell(zkp, story);
  const report = verifySwap(deal, handover, around);
  expect(report.checks.map(({ code }) => code)).toEqual(Object.keys(CHECK_CODES));
  expect(report.facts === undefined).toBe(report.checks.some((check) => !check.ok));
  return report;
}
const codesOf = (story: Story): CheckCode[] => failedCodes(reportOn(story));
const onMainnet = (lie: Lie, liar = 0): Story => ({ ...lie(honest('liquidv1')), liar });

describe('an honest seller', () => {
  it.each([
    ['of an asset on regtest', honest()],
    ['of L-BTC on regtest', honest('regtest', LBTC)],
    ['of an asset on mainnet, seen by two servers', honest('liquidv1')],
    ['of an asset on Liquid testnet', honest('liquidtestnet')],
  ])('%s passes every check', (_, story) => {
    expect(codesOf(story)).toEqual([]);
  });

  it('gives the buyer the facts to pay and to claim with', () => {
    const { facts } = reportOn(honest('liquidv1'));
    expect(facts).toMatchObject({ maxTotalCltvDelta: 432, tipHeight: TIP, htlc: { claimPkh: keyOf('buyer').pkh } });
    expect(facts?.outpoints.map(({ value }) => value)).toEqual([250n, 1_000n]);
  });

  it('is told in one sentence for a person, with what was expected and what was found', () => {
    for (const { expected, found, sentence } of reportOn(honest('liquidv1')).checks) {
      for (const text of [expected, found, sentence]) expect(text).toMatch(/^[\x20-\x7e]+$/);
    }
  });
});

describe('a seller that lies', () => {
  it.each(SELLER_LIES)('and %s is refused with exactly these codes', (_, lie, codes) => {
    expect(new Set(codesOf(lie(honest())))).toEqual(new Set(codes));
  });

  it('passes one block before its refund would be too early', () => {
    const late = inInvoice({ finalCltv: 18 })(inHtlc({ refundHeight: blockHeight(TIP + 32) })(honest()));
    expect(codesOf(late)).toEqual([]);
  });

  it.each([
    [9_734, []],
    [9_733, ['refund_height_too_low']],
  ])('has %i blocks left on mainnet', (left, codes) => {
    expect(codesOf(onMainnet(inHtlc({ refundHeight: blockHeight(TIP + left) })))).toEqual(codes);
  });

  it.each([
    ['an invoice with 120 seconds left', inInvoice({ createdAt: NOW - 480 }), []],
    ['a final CLTV of 57 under a cap of 60', inInvoice({ finalCltv: 57 }), []],
    ['a final CLTV of 80 under a cap of 432', inInvoice({ finalCltv: 80 }), ['liquidv1']],
  ])('may hand over %s', (_, lie, [network]) => {
    expect(codesOf(network === undefined ? lie(honest()) : onMainnet(lie))).toEqual([]);
  });
});

describe('what a server shows', () => {
  it.each(SERVER_LIES)('%s is refused with exactly these codes', (_, lie, codes) => {
    expect(codesOf(lie(honest()))).toEqual(codes);
  });

  it.each(SERVER_LIES)('%s is refused also beside an honest server, whichever is first', (_, lie, codes) => {
    // The outputs are read out of the other server's bytes then.
    const expected = codes.filter((code) => !UNCHECKED_FUNDING.some((unchecked) => unchecked === code));
    expect(codesOf(onMainnet(lie, 0))).toEqual(expected);
    expect(codesOf(onMainnet(lie, 1))).toEqual(expected);
  });

  it.each(DISAGREEMENTS)('one of two on mainnet that %s is refused with exactly these codes', (_, lie, codes) => {
    expect(codesOf(onMainnet(lie, 0))).toEqual(codes);
    if (!codes.includes('electrum_servers')) expect(codesOf(onMainnet(lie, 1))).toEqual(codes);
  });
});

describe('servers', () => {
  it('may be two blocks apart; the higher one counts', () => {
    const ahead = inServer({ tip: { height: blockHeight(TIP + 2), hash: BLOCK, time: unixSecs(NOW) } });
    expect(reportOn(onMainnet(ahead)).facts?.tipHeight).toBe(TIP + 2);
    const tight = inHtlc({ refundHeight: blockHeight(TIP + 9_735) });
    expect(codesOf(onMainnet((story) => ahead(tight(story))))).toEqual(['refund_height_too_low']);
  });

  it('must not outrun one block a minute since the last tip that we believed', () => {
    const lastAcceptedTip = { height: blockHeight(TIP - 71), at: unixSecs(NOW - 600) };
    const story = { ...honest('liquidv1'), around: { lastAcceptedTip } };
    expect(codesOf(story)).toEqual(['tip_rule', 'refund_height_too_low', 'final_cltv_vs_cap']);
  });

  it("one on mainnet is too few, and enough by the user's word", () => {
    expect(codesOf({ ...honest('liquidv1'), servers: 1 })).toEqual(['electrum_servers']);
    expect(codesOf({ ...honest('liquidv1'), servers: 1, around: { isSingleServerTrusted: true } })).toEqual([]);
  });

  it('must all answer, also where one would be enough', () => {
    const silent = (story: Story): Story => ({ ...story, server: ({ name }) => ({ name, problem: 'timeout' }) });
    expect(codesOf({ ...silent(honest()), servers: 2 })).toEqual(['electrum_servers']);
  });

  it.each([
    ['ssl://a.example.com:50002', 'ssl://b.example.com:50002', false],
    ['ssl://a.example.com:50002', 'ssl://B.Example.COM.:50002', false],
    ['ssl://example.com:50001', 'ssl://www.example.com:50002', false],
    ['ssl://a.example.com:50002', 'ssl://a.example.org:50002', true],
    ['tcp://192.0.2.1:50001', 'tcp://192.0.2.1:50002', false],
    ['tcp://192.0.2.1:50001', 'tcp://198.51.2.1:50001', true],
    ['tcp://[2001:db8::1]:50001', 'ssl://[2001:db8::1]:50002', false],
    ['tcp://[2001:db8::1]:50001', 'tcp://[2001:db8::2]:50001', true],
    ['tcp://localhost:50001', 'tcp://localhost:50002', false],
  ])('%s and %s are of different operators: %s', (one, other, areDifferent) => {
    const { deal, handover, around } = tell(zkp, honest('liquidv1'));
    const servers = around.servers.map((server, i) => ({ ...server, name: i === 0 ? one : other }));
    const report = verifySwap(deal, handover, { ...around, servers });
    expect(failedCodes(report)).toEqual(areDifferent ? [] : ['electrum_servers']);
  });

  it('the regtest numbers never count on mainnet, whatever the quote says', () => {
    expect(codesOf(onMainnet(inDeal({ profile: 'regtest', refundDeltaBlocks: 60 })))).toEqual([]);
    const lie = inHtlc({ refundHeight: blockHeight(TIP + 57) })(inDeal({ profile: 'regtest' })(honest('liquidv1')));
    expect(codesOf(lie)).toEqual(['refund_height_too_low', 'final_cltv_vs_cap']);
  });
});

describe('a subsidy that does not pay the claim', () => {
  const dear = (ownLbtc: bigint): Story => ({
    ...inServer({ feeRate: satPerKvb(2_000n) })(honest()),
    around: { ownLbtcSat: sat(ownLbtc) },
  });
  it('is no obstacle to a wallet that holds as much L-BTC', () => {
    expect(codesOf(dear(1_199n))).toEqual(['fee_subsidy_too_low']);
    expect(codesOf(dear(1_200n))).toEqual([]);
  });
  it('is one satoshi short of 1.5 claims', () => {
    // 1000 sat for 600 vB: 1666.67 sat/kvB
    expect(codesOf(inServer({ feeRate: satPerKvb(1_666n) })(honest()))).toEqual([]);
    expect(codesOf(inServer({ feeRate: satPerKvb(1_667n) })(honest()))).toEqual(['fee_subsidy_too_low']);
  });
  it('must never be below 500 sat, however cheap the chain is', () => {
    const without = (story: Story): Story =>
      inDeal({ feeSubsidySat: sat(499n) })(inTerms({ feeSubsidySat: sat(499n) })(story));
    const funded = (story: Story): Story => ({
      ...story,
      outputs: (script) =>
        honest()
          .outputs(script)
          .map((output) => (output.assetId === LBTC ? { ...output, value: assetAmount(499n) } : output)),
    });
    expect(codesOf(funded(without(honest())))).toEqual(['fee_subsidy_too_low']);
    expect(codesOf({ ...funded(without(honest())), around: { ownLbtcSat: sat(500n) } })).toEqual([]);
  });
});

describe('every code', () => {
  /** What cannot be right either when that check fails. */
  const IMPLIED: Partial<Record<CheckCode, readonly CheckCode[]>> = {
    invoice_expired: ['invoice_expiry_left'],
    refund_height_time_based: ['script_template'],
    funding_height: ['funding_confirmations'],
    refund_broadcast: ['outpoint_spent'],
    final_cltv_too_high: ['final_cltv_vs_cap'],
  };
  let found: CheckCode[][];
  beforeAll(() => {
    const stories = [
      ...[...SELLER_LIES, ...SERVER_LIES].map(([, lie]) => lie(honest())),
      ...DISAGREEMENTS.map(([, lie]) => onMainnet(lie)),
      onMainnet(inHtlc({ refundHeight: blockHeight(TIP + 9_733) })),
    ];
    found = stories.map((story) =>
      reportOn(story)
        .checks.filter(({ ok, isMade }) => isMade && !ok)
        .map(({ code }) => code),
    );
  });
  it.each(Object.keys(CHECK_CODES) as CheckCode[])('%s has a lie that it alone finds', (code) => {
    const expected = new Set([code, ...(IMPLIED[code] ?? [])]);
    const alone = found.filter((codes) => codes.includes(code) && codes.every((each) => expected.has(each)));
    expect(alone).not.toEqual([]);
  });
});

describe('waiting', () => {
  const reportOf = (lie: Lie): VerificationReport => reportOn(lie(honest()));
  it('is worth it when blocks or servers may catch up', () => {
    expect(isWorthWaiting(reportOf(inServer({ fundingHeight: TIP })).checks)).toBe(true);
    expect(isWorthWaiting(reportOf(inServer({ funding: undefined })).checks)).toBe(true);
  });
  it('is never worth it for a lie, even if something else is late', () => {
    expect(isWorthWaiting(reportOf(changeAsset({ value: assetAmount(249n) })).checks)).toBe(false);
    const both = (story: Story): Story => inServer({ fundingHeight: TIP })(inInvoice({ amount: '600u' })(story));
    expect(isWorthWaiting(reportOf(both).checks)).toBe(false);
  });
  it('is not asked for when all is well', () => {
    expect(isWorthWaiting(reportOf((story) => story).checks)).toBe(false);
  });
});
