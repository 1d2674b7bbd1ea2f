import { readFileSync } from 'node:fs';

import { Transaction } from 'liquidjs-lib';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { Zkp } from '../../../src/core/blind.js';
import { explicitOutput, findFundingOutputs, fundingOutputs, type FundingProblem } from '../../../src/core/funding.js';
import { p2wshScriptPubKey } from '../../../src/core/htlc.js';
import {
  buildTransaction,
  explicitInput,
  explicitValueBytes,
  parseTransaction,
  txidOf,
  type TxOutput,
} from '../../../src/core/tx.js';
import { assetAmount, assetId, outpoint, reversedBytes, sat, type AssetId } from '../../../src/core/units.js';
import { keyOf, loadZkp, randomBytes, refusal } from './zkp.js';

const vectors = z
  .object({
    policy_asset: z.string(),
    asset: z.string(),
    witness_script: z.string(),
    transactions: z.array(z.object({ kind: z.string(), hex: z.string() })),
  })
  .parse(JSON.parse(readFileSync(new URL('../../vectors/htlc.json', import.meta.url), 'utf8')));
const LBTC = assetId(vectors.policy_asset);
const GOLD = assetId(vectors.asset);
const SILVER = assetId('22'.repeat(32));
const scriptPubKey = p2wshScriptPubKey(Buffer.from(vectors.witness_script, 'hex'));
const OTHER_SCRIPT = p2wshScriptPubKey(Buffer.of(0x51));

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

const EXPECTED = fundingOutputs({
  assetId: GOLD,
  assetAmount: assetAmount(5_000n),
  feeSubsidySat: sat(1_000n),
  policyAsset: LBTC,
  scriptPubKey,
});
const output = (id: AssetId, value: bigint, script: Buffer = scriptPubKey): TxOutput => ({
  scriptPubKey: script,
  assetId: id,
  value: assetAmount(value),
});

/** A transaction of these outputs whose inputs pay exactly them. */
function paying(outputs: readonly TxOutput[]): Transaction {
  const inputs = outputs.map(({ assetId: id, value }, vout) =>
    explicitInput({ outpoint: outpoint('55'.repeat(32), vout), assetId: id, value }, 0xffff_fffd),
  );
  return buildTransaction(zkp, { inputs, outputs, locktime: 0, randomBytes });
}

/** Outputs with any bytes in their fields. */
function rawTransaction(outputs: readonly { value: Buffer; asset: Buffer; nonce: Buffer }[]): Transaction {
  const tx = new Transaction();
  tx.addInput(Buffer.alloc(32, 5), 0);
  for (const { value, asset, nonce } of outputs) tx.addOutput(scriptPubKey, value, asset, nonce);
  return tx;
}
const fieldsOf = ({ assetId: id, value }: TxOutput) => ({
  value: explicitValueBytes(value),
  asset: Buffer.concat([Buffer.of(1), reversedBytes(id)]),
  nonce: Buffer.of(0),
});

const check = (tx: Transaction) => findFundingOutputs(tx, { scriptPubKey, expected: EXPECTED });
const problem = (code: FundingProblem['code'], message = ''): unknown => ({
  ok: false,
  problem: { code, message: expect.stringContaining(message) as string },
});

describe('the outputs that fund an HTLC', () => {
  it('are the asset and the subsidy', () => {
    expect(EXPECTED).toEqual([output(GOLD, 5_000n), output(LBTC, 1_000n)]);
  });
  it('are one output of both when L-BTC is sold', () => {
    const options = { assetId: LBTC, feeSubsidySat: sat(1_000n), policyAsset: LBTC, scriptPubKey };
    expect(fundingOutputs({ ...options, assetAmount: assetAmount(5_000n) })).toEqual([output(LBTC, 6_000n)]);
    expect(() => fundingOutputs({ ...options, assetAmount: assetAmount(2_100_000_000_000_000n) })).toThrow(
      refusal('asset amount'),
    );
  });
});

