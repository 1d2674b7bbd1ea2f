import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { leastSubsidy } from '../../../src/buyer/checkChain.js';
import { signClaim, type ClaimSource } from '../../../src/buyer/claim.js';
import { readClaimKit, writeClaimKit } from '../../../src/buyer/claimKit.js';
import { decodeWif, encodeWif } from '../../../src/buyer/wif.js';
import type { Zkp } from '../../../src/core/blind.js';
import { explicitOutput } from '../../../src/core/funding.js';
import { findPreimage, htlcWitnessScript, p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { parseTransaction, txidOf } from '../../../src/core/tx.js';
import { assetAmount, blockHeight, outpoint, satPerKvb, swapId } from '../../../src/core/units.js';
import { keyOf, loadZkp, preimageOf, refusal } from '../core/zkp.js';
import { GOLD, honest, PREIMAGE } from './honest.js';

const { htlc: terms } = honest();
const { policyAsset, genesis } = LIQUID_NETWORKS.regtest;
const PREIMAGE_HEX = Buffer.from(PREIMAGE).toString('hex');
const FUNDING = 'fa'.repeat(32);

const source: ClaimSource = {
  network: 'regtest',
  paymentHash: terms.paymentHash,
  witnessScript: htlcWitnessScript(terms),
  refundHeight: terms.refundHeight,
  outpoints: [
    { outpoint: outpoint(FUNDING, 0), assetId: GOLD, value: assetAmount(250n) },
    { outpoint: outpoint(FUNDING, 1), assetId: policyAsset, value: assetAmount(1_000n) },
  ],
  fundingTx: Buffer.of(1, 2),
  privateKey: keyOf('buyer').privateKey,
  payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
};

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

const sign = (blocksLeft: number, rate = 100n, part: Partial<ClaimSource> = {}) => {
  const tipHeight = blockHeight(terms.refundHeight - blocksLeft);
  const claim = signClaim(zkp, { ...source, ...part }, { preimage: PREIMAGE, tipHeight, feeRate: satPerKvb(rate) });
  return { ...claim, tx: parseTransaction(claim.raw) };
};

describe('a claim', () => {
  it('pays the asset and the rest of the L-BTC to the payout script and shows the preimage', () => {
    const { tx, txid, feeSat } = sign(1_000);
    expect(txidOf(tx)).toBe(txid);
    expect(tx.outs.map((output) => explicitOutput(output)?.value)).toEqual([250n, 1_000n - feeSat, feeSat]);
    expect(tx.outs.slice(0, 2).every((output) => output.script.equals(Buffer.from(source.payoutScript)))).toBe(true);
    expect(findPreimage(tx.ins[0]?.witness ?? [], terms.paymentHash)).toEqual(PREIMAGE);
  });
  it.each([
    [61, 0xffff_fffd],
    [60, 0xffff_ffff],
  ])('with %i blocks left has sequence %i, so that a refund cannot replace it', (blocksLeft, sequence) => {
    expect(sign(blocksLeft).tx.ins.map((input) => input.sequence)).toEqual([sequence, sequence]);
  });
  it('pays ten times the rate when the refund is near', () => {
    expect(sign(60).feeSat).toBeGreaterThanOrEqual(sign(61).feeSat * 9n);
  });
  it('lowers a rate that the L-BTC in the HTLC cannot pay', () => {
    expect(sign(1_000, 50_000n).feeSat).toBeLessThanOrEqual(1_000n);
  });
  it('to a confidential address is blinded', () => {
    const { tx } = sign(1_000, 100n, { blindingPubkey: keyOf('blind').pubkey });
    expect(tx.outs.slice(0, 2).map((output) => explicitOutput(output))).toEqual([undefined, undefined]);
  });
  it('with another preimage is never signed', () => {
    const now = { preimage: preimageOf('another'), tipHeight: blockHeight(1), feeRate: satPerKvb(100n) };
    expect(() => signClaim(zkp, source, now)).toThrow(refusal('preimage'));
  });
});

describe('the least subsidy', () => {
  it.each([
    [100n, 150n, 500n],
    [833n, 150n, 500n],
    [834n, 150n, 501n],
    [2_000n, 150n, 1_200n],
    [1_000n, 300n, 1_200n],
  ])('at %i sat/kvB and %i %% is %i sat', (rate, percent, least) => {
    expect(leastSubsidy(satPerKvb(rate), percent)).toBe(least);
  });
});

describe('a key in wallet import format', () => {
  it('is the text that other programs know', () => {
    const key = Buffer.from('0c28fca386c7a227600b2fe50b7cae11ec86d3bf1fbe471be89827e19d72aa1d', 'hex');
    expect(encodeWif(key, 'liquidv1')).toBe('KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617');
    expect(decodeWif(encodeWif(key, 'regtest'), 'regtest')).toEqual(key);
  });
  it.each([
    '',
    'KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98618',
    '0OIl',
    encodeWif(source.privateKey, 'regtest'),
  ])('is refused when malformed or of another network, without being shown', (text) => {
    expect(() => decodeWif(text, 'liquidv1')).toThrow(
      refusal('claim key: expected WIF of liquidv1, found another text'),
    );
  });
});

describe('a claim kit', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'swap-kit-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const path = (): string => join(dir, 'claim-kit.json');
  const kit = {
    swapId: swapId('ab'.repeat(16)),
    source,
    preimage: undefined,
    bolt11: 'lnbcrt1',
    electrum: ['tcp://a:1'],
  };

  it('reads back as written, before and after the preimage is known, and is private', () => {
    writeClaimKit(path(), { ...kit, genesis });
    expect(readClaimKit(path())).toEqual(kit);
    expect(readFileSync(path(), 'utf8')).toContain('"preimage": null');
    writeClaimKit(path(), { ...kit, genesis, preimage: PREIMAGE });
    expect(readClaimKit(path())).toEqual({ ...kit, preimage: Buffer.from(PREIMAGE) });
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  it('takes a preimage that a person wrote in', () => {
    writeClaimKit(path(), { ...kit, genesis });
    const typed = `" ${PREIMAGE_HEX.toUpperCase()}\\n"`;
    writeFileSync(path(), readFileSync(path(), 'utf8').replace('"preimage": null', `"preimage": ${typed}`));
    expect(readClaimKit(path()).preimage).toEqual(Buffer.from(PREIMAGE));
  });

  it.each<[string, (text: string) => string, string]>([
    ['is cut off', (text) => text.slice(0, 200), 'found no JSON'],
    ['has another version', (text) => text.replace('"version": 1', '"version": 2'), 'version'],
    [
      'has another refund height',
      (text) => text.replace(/"refund_height": \d+/, '"refund_height": 9'),
      'another payment hash',
    ],
    ['is of an unknown chain', (text) => text.replace(genesis, '00'.repeat(32)), 'an unknown genesis'],
    [
      'has a preimage of another hash',
      (text) => text.replace('"preimage": null', `"preimage": "${'00'.repeat(32)}"`),
      'a preimage of another hash',
    ],
    ['has half a preimage', (text) => text.replace('"preimage": null', '"preimage": "00"'), 'preimage'],
    [
      'has the key of another script',
      (text) => text.replace(encodeWif(source.privateKey, 'regtest'), encodeWif(keyOf('other').privateKey, 'regtest')),
      'a claim key of another script',
    ],
  ])('that %s is refused with what is wrong', (_, damage, message) => {
    writeClaimKit(path(), { ...kit, genesis });
    writeFileSync(path(), damage(readFileSync(path(), 'utf8')), { mode: 0o600 });
    expect(() => readClaimKit(path())).toThrow(refusal(message));
  });
});
