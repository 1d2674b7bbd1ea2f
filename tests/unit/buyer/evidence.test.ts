import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { failedEvidenceCodes } from '../../../src/buyer/checkEvidence.js';
import { purchaseFolder, reserveNumber } from '../../../src/buyer/dataDir.js';
import { evidenceFile, readEvidence, verifyEvidence, writeEvidence } from '../../../src/buyer/evidence.js';
import { EVIDENCE_CODES, type EvidenceCode } from '../../../src/buyer/evidenceCheck.js';
import { encodeEvidence, parseEvidence, type Evidence } from '../../../src/buyer/evidenceFile.js';
import type { Progress, PurchaseRecord } from '../../../src/buyer/record.js';
import { encodeWif } from '../../../src/buyer/wif.js';
import type { Zkp } from '../../../src/core/blind.js';
import { hashPreimage } from '../../../src/core/htlc.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../../../src/core/network.js';
import { parseTransaction, type TxOutput } from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  hex,
  msat,
  sat,
  txid,
  unixSecs,
} from '../../../src/core/units.js';
import { keyOf, loadZkp, preimageOf } from '../core/zkp.js';
import { evidenceOfStory, invoiceOver } from './evidenceStory.js';
import { honest, PREIMAGE, type Story } from './honest.js';

const networks = Object.keys(LIQUID_NETWORKS) as LiquidNetworkName[];
const OTHER = assetId('22'.repeat(32));
const CLAIM = txid('c1'.repeat(32));

let zkp: Zkp;
let good: Evidence;
beforeAll(async () => {
  zkp = await loadZkp();
  good = evidenceOfStory(zkp, honest());
});

/** The codes of checks that were made and failed; what could not be made follows from them. */
const failed = (evidence: Evidence): EvidenceCode[] =>
  verifyEvidence(encodeEvidence(evidence))
    .checks.filter((item) => item.isMade && !item.ok)
    .map((item) => item.code);

const withInvoice = (change: Partial<Story['invoice']>): Evidence => {
  const story = honest();
  return evidenceOfStory(zkp, { ...story, invoice: { ...story.invoice, ...change } });
};
const withHtlc = (change: Partial<Story['htlc']>): Evidence => {
  const story = honest();
  return {
    ...evidenceOfStory(zkp, { ...story, htlc: { ...story.htlc, ...change } }),
    terms: good.terms,
    bolt11: good.bolt11,
  };
};
const withOutputs = (change: (outputs: TxOutput[]) => TxOutput[]): Evidence => {
  const story = honest();
  return evidenceOfStory(zkp, { ...story, outputs: (scriptPubKey) => change(story.outputs(scriptPubKey)) });
};
const first = (change: Partial<TxOutput>) => (outputs: TxOutput[]) =>
  outputs.map((output, i) => (i === 0 ? { ...output, ...change } : output));

describe('evidence', () => {
  it.each(networks)('of an honest swap on %s passes every check', (network) => {
    const report = verifyEvidence(encodeEvidence(evidenceOfStory(zkp, honest(network))));
    expect(failedEvidenceCodes(report)).toEqual([]);
    expect(report.checks.map((item) => item.code)).toEqual(Object.keys(EVIDENCE_CODES));
    expect(report.facts).toMatchObject({ network, claimTxid: CLAIM, invoice: { payee: keyOf('node').pubkey } });
    expect(report.facts?.outpoints.map((output) => output.value)).toEqual([250n, 1_000n]);
  });
  it('of a sale of L-BTC has one output', () => {
    const { policyAsset } = LIQUID_NETWORKS.regtest;
    const report = verifyEvidence(encodeEvidence(evidenceOfStory(zkp, honest('regtest', policyAsset))));
    expect(report.facts?.outpoints.map((output) => output.value)).toEqual([1_250n]);
  });
  it('without a claim says so, and still shows what was signed and paid', () => {
    const report = verifyEvidence(encodeEvidence({ ...good, claim_txid: null }));
    expect(failedEvidenceCodes(report)).toEqual([]);
    expect(report.facts).toMatchObject({ claimTxid: undefined, terms: { priceMsat: 50_000_000n } });
  });
  it('with a long funding can be read', () => {
    const long = JSON.stringify({ ...good, funding_tx: '00'.repeat(500_000) });
    const [form, ...others] = verifyEvidence(long).checks;
    expect(form).toMatchObject({ code: 'evidence_unreadable', ok: true });
    expect(others.filter((item) => item.isMade && !item.ok).map((item) => item.code)).toEqual(['funding_unreadable']);
  });
  it('tells nothing but its checks when one fails', () => {
    expect(verifyEvidence(encodeEvidence({ ...good, claim_txid: '' })).facts).toBeUndefined();
  });
});

