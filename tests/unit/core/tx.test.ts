import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import type { Transaction } from 'liquidjs-lib';
import { verify } from 'tiny-secp256k1';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { blindingSum, randomScalar, ZERO_BLINDER, type Blinded, type Zkp } from '../../../src/core/blind.js';
import { p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import {
  buildTransaction,
  explicitInput,
  explicitValueBytes,
  feeFor,
  fullVsize,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  signP2wpkhInput,
  txidOf,
  type TxInput,
  type TxOutput,
} from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  outpoint,
  reversedBytes,
  satPerKvb,
  type AssetAmount,
  type AssetId,
  type Pubkey,
} from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { openOutput } from './unblind.js';
import { keyOf, loadZkp, randomBytes, refusal } from './zkp.js';

const LBTC = assetId('5ac9f65c0efcc4775e0baec4ec03abdde22473cd3cf33c0419ca290e0751b225');
const GOLD = assetId('11'.repeat(32));
const OWNER = keyOf('owner');
const BLINDING = keyOf('blinding');
const SCRIPT = p2wpkhScriptPubKey(OWNER.pubkey);

let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

let counter = 0;
const explicit = (id: AssetId, value: bigint): TxInput =>
  explicitInput(
    { outpoint: outpoint('77'.repeat(32), (counter += 1)), assetId: id, value: assetAmount(value) },
    SEQUENCE_REPLACEABLE,
  );
const hidden = (id: AssetId, value: bigint): TxInput => ({
  ...explicit(id, value),
  assetBlinder: randomScalar(zkp, randomBytes),
  valueBlinder: randomScalar(zkp, randomBytes),
});
const plain = (id: AssetId, value: bigint): TxOutput => ({
  scriptPubKey: SCRIPT,
  assetId: id,
  value: assetAmount(value),
});
const blinded = (id: AssetId, value: bigint): TxOutput => ({ ...plain(id, value), blindingPubkey: BLINDING.pubkey });
const fee = (value: bigint): TxOutput => ({ ...plain(LBTC, value), scriptPubKey: Buffer.alloc(0) });
const build = (inputs: readonly TxInput[], outputs: readonly TxOutput[], locktime = 0): Transaction =>
  buildTransaction(zkp, { inputs, outputs, locktime, randomBytes });

/** Opens every output and checks what consensus checks: amounts, surjection, and the balance of all commitments. */
function checkAmounts(tx: Transaction, inputs: readonly TxInput[], outputs: readonly TxOutput[]): void {
  const opened: Blinded[] = tx.outs.map((output) => openOutput(zkp, output, BLINDING.privateKey));
  expect(opened.map(({ assetId: id, value }) => [id, value])).toEqual(
    outputs.map(({ assetId: id, value }) => [id, value]),
  );
  expect(blindingSum(zkp, opened)).toEqual(blindingSum(zkp, inputs));
  const generators = inputs.map((input) =>
    zkp.generator.generateBlinded(reversedBytes(input.assetId), input.assetBlinder),
  );
  tx.outs.forEach((output, i) => {
    const proof = output.surjectionProof ?? Buffer.alloc(0);
    const isBlinded = outputs[i]?.blindingPubkey !== undefined;
    expect(proof.length > 0 && zkp.surjectionproof.verify(proof, generators, output.asset)).toBe(isBlinded);
  });
}

