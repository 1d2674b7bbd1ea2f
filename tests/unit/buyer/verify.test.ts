import { beforeAll, describe, expect, it } from 'vitest';

import { CHECK_CODES, isWorthWaiting } from '../../../src/buyer/check.js';
import { failedCodes, verifySwap } from '../../../src/buyer/verify.js';
import type { Zkp } from '../../../src/core/blind.js';
import { p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import type { TxOutput } from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  msat,
  quoteId,
  sat,
  satPerKvb,
  swapId,
  txid,
  unixSecs,
} from '../../../src/core/units.js';
import { keyOf, loadZkp } from '../core/zkp.js';
import { BLOCK, GOLD, honest, NOW, tell, TIP, type AnsweringServer, type Story } from './honest.js';

const SILVER = assetId('22'.repeat(32));
const OTHER_BLOCK = blockHash('b2'.repeat(32));
const { policyAsset: LBTC } = LIQUID_NETWORKS.regtest;

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

function codesOf(story: Story): string[] {
  const { deal, handover, around } = tell(zkp, story);
  const report = verifySwap(deal, handover, around);
  expect(report.facts === undefined).toBe(report.checks.some((check) => !check.ok));
  return failedCodes(report);
}

type Lie = (story: Story) => Story;

const inDeal =
  (part: Partial<Story['deal']>): Lie =>
  (story) => ({ ...story, deal: { ...story.deal, ...part } });
const inHtlc =
  (part: Partial<Story['htlc']>): Lie =>
  (story) => ({ ...story, htlc: { ...story.htlc, ...part } });
const inInvoice =
  (part: Partial<Story['invoice']>): Lie =>
  (story) => ({
    ...story,
    invoice: { ...story.invoice, ...part },
  });
const inTerms = (part: object): Lie => inInvoice({ terms: (terms) => ({ ...terms, ...part }) });
const inOutputs =
  (change: (outputs: TxOutput[], scriptPubKey: Buffer) => TxOutput[]): Lie =>
  (story) => ({
    ...story,
    outputs: (scriptPubKey) => change(story.outputs(scriptPubKey), scriptPubKey),
  });
const inServer =
  (part: Partial<AnsweringServer>): Lie =>
  (story) => ({
    ...story,
    server: (view) => ({ ...view, ...part }),
  });
const inScript =
  (change: (script: Buffer) => Buffer): Lie =>
  (story) => ({ ...story, witnessScript: change });

const asset = (output: TxOutput): boolean => output.assetId === GOLD;
const changeAsset = (part: Partial<TxOutput>): Lie =>
  inOutputs((outputs) => outputs.map((output) => (asset(output) ? { ...output, ...part } : output)));
const changeSubsidy = (part: Partial<TxOutput>): Lie =>
  inOutputs((outputs) => outputs.map((output) => (asset(output) ? output : { ...output, ...part })));

const UNCHECKED_FUNDING = [
  'funding_blinded',
  'funding_nonce',
  'funding_missing_output',
  'funding_extra_output',
  'funding_asset',
  'funding_amount',
];
const AFTER_OUTPUTS = ['outpoint_spent'];
const T_PUSH_AT = 66;

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
    const { deal, handover, around } = tell(zkp, honest('liquidv1'));
    const { facts, checks } = verifySwap(deal, handover, around);
    expect(facts).toMatchObject({ maxTotalCltvDelta: 432, tipHeight: TIP, htlc: { claimPkh: keyOf('buyer').pkh } });
    expect(facts?.outpoints.map(({ value }) => value)).toEqual([250n, 1_000n]);
    expect(checks.map(({ code }) => code)).toEqual(Object.keys(CHECK_CODES));
  });
});