describe('evidence of a real purchase', () => {
  const vectors = new URL('../../vectors/evidence.json', import.meta.url);
  const { evidence: text } = z
    .object({ source: z.string(), evidence: z.string() })
    .parse(JSON.parse(readFileSync(vectors, 'utf8')));

  it('passes, years after its invoice expired', () => {
    const { facts, checks } = verifyEvidence(text);
    expect(checks.filter((item) => !item.ok)).toEqual([]);
    expect(facts?.terms).toMatchObject({ assetAmount: 2_500_000_000n, profile: 'regtest', minFundingConfs: 1 });
    expect(facts?.outpoints.map((output) => output.value)).toEqual([2_500_000_000n, 1_000n]);
    expect(facts?.claimTxid).toBe('8bac15b9b9ff17e038ef1259dcb99c2441b8042c3bdcdf38dfb2b46044a1ec9d');
  });
  it('is written again byte for byte', () => {
    expect(encodeEvidence(parseEvidence(text))).toBe(text);
  });
  it('is not of another purchase when any part of it is exchanged', () => {
    const real = parseEvidence(text);
    const parts = ['terms', 'bolt11', 'witness_script', 'funding_tx', 'preimage'] as const;
    for (const part of parts) {
      expect(verifyEvidence(encodeEvidence({ ...real, [part]: good[part] })).facts).toBeUndefined();
    }
  });
});

describe('each check of evidence fails alone', () => {
  const badTerms = (): Evidence => {
    const terms = good.terms.replace('profile=regtest\n', 'profile=regtest\nnote=x\n');
    return { ...good, terms, bolt11: invoiceOver(honest(), terms) };
  };
  const cases: [EvidenceCode, () => Evidence][] = [
    ['terms_unreadable', badTerms],
    ['genesis_unknown', () => withInvoice({ terms: (terms) => ({ ...terms, genesis: blockHash('00'.repeat(32)) }) })],
    ['invoice_unreadable', () => ({ ...good, bolt11: good.bolt11.slice(0, -1) })],
    ['invoice_unreadable', () => withInvoice({ amount: '' })],
    ['invoice_network', () => withInvoice({ prefix: 'lnbc' })],
    ['invoice_network', () => withInvoice({ prefix: 'lntb' })],
    ['invoice_signature_payee', () => withInvoice({ signer: 'another node' })],
    ['invoice_amount', () => withInvoice({ amount: '501u' })],
    ['terms_hash_mismatch', () => ({ ...good, bolt11: invoiceOver(honest(), 'other terms') })],
    ['script_template', () => ({ ...good, witness_script: `${good.witness_script}00` })],
    ['script_template', () => ({ ...good, witness_script: good.witness_script.toUpperCase() })],
    ['script_claim_key', () => withHtlc({ claimPkh: keyOf('another').pkh })],
    ['script_refund_key', () => withHtlc({ refundPkh: keyOf('another').pkh })],
    ['payment_hash_mismatch', () => withHtlc({ paymentHash: hashPreimage(preimageOf('another')) })],
    ['preimage_mismatch', () => ({ ...good, preimage: hex(preimageOf('another')) })],
    ['preimage_mismatch', () => ({ ...good, preimage: good.preimage.slice(2) })],
    ['preimage_mismatch', () => ({ ...good, preimage: good.preimage.toUpperCase() })],
    ['funding_unreadable', () => ({ ...good, funding_tx: good.funding_tx.slice(2) })],
    ['funding_unreadable', () => ({ ...good, funding_tx: `${good.funding_tx}00` })],
    ['funding_blinded', () => withOutputs(first({ blindingPubkey: keyOf('blind').pubkey }))],
    ['funding_nonce', withNonce],
    ['funding_missing_output', () => withOutputs((outputs) => outputs.slice(0, 1))],
    ['funding_extra_output', () => withOutputs((outputs) => [...outputs, ...outputs.slice(1)])],
    ['funding_asset', () => withOutputs(first({ assetId: OTHER }))],
    ['funding_amount', () => withOutputs(first({ value: assetAmount(249n) }))],
    ['funding_amount', () => withInvoice({ terms: (terms) => ({ ...terms, feeSubsidySat: sat(1_001n) }) })],
    ['invoice_amount', () => withInvoice({ terms: (terms) => ({ ...terms, priceMsat: msat(49_999_999n) }) })],
    ['claim_txid_malformed', () => ({ ...good, claim_txid: 'c1'.repeat(31) })],
    ['claim_txid_malformed', () => ({ ...good, claim_txid: 'C1'.repeat(32) })],
  ];
  it.each(cases)('%s (case %#)', (code, evidence) => {
    expect(failed(evidence())).toEqual([code]);
  });
  it('and every code has a case', () => {
    const covered = new Set<EvidenceCode>(['evidence_unreadable', ...cases.map(([code]) => code)]);
    expect(Object.keys(EVIDENCE_CODES).filter((code) => ![...covered].some((each) => each === code))).toEqual([]);
  });

  /** The nonce of the first output is one zero byte after its explicit value; another one is the key of an output. */
  function withNonce(): Evidence {
    const tx = parseTransaction(Buffer.from(good.funding_tx, 'hex'));
    const [output] = tx.outs;
    if (output === undefined) throw new Error('no output');
    output.nonce = Buffer.from(keyOf('nonce').pubkey, 'hex');
    return { ...good, funding_tx: tx.toBuffer().toString('hex') };
  }
});