describe('a transaction', () => {
  it.each([
    [
      'explicit inputs and outputs',
      () => [explicit(GOLD, 50n), explicit(LBTC, 1000n)],
      [plain(GOLD, 50n), plain(LBTC, 900n), fee(100n)],
    ],
    [
      'explicit inputs, one blinded output',
      () => [explicit(GOLD, 50n), explicit(LBTC, 1000n)],
      [blinded(GOLD, 50n), fee(1000n)],
    ],
    [
      'explicit inputs, two blinded outputs',
      () => [explicit(GOLD, 50n), explicit(LBTC, 1000n)],
      [blinded(GOLD, 50n), blinded(LBTC, 900n), fee(100n)],
    ],
    [
      'confidential inputs',
      () => [hidden(GOLD, 50n), hidden(LBTC, 1000n)],
      [plain(GOLD, 20n), blinded(GOLD, 30n), blinded(LBTC, 1n), fee(999n)],
    ],
    [
      'mixed inputs, greatest amount',
      () => [hidden(GOLD, 2_100_000_000_000_000n), explicit(LBTC, 1000n)],
      [blinded(GOLD, 2_100_000_000_000_000n), fee(1000n)],
    ],
    [
      'a confidential input without change, a blinded 0 on OP_RETURN',
      () => [hidden(LBTC, 1000n)],
      [plain(LBTC, 900n), { ...blinded(LBTC, 0n), scriptPubKey: Buffer.of(0x6a) }, fee(100n)],
    ],
  ])('balances, and its owner can open it: %s', (_, makeInputs, outputs) => {
    const inputs = makeInputs();
    const tx = build(inputs, outputs, 123);
    expect([tx.version, tx.locktime, tx.ins.length]).toEqual([2, 123, inputs.length]);
    expect(tx.ins.every((input) => input.sequence === SEQUENCE_REPLACEABLE)).toBe(true);
    checkAmounts(tx, inputs, outputs);
    expect(rawOf(parseTransaction(rawOf(tx)))).toEqual(rawOf(tx));
  });
  it('keeps the order of its outputs and makes range proofs of full length', () => {
    const tx = build(
      [explicit(GOLD, 50n), explicit(LBTC, 1000n)],
      [fee(100n), blinded(GOLD, 50n), blinded(LBTC, 900n)],
    );
    expect(tx.outs.map((output) => output.script.length)).toEqual([0, 22, 22]);
    expect(tx.outs.map((output) => output.rangeProof?.length ?? 0)).toEqual([0, 4174, 4174]);
  });
  it('balances for any amounts and mix of blinding', () => {
    const amount = fc.bigInt({ min: 1n, max: 700_000_000_000_000n });
    fc.assert(
      fc.property(amount, amount, fc.boolean(), fc.constantFrom(1, 2, 3), (first, second, isHidden, howMany) => {
        const inputs = [
          isHidden ? hidden(LBTC, first) : explicit(LBTC, first),
          explicit(LBTC, second),
          hidden(GOLD, 7n),
        ];
        const amounts = [first, second].map((value, i) =>
          i + 1 < howMany ? blinded(LBTC, value) : plain(LBTC, value),
        );
        const outputs = [...amounts, blinded(GOLD, 7n)];
        const tx = build(inputs, outputs);
        const opened = tx.outs.map((output) => openOutput(zkp, output, BLINDING.privateKey));
        return blindingSum(zkp, opened).equals(blindingSum(zkp, inputs));
      }),
      { numRuns: 8 },
    );
  });

  const gold = (value: bigint): TxInput[] => [explicit(GOLD, value), explicit(LBTC, 1000n)];
  it.each([
    ['one unit too much', () => build(gold(50n), [plain(GOLD, 51n), fee(1000n)]), 'outputs of 50, found 51'],
    ['one unit too little', () => build(gold(50n), [plain(GOLD, 49n), fee(1000n)]), 'outputs of 50, found 49'],
    ['an asset out of nothing', () => build([explicit(LBTC, 1000n)], [plain(GOLD, 1n), fee(1000n)]), 'outputs of 0'],
    ['a forgotten asset', () => build(gold(50n), [fee(1000n)]), 'outputs of 50, found 0'],
    ['no inputs', () => build([], [fee(1n)]), 'inputs: expected 1..64'],
    [
      '65 inputs',
      () =>
        build(
          Array.from({ length: 65 }, () => explicit(LBTC, 1n)),
          [fee(65n)],
        ),
      '1..64, found 65',
    ],
    [
      'an input twice',
      () => {
        const input = explicit(LBTC, 500n);
        return build([input, input], [fee(1000n)]);
      },
      'each outpoint once',
    ],
    [
      'an index that flags an issuance',
      () => build([{ ...explicit(LBTC, 5n), outpoint: outpoint('77'.repeat(32), 0x8000_0000) }], [fee(5n)]),
      'output index',
    ],
    ['a sequence out of range', () => build([{ ...explicit(LBTC, 5n), sequence: 2 ** 32 }], [fee(5n)]), 'sequence'],
    ['a lock by time', () => build([explicit(LBTC, 5n)], [fee(5n)], 500_000_000), 'block height'],
    [
      'an amount of 0',
      () => build(gold(50n), [plain(GOLD, 50n), plain(LBTC, 0n), fee(1000n)]),
      'output 1: expected an amount above 0',
    ],
    [
      'a spendable blinded amount of 0',
      () => build([hidden(LBTC, 5n)], [blinded(LBTC, 0n), fee(5n)]),
      'an amount above 0',
    ],
    [
      'an amount above the money range',
      () => build(gold(50n), [{ ...plain(GOLD, 50n), value: 2_100_000_000_000_001n as AssetAmount }]),
      'asset amount',
    ],
    [
      'explicit outputs above it together',
      () =>
        build(
          [explicit(GOLD, 2_100_000_000_000_000n), explicit(LBTC, 1n)],
          [plain(GOLD, 2_100_000_000_000_000n), fee(1n)],
        ),
      'at most 2100000000000000 together',
    ],
    ['a confidential input without a blinded output', () => build([hidden(LBTC, 5n)], [fee(5n)]), 'a blinded output'],
    [
      'a blinded 0 that has nothing to hide behind',
      () => build([explicit(LBTC, 5n)], [{ ...blinded(LBTC, 0n), scriptPubKey: Buffer.of(0x6a) }, fee(5n)]),
      'another blinded output',
    ],
    [
      'a blinded fee',
      () => build([hidden(LBTC, 5n)], [{ ...fee(5n), blindingPubkey: BLINDING.pubkey }]),
      'an explicit fee',
    ],
    [
      'a blinding key that is no point',
      () => build([explicit(LBTC, 5n)], [{ ...plain(LBTC, 5n), blindingPubkey: `02${'ff'.repeat(32)}` as Pubkey }]),
      'public key',
    ],
  ])('is refused with %s', (_, make, message) => {
    expect(make).toThrow(refusal(message));
  });
  it('allows explicit amounts of exactly the money range together', () => {
    const outputs = [plain(GOLD, 2_099_999_999_999_999n), fee(1n)];
    const tx = build([explicit(GOLD, 2_099_999_999_999_999n), explicit(LBTC, 1n)], outputs);
    expect(tx.outs).toHaveLength(2);
  });
  it('is not built with a broken source of randomness', () => {
    const inputs = [hidden(LBTC, 5n)];
    const outputs = [blinded(LBTC, 4n), fee(1n)];
    expect(() => buildTransaction(zkp, { inputs, outputs, locktime: 0, randomBytes: (n) => Buffer.alloc(n) })).toThrow(
      'invalid scalars',
    );
  });
});