describe('a seller that lies', () => {
  it.each<[string, Lie, string[]]>([
    [
      'sends no invoice',
      (story) => ({ ...story, handover: (it) => ({ ...it, bolt11: '' }) }),
      [
        'invoice_unreadable',
        'invoice_network',
        'invoice_signature_payee',
        'invoice_amount',
        'invoice_expired',
        'invoice_expiry_left',
        'payment_hash_mismatch',
        'terms_hash_mismatch',
        'refund_height_too_low',
        'final_cltv_too_high',
        'final_cltv_vs_cap',
      ],
    ],
    ['sends an invoice of another network', inInvoice({ prefix: 'lnbc' }), ['invoice_network']],
    ['sends an invoice of another node', inInvoice({ signer: 'mallory' }), ['invoice_signature_payee']],
    ['asks one satoshi more', inInvoice({ amount: '500010n' }), ['invoice_amount']],
    ['asks one satoshi less', inInvoice({ amount: '499990n' }), ['invoice_amount']],
    ['sends an expired invoice', inInvoice({ createdAt: NOW - 600 }), ['invoice_expired', 'invoice_expiry_left']],
    ['sends an invoice with 119 seconds left', inInvoice({ createdAt: NOW - 481 }), ['invoice_expiry_left']],
    [
      'locks the HTLC by another hash',
      inInvoice({ paymentHash: '77'.repeat(32) }),
      ['payment_hash_mismatch', 'terms_hash_mismatch'],
    ],
    ['commits to another quote', inTerms({ quoteId: quoteId('ce'.repeat(16)) }), ['terms_hash_mismatch']],
    ['commits to another swap', inTerms({ swapId: swapId('ac'.repeat(16)) }), ['terms_hash_mismatch']],
    ['commits to another amount', inTerms({ assetAmount: assetAmount(249n) }), ['terms_hash_mismatch']],
    ['commits to another price', inTerms({ priceMsat: msat(49_000_000n) }), ['terms_hash_mismatch']],
    ['commits to another depth', inTerms({ minFundingConfs: 1 }), ['terms_hash_mismatch']],
    ['asks a final CLTV of 81', inInvoice({ finalCltv: 81 }), ['final_cltv_too_high', 'final_cltv_vs_cap']],
    ['asks a final CLTV that no safe cap allows', inInvoice({ finalCltv: 58 }), ['final_cltv_vs_cap']],
    [
      'gives the claim to another key',
      inHtlc({ claimPkh: keyOf('mallory').pkh }),
      ['script_claim_key', 'terms_hash_mismatch'],
    ],
    [
      'opens the refund one block too early',
      inHtlc({ refundHeight: blockHeight(TIP + 31) }),
      ['refund_height_too_low', 'final_cltv_vs_cap'],
    ],
    ['funds another asset', changeAsset({ assetId: SILVER }), ['funding_asset', 'funding_amount', ...AFTER_OUTPUTS]],
    ['funds one unit less', changeAsset({ value: assetAmount(249n) }), ['funding_amount', ...AFTER_OUTPUTS]],
    ['funds one unit more', changeAsset({ value: assetAmount(251n) }), ['funding_amount', ...AFTER_OUTPUTS]],
    ['funds less for the claim fee', changeSubsidy({ value: assetAmount(999n) }), ['funding_amount', ...AFTER_OUTPUTS]],
    [
      'hides asset and amount',
      changeAsset({ blindingPubkey: keyOf('mallory').pubkey }),
      [...UNCHECKED_FUNDING, ...AFTER_OUTPUTS],
    ],
    [
      'leaves out the L-BTC',
      inOutputs((outputs) => outputs.filter(asset)),
      [...UNCHECKED_FUNDING.slice(2), ...AFTER_OUTPUTS],
    ],
    [
      'adds a decoy output',
      inOutputs((outputs) => [...outputs, ...outputs.filter(asset)]),
      [...UNCHECKED_FUNDING.slice(3), ...AFTER_OUTPUTS],
    ],
    [
      'pays its own key',
      inOutputs((outputs) =>
        outputs.map((output) => ({ ...output, scriptPubKey: p2wpkhScriptPubKey(keyOf('mallory').pubkey) })),
      ),
      [...UNCHECKED_FUNDING.slice(2), ...AFTER_OUTPUTS],
    ],
    [
      'names another transaction',
      (story) => ({ ...story, handover: (it) => ({ ...it, fundingTxid: txid('dd'.repeat(32)) }) }),
      ['funding_txid', ...AFTER_OUTPUTS],
    ],
    [
      'quotes a subsidy below 1.5 claims',
      (story) => {
        const low = inDeal({ feeSubsidySat: sat(499n) })(story);
        return {
          ...low,
          outputs: (script) =>
            honest()
              .outputs(script)
              .map((output) => (asset(output) ? output : { ...output, value: assetAmount(499n) })),
        };
      },
      ['fee_subsidy_too_low'],
    ],
  ])('and %s is refused with exactly these codes', (_, lie, codes) => {
    expect(codesOf(lie(honest()))).toEqual(codes);
  });

  it('passes one block before its refund would be too early', () => {
    expect(codesOf(inInvoice({ finalCltv: 18 })(inHtlc({ refundHeight: blockHeight(TIP + 32) })(honest())))).toEqual(
      [],
    );
  });

  it('with a script that is not the template is refused, whatever else holds', () => {
    const withNop = inScript((script) => Buffer.concat([script, Buffer.of(0x61)]));
    expect(codesOf(withNop(honest()))).toEqual([
      'script_template',
      'script_claim_key',
      'payment_hash_mismatch',
      'terms_hash_mismatch',
      'refund_height_too_low',
      'final_cltv_too_high',
      'final_cltv_vs_cap',
    ]);
  });

  it('with a lock time that is a time is refused by its own code', () => {
    const timeLock = Buffer.alloc(5, 4);
    timeLock.writeUInt32LE(1_800_000_000, 1);
    const withTime = inScript((script) =>
      Buffer.concat([
        script.subarray(0, T_PUSH_AT),
        timeLock,
        script.subarray(T_PUSH_AT + 1 + (script[T_PUSH_AT] ?? 0)),
      ]),
    );
    expect(codesOf(withTime(honest()))).toContain('refund_height_time_based');
    expect(codesOf(withTime(honest()))).toContain('script_template');
  });
});