describe('a file is no evidence', () => {
  const line = (text: string): string => `${text.trimEnd().slice(0, -1)},`;
  it.each<[string, () => string]>([
    ['when it is empty', () => ''],
    ['when it is another JSON value', () => '[]'],
    ['with another version', () => encodeEvidence(good).replace('"version": 1', '"version": 2')],
    ['without a field', () => JSON.stringify({ ...good, preimage: undefined })],
    ['with a field more', () => JSON.stringify({ ...good, note: 'x' })],
    ['with a prototype', () => `${line(encodeEvidence(good))} "__proto__": {"preimage": "00"}}`],
    ['with a field twice', () => `${line(encodeEvidence(good))} "preimage": "${good.preimage}"}`],
    ['with a name in escapes', () => encodeEvidence(good).replace('"preimage"', '"\\u0070reimage"')],
    ['with a number for text', () => JSON.stringify({ ...good, claim_txid: 1 })],
    ['with a byte order mark', () => `\ufeff${encodeEvidence(good)}`],
    ['when it is nested without end', () => '['.repeat(1_000_000)],
    [
      'with many escapes',
      () => JSON.stringify({ ...good, bolt11: '\n'.repeat(500_000) }).replace('"preimage"', '"\\u0070reimage"'),
    ],
    ['when it is longer than 1 MiB', () => JSON.stringify({ ...good, funding_tx: '00'.repeat(600_000) })],
  ])('%s', (_, text) => {
    const report = verifyEvidence(text());
    expect(report.facts).toBeUndefined();
    expect(report.checks.filter((item) => item.isMade).map((item) => item.code)).toEqual(['evidence_unreadable']);
  });
  it('and nothing in the report steers a terminal or shows the preimage', () => {
    const hostile = {
      ...good,
      terms: '\u001b[2J',
      bolt11: 'lnbc\u001b[2J1',
      witness_script: '\u001b',
      claim_txid: '\u001b',
    };
    const texts = [
      encodeEvidence(hostile),
      JSON.stringify({ ...good, '\u001b[2J': 1 }),
      encodeEvidence({ ...good, preimage: `${good.preimage}\u001b` }),
    ];
    for (const text of texts) {
      const found = verifyEvidence(text).checks.map((item) => `${item.expected} ${item.found}`);
      expect(found.join('\n')).not.toMatch(/[^\x20-\x7e\n]/);
      expect(found.join('\n')).not.toContain(good.preimage);
    }
  });
});