describe('parsing', () => {
  const { transactions } = z
    .object({ transactions: z.array(z.object({ name: z.string(), hex: z.string(), vsize: z.number() })) })
    .parse(JSON.parse(readFileSync(new URL('../../vectors/htlc.json', import.meta.url), 'utf8')));

  it.each(transactions)('agrees with a node on the virtual size: $name', ({ hex, vsize }) => {
    const tx = parseTransaction(Buffer.from(hex, 'hex'));
    expect(fullVsize(tx)).toBe(vsize);
    expect(rawOf(tx).toString('hex')).toBe(hex);
  });
  it('agrees with a node on the txid', () => {
    const funding = parseTransaction(Buffer.from(transactions[0]?.hex ?? '', 'hex'));
    expect(txidOf(funding)).toBe('5d556f907af35b1b79c0e4e61cd7c121aa34043ae32065c4756b38b85720ae54');
  });
  it('refuses anything that is not exactly one transaction', () => {
    const raw = Buffer.from(transactions[0]?.hex ?? '', 'hex');
    for (const bytes of [Buffer.alloc(0), raw.subarray(1), raw.subarray(0, -1), Buffer.concat([raw, Buffer.of(0)])]) {
      expect(() => parseTransaction(bytes)).toThrow(refusal('transaction'));
    }
  });
  it('never fails in another way, nor reads one transaction from two encodings', () => {
    const raw = Buffer.from(transactions[0]?.hex ?? '', 'hex');
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.integer({ min: 1, max: 255 }), (at, difference) => {
        const bytes = Buffer.from(raw);
        bytes.writeUInt8(bytes.readUInt8(at) ^ difference, at);
        try {
          return rawOf(parseTransaction(bytes)).equals(bytes);
        } catch (error) {
          return error instanceof SwapError && error.code === 'invalid_argument';
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('fees and values', () => {
  it.each([
    [483, 100n, 49n],
    [480, 100n, 48n],
    [1, 1n, 1n],
    [400, 0n, 0n],
  ])('%i vB at %i sat/kvB cost %i sat', (vsize, rate, expected) => {
    expect(feeFor(vsize, satPerKvb(rate))).toBe(expected);
  });
  it('an explicit value is 01 and 8 bytes big endian', () => {
    expect(explicitValueBytes(assetAmount(1_000_000n)).toString('hex')).toBe('0100000000000f4240');
    expect(explicitValueBytes(assetAmount(2_100_000_000_000_000n)).toString('hex')).toBe('01000775f05a074000');
  });
});

describe('a P2WPKH signature', () => {
  it('is low S, of SIGHASH_ALL, over the value as serialized, and deterministic', () => {
    const input = explicit(LBTC, 1000n);
    const tx = build([input], [plain(LBTC, 900n), fee(100n)]);
    const prevoutValue = explicitValueBytes(input.value);
    signP2wpkhInput(tx, 0, { pubkey: OWNER.pubkey, privateKey: OWNER.privateKey, prevoutValue });
    const [signature = Buffer.alloc(0), key = Buffer.alloc(0)] = tx.ins[0]?.witness ?? [];
    expect(key.toString('hex')).toBe(OWNER.pubkey);
    expect(signature.at(-1)).toBe(1);
    const scriptCode = Buffer.from(`76a914${OWNER.pkh}88ac`, 'hex');
    const compact = compactOf(signature);
    const digestFor = (value: Buffer): Buffer => tx.hashForWitnessV0(0, scriptCode, value, 1);
    expect(verify(digestFor(prevoutValue), key, compact, true)).toBe(true);
    expect(verify(digestFor(explicitValueBytes(assetAmount(1001n))), key, compact, true)).toBe(false);
    const again = tx.clone();
    signP2wpkhInput(again, 0, { pubkey: OWNER.pubkey, privateKey: OWNER.privateKey, prevoutValue });
    expect(rawOf(again)).toEqual(rawOf(tx));
  });
});

/** r and s of a DER signature with hash type, 32 bytes each. */
function compactOf(der: Buffer): Buffer {
  const rLength = der.readUInt8(3);
  const [r, s] = [der.subarray(4, 4 + rLength), der.subarray(6 + rLength, -1)];
  return Buffer.concat([r, s].map((part) => Buffer.concat([ZERO_BLINDER, part]).subarray(-32)));
}