describe('what the servers show', () => {
  it.each<[string, Lie, string[]]>([
    ['another chain', inServer({ genesis: blockHash('00'.repeat(32)) }), ['genesis']],
    [
      'no funding',
      inServer({ funding: undefined, fundingHeight: undefined, inclusion: { problem: 'not in a block' } }),
      [
        'funding_txid',
        ...UNCHECKED_FUNDING,
        'funding_height',
        'funding_confirmations',
        'merkle_proof',
        ...AFTER_OUTPUTS,
      ],
    ],
    [
      'bytes that are no transaction',
      inServer({ funding: Buffer.of(1, 2, 3) }),
      ['funding_txid', ...UNCHECKED_FUNDING, ...AFTER_OUTPUTS],
    ],
    ['an unconfirmed funding', inServer({ fundingHeight: 0 }), ['funding_height', 'funding_confirmations']],
    [
      'a funding with unconfirmed parents',
      inServer({ fundingHeight: -1 }),
      ['funding_height', 'funding_confirmations'],
    ],
    ['a funding above the tip', inServer({ fundingHeight: TIP + 1 }), ['funding_height', 'funding_confirmations']],
    ['one confirmation of two', inServer({ fundingHeight: TIP }), ['funding_confirmations']],
    [
      'no merkle proof',
      inServer({ inclusion: { problem: 'the proof does not lead to the header' } }),
      ['merkle_proof'],
    ],
    ['a spent output', inServer({ unspent: new Set() }), ['outpoint_spent']],
    ['a fee rate that the subsidy cannot pay', inServer({ feeRate: satPerKvb(2_000n) }), ['fee_subsidy_too_low']],
  ])('%s is refused with exactly these codes', (_, lie, codes) => {
    expect(codesOf(lie(honest()))).toEqual(codes);
  });

  it.each<[string, Lie, string[]]>([
    [
      'a silent server',
      (story) => ({ ...story, server: () => ({ name: 'a', problem: 'timeout' }) }),
      ['electrum_servers'],
    ],
    ['one server on mainnet', (story) => ({ ...story, servers: 1 }), ['electrum_servers']],
    ['different blocks of the funding', inServer({ inclusion: { block: OTHER_BLOCK } }), ['merkle_proof']],
    [
      'tips three blocks apart',
      inServer({ tip: { height: blockHeight(TIP + 3), hash: BLOCK, time: unixSecs(NOW) } }),
      ['tip_rule', 'refund_height_too_low', 'final_cltv_too_high', 'final_cltv_vs_cap'],
    ],
    [
      'a header eleven minutes old',
      inServer({ tip: { height: blockHeight(TIP), hash: BLOCK, time: unixSecs(NOW - 660) } }),
      ['tip_rule', 'refund_height_too_low', 'final_cltv_too_high', 'final_cltv_vs_cap'],
    ],
    [
      'a chain that grew too fast',
      (story) => ({
        ...story,
        around: { lastAcceptedTip: { height: blockHeight(TIP - 71), at: unixSecs(NOW - 600) } },
      }),
      ['tip_rule', 'refund_height_too_low', 'final_cltv_too_high', 'final_cltv_vs_cap'],
    ],
    ['the regtest profile', inDeal({ profile: 'regtest', refundDeltaBlocks: 60 }), []],
  ])('on mainnet: %s', (_, lie, codes) => {
    expect(codesOf(lie(honest('liquidv1')))).toEqual(codes);
  });

  it("one server on mainnet is enough by the user's word", () => {
    expect(codesOf({ ...honest('liquidv1'), servers: 1, around: { isSingleServerTrusted: true } })).toEqual([]);
  });

  it('the regtest numbers never count on mainnet, whatever the quote says', () => {
    const lie = inHtlc({ refundHeight: blockHeight(TIP + 57) })(inDeal({ profile: 'regtest' })(honest('liquidv1')));
    expect(codesOf(lie)).toEqual(['refund_height_too_low', 'final_cltv_vs_cap']);
  });
});

describe('waiting', () => {
  const reportOf = (lie: Lie) => {
    const { deal, handover, around } = tell(zkp, lie(honest()));
    return verifySwap(deal, handover, around);
  };
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