describe('finding them', () => {
  it('gives the outpoints, the asset first, wherever they stand among other outputs', () => {
    const tx = paying([
      output(LBTC, 7n, OTHER_SCRIPT),
      output(LBTC, 1_000n),
      output(GOLD, 5_000n),
      output(LBTC, 9n, Buffer.alloc(0)),
    ]);
    expect(check(parseTransaction(tx.toBuffer()))).toEqual({
      ok: true,
      outpoints: [
        { outpoint: outpoint(txidOf(tx), 2), assetId: GOLD, value: 5_000n },
        { outpoint: outpoint(txidOf(tx), 1), assetId: LBTC, value: 1_000n },
      ],
    });
  });
  it('works on a funding that a node accepted', () => {
    const raw = vectors.transactions.find((entry) => entry.kind === 'funding')?.hex ?? '';
    const tx = parseTransaction(Buffer.from(raw, 'hex'));
    const expected = tx.outs.flatMap((entry) => (entry.script.equals(scriptPubKey) ? [explicitOutput(entry)] : []));
    const wanted = expected.flatMap((entry) => entry ?? []);
    expect(wanted.map((entry) => entry.assetId)).toEqual([GOLD, LBTC]);
    expect(findFundingOutputs(tx, { scriptPubKey, expected: wanted })).toMatchObject({ ok: true });
  });
  it.each([
    ['nothing at the script', [output(GOLD, 5_000n, OTHER_SCRIPT)], 'funding_missing_output', 'found 0'],
    [
      'no subsidy',
      [output(GOLD, 5_000n)],
      'funding_missing_output',
      "expected 2 outputs with the HTLC's script, found 1",
    ],
    ['one output more', [...EXPECTED, output(LBTC, 1n)], 'funding_extra_output', 'found 3'],
    ['an expected output twice', [...EXPECTED, output(GOLD, 5_000n)], 'funding_extra_output', 'found 3'],
    [
      'one unit short',
      [output(GOLD, 4_999n), output(LBTC, 1_000n)],
      'funding_amount',
      `expected 5000 of asset ${GOLD}, found 4999`,
    ],
    ['one unit too much', [output(GOLD, 5_001n), output(LBTC, 1_000n)], 'funding_amount', 'found 5001'],
    ['a smaller subsidy', [output(GOLD, 5_000n), output(LBTC, 999n)], 'funding_amount', 'found 999'],
    [
      'another asset',
      [output(SILVER, 5_000n), output(LBTC, 1_000n)],
      'funding_asset',
      `expected 5000 of asset ${GOLD}`,
    ],
    [
      'the asset twice instead of the subsidy',
      [output(GOLD, 5_000n), output(GOLD, 5_000n)],
      'funding_asset',
      `expected 1000 of asset ${LBTC}`,
    ],
    ['amounts swapped', [output(GOLD, 1_000n), output(LBTC, 5_000n)], 'funding_amount', 'found 1000'],
    [
      'a blinded asset',
      [{ ...output(GOLD, 5_000n), blindingPubkey: keyOf('b').pubkey }, output(LBTC, 1_000n)],
      'funding_blinded',
      'output 0',
    ],
    [
      'an extra blinded output',
      [...EXPECTED, { ...output(GOLD, 1n), blindingPubkey: keyOf('b').pubkey }],
      'funding_blinded',
      'output 2',
    ],
  ] as const)('is refused with %s', (_, outputs, code, message) => {
    expect(check(paying(outputs))).toEqual(problem(code, message));
  });
  it('is refused with a nonce on an explicit output', () => {
    const fields = EXPECTED.map(fieldsOf);
    expect(check(rawTransaction(fields))).toMatchObject({ ok: true });
    const nonce = Buffer.from(keyOf('b').pubkey, 'hex');
    expect(check(rawTransaction(fields.map((entry) => ({ ...entry, nonce }))))).toEqual(problem('funding_nonce'));
  });
  it('is refused with half-blinded or malformed values', () => {
    const [asset, subsidy] = EXPECTED.map(fieldsOf);
    if (asset === undefined || subsidy === undefined) throw new Error('no outputs');
    for (const change of [
      { value: Buffer.alloc(33, 8) },
      { asset: Buffer.alloc(33, 10) },
      { value: Buffer.concat([Buffer.of(1), Buffer.alloc(8, 0xff)]) },
    ]) {
      expect(check(rawTransaction([{ ...asset, ...change }, subsidy]))).toEqual(problem('funding_blinded'));
    }
  });
});

describe('an explicit output', () => {
  it('is read with asset and amount, unless it carries a nonce or a proof', () => {
    const [entry] = rawTransaction([fieldsOf(output(GOLD, 5_000n))]).outs;
    if (entry === undefined) throw new Error('no output');
    expect(explicitOutput(entry)).toEqual({ assetId: GOLD, value: 5_000n });
    expect(explicitOutput({ ...entry, nonce: Buffer.alloc(33, 2) })).toBeUndefined();
    expect(explicitOutput({ ...entry, rangeProof: Buffer.of(1) })).toBeUndefined();
    expect(explicitOutput({ ...entry, surjectionProof: Buffer.of(1) })).toBeUndefined();
    expect(explicitOutput({ ...entry, value: Buffer.alloc(33, 9) })).toBeUndefined();
  });
});