describe('any change of evidence', () => {
  const signed = (text: string) => {
    const { facts } = verifyEvidence(text);
    if (facts === undefined) return undefined;
    const { network, terms, invoice, htlc, outpoints } = facts;
    return { network, terms, invoice, htlc, held: outpoints.map(({ assetId: id, value }) => `${value} ${id}`) };
  };
  it('of one character is refused, or leaves what was signed and promised as it was', () => {
    const text = encodeEvidence(good);
    const before = signed(text);
    expect(before).toBeDefined();
    const printables = [...Array(95).keys()].map((code) => String.fromCharCode(code + 32));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...printables, '\n'), (at, character) => {
        const after = signed(`${text.slice(0, at)}${character}${text.slice(at + 1)}`);
        if (after !== undefined) expect(after).toEqual(before);
      }),
      { numRuns: 1_500 },
    );
  });
  it('of the terms is refused, wherever it is', () => {
    fc.assert(
      fc.property(fc.nat(good.terms.length - 1), fc.nat(127), (at, code) => {
        const terms = `${good.terms.slice(0, at)}${String.fromCharCode(code)}${good.terms.slice(at + 1)}`;
        if (terms !== good.terms) expect(signed(encodeEvidence({ ...good, terms }))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

describe('the page about evidence', () => {
  it('tells what every check means, in the order of the report', () => {
    const page = readFileSync(new URL('../../../docs/evidence.md', import.meta.url), 'utf8');
    const cells = [...page.matchAll(/^\| `([a-z0-9_]+)`/gm)].map(([, cell = '']) => cell);
    const fields = Object.keys(good);
    expect(cells).toEqual([...fields, ...Object.keys(EVIDENCE_CODES)]);
  });
});

describe('writing evidence', () => {
  const dir = mkdtempSync(join(tmpdir(), 'evidence-'));
  const number = reserveNumber(dir);
  const claimPrivateKey = keyOf('buyer').privateKey;
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });
  const recordAt = (progress: (htlc: object) => object): PurchaseRecord => {
    const story = honest();
    const facts = verifyEvidence(encodeEvidence(good)).facts;
    if (facts === undefined) throw new Error('the story is not honest');
    const htlc = {
      swapId: facts.terms.swapId,
      bolt11: good.bolt11,
      paymentHash: facts.terms.paymentHash,
      witnessScript: good.witness_script,
      refundHeight: blockHeight(facts.htlc.refundHeight),
      fundingTx: good.funding_tx,
      outpoints: [...facts.outpoints],
    };
    return {
      version: 1,
      number,
      requestId: '123e4567-e89b-42d3-a456-426614174000',
      createdAt: unixSecs(1_800_000_000),
      sellerAddress: '127.0.0.1:1',
      ticker: 'GOLD',
      precision: 0,
      deal: story.deal,
      maxFeeMsat: msat(1_000n),
      payout: { address: '', scriptPubKey: '', blindingPubkey: null },
      progress: progress(htlc) as Progress,
    };
  };
  const claiming = (): PurchaseRecord =>
    recordAt((htlc) => ({ step: 'claiming', htlc, preimage: hex(PREIMAGE), claims: [{ txid: CLAIM, raw: '' }] }));

  it('rebuilds the terms from the record, and passes', () => {
    writeEvidence(dir, claiming(), { preimage: PREIMAGE, claimTxid: CLAIM });
    const text = readEvidence(dir, number) ?? '';
    expect(JSON.parse(text)).toEqual(good);
    expect(failedEvidenceCodes(verifyEvidence(text))).toEqual([]);
  });
  it('leaves one file that only its owner can read, also after a second time', () => {
    writeEvidence(dir, claiming(), { preimage: PREIMAGE, claimTxid: CLAIM });
    writeEvidence(dir, claiming(), { preimage: PREIMAGE, claimTxid: undefined });
    expect(statSync(evidenceFile(dir, number)).mode & 0o777).toBe(0o600);
    expect(readdirSync(purchaseFolder(dir, number))).toEqual(['evidence.json']);
    expect(verifyEvidence(readEvidence(dir, number) ?? '').facts).toMatchObject({ claimTxid: undefined });
  });
  it('writes no key of the buyer', () => {
    writeEvidence(dir, claiming(), { preimage: PREIMAGE, claimTxid: CLAIM });
    const text = readFileSync(evidenceFile(dir, number), 'utf8');
    expect(text).not.toContain(hex(claimPrivateKey));
    expect(text).not.toContain(encodeWif(claimPrivateKey, 'regtest'));
    expect(Object.keys(z.looseObject({}).parse(JSON.parse(text)))).toEqual([
      ...['version', 'terms', 'bolt11', 'witness_script', 'funding_tx', 'claim_txid', 'preimage'],
    ]);
  });
  it('is refused with another preimage and before there is an HTLC', () => {
    expect(() => {
      writeEvidence(dir, claiming(), { preimage: preimageOf('another'), claimTxid: CLAIM });
    }).toThrow('preimage of another hash');
    expect(() => {
      writeEvidence(
        dir,
        recordAt(() => ({ step: 'quoted' })),
        { preimage: PREIMAGE, claimTxid: CLAIM },
      );
    }).toThrow('has no HTLC');
  });
  it('is not read when others can read it', () => {
    chmodSync(evidenceFile(dir, number), 0o644);
    expect(() => readEvidence(dir, number)).toThrow('expected mode 0600');
    expect(readEvidence(dir, 77)).toBeUndefined();
  });
});
