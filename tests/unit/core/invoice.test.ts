import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { decodeInvoice } from '../../../src/core/invoice.js';
import { SwapError } from '../../../src/errors.js';
import { bytesField, featuresField, FIELD, integerField, rawInvoice, type Field } from './rawInvoice.js';

const refusedVector = z.strictObject({ title: z.string(), invoice: z.string(), refused: z.string() });
const validVector = z.strictObject({
  title: z.string(),
  invoice: z.string(),
  expected: z.strictObject({
    network: z.enum(['bitcoin', 'testnet', 'regtest']),
    payee: z.string(),
    payment_hash: z.string(),
    amount_msat: z.string(),
    created_at: z.number(),
    expiry_secs: z.number(),
    min_final_cltv_delta: z.number(),
    description: z.string().nullable(),
    description_hash: z.string().nullable(),
  }),
});
const vectors = z
  .strictObject({
    source: z.string(),
    valid: z.array(z.union([validVector, refusedVector])),
    invalid: z.array(refusedVector),
  })
  .parse(JSON.parse(readFileSync(new URL('../../vectors/bolt11.json', import.meta.url), 'utf8')));

const accepted = vectors.valid.filter((vector) => 'expected' in vector);
const refused = [...vectors.valid.filter((vector) => 'refused' in vector), ...vectors.invalid];

const PRIVATE_KEY = Buffer.from('e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734', 'hex');
const PAYEE = '03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad';
const HASH = Buffer.alloc(32, 1);

const FIELDS: readonly Field[] = [
  [FIELD.paymentHash, bytesField(HASH)],
  [FIELD.secret, bytesField(Buffer.alloc(32, 2))],
  [FIELD.descriptionHash, bytesField(Buffer.alloc(32, 3))],
  [FIELD.expiry, integerField(900, 2)],
  [FIELD.finalCltv, integerField(42, 2)],
  [FIELD.features, featuresField([8, 14, 17])],
];

const invoiceOf = (fields: readonly Field[], prefix = 'lnbcrt123456780n'): string =>
  rawInvoice({ prefix, createdAt: 1_700_000_000, fields, privateKey: PRIVATE_KEY });
const without = (...types: readonly number[]): Field[] => FIELDS.filter(([type]) => !types.includes(type));
const replaced = (type: number, words: readonly number[]): Field[] => [...without(type), [type, words]];
const refusal = (message: string): Error =>
  expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(message) as string }) as Error;

describe('an example of BOLT 11', () => {
  it.each(accepted)('is read: $title', ({ invoice, expected }) => {
    expect(decodeInvoice(invoice, expected.network)).toEqual({
      bolt11: invoice.toLowerCase(),
      network: expected.network,
      payee: expected.payee,
      paymentHash: expected.payment_hash,
      amountMsat: BigInt(expected.amount_msat),
      createdAt: expected.created_at,
      expiresAt: expected.created_at + expected.expiry_secs,
      minFinalCltvDelta: expected.min_final_cltv_delta,
      description: expected.description ?? undefined,
      descriptionHash: expected.description_hash ?? undefined,
    });
  });
  it.each(refused)('is refused: $title', ({ invoice, refused: what }) => {
    expect(() => decodeInvoice(invoice, 'bitcoin')).toThrow(refusal(what));
  });
});

describe('an invoice of our own kind', () => {
  it('is read with its description hash', () => {
    expect(decodeInvoice(invoiceOf(FIELDS), 'regtest')).toMatchObject({
      network: 'regtest',
      payee: PAYEE,
      paymentHash: HASH.toString('hex'),
      amountMsat: 12_345_678_000n,
      createdAt: 1_700_000_000,
      expiresAt: 1_700_000_900,
      minFinalCltvDelta: 42,
      descriptionHash: '03'.repeat(32),
      description: undefined,
    });
  });
  it('expires after an hour and leaves 18 blocks unless it says otherwise', () => {
    const invoice = decodeInvoice(invoiceOf(without(FIELD.expiry, FIELD.finalCltv)), 'regtest');
    expect(invoice).toMatchObject({ expiresAt: 1_700_003_600, minFinalCltvDelta: 18 });
  });
  it('may come without features, and with unknown optional ones', () => {
    expect(decodeInvoice(invoiceOf(without(FIELD.features)), 'regtest').payee).toBe(PAYEE);
    const optional = invoiceOf(replaced(FIELD.features, featuresField([8, 14, 17, 19, 21, 99])));
    expect(decodeInvoice(optional, 'regtest').payee).toBe(PAYEE);
  });
  it('may name its payee', () => {
    const named: Field[] = [...FIELDS, [FIELD.payee, bytesField(Buffer.from(PAYEE, 'hex'))]];
    expect(decodeInvoice(invoiceOf(named), 'regtest').payee).toBe(PAYEE);
  });
  it.each([
    ['lnbcrt1', 100_000_000_000n],
    ['lnbcrt21m', 2_100_000_000n],
    ['lnbcrt10u', 1_000_000n],
    ['lnbcrt7n', 700n],
    ['lnbcrt10p', 1n],
  ])('reads the amount of %s', (prefix, amountMsat) => {
    expect(decodeInvoice(invoiceOf(FIELDS, prefix), 'regtest').amountMsat).toBe(amountMsat);
  });
  it('keeps any amount to the millisatoshi', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 15n }), (amount) => {
        const invoice = invoiceOf(FIELDS, `lnbcrt${(amount * 10n).toString()}p`);
        return decodeInvoice(invoice, 'regtest').amountMsat === amount;
      }),
      { numRuns: 50 },
    );
  });
});

describe('an invoice is refused', () => {
  const bytes = (length: number): number[] => bytesField(Buffer.alloc(length, 1));
  const cases: readonly (readonly [why: string, fields: readonly Field[], message: string])[] = [
    ['without a payment hash', without(FIELD.paymentHash), 'payment hash: expected 32 bytes'],
    ['with a short payment hash', replaced(FIELD.paymentHash, bytes(31)), 'payment hash: expected 32 bytes'],
    ['with two payment hashes', [...FIELDS, [FIELD.paymentHash, bytes(32)]], 'payment_hash: expected at most once'],
    ['without a payment secret', without(FIELD.secret), 'payment_secret: expected 32 bytes, found 0'],
    ['with a short secret', replaced(FIELD.secret, bytes(31)), 'payment_secret: expected 32 bytes, found 31'],
    ['without a description', without(FIELD.descriptionHash), 'expected a text or a hash, found neither'],
    ['with two kinds of description', [...FIELDS, [FIELD.description, bytes(1)]], 'found both'],
    ['with a short description hash', replaced(FIELD.descriptionHash, bytes(31)), 'description_hash: expected 32'],
    ['with an absurd expiry', replaced(FIELD.expiry, integerField(2 ** 33, 7)), 'expiry: expected an integer up to'],
    ['that expires after the end of time', replaced(FIELD.expiry, integerField(2 ** 52, 11)), 'BOLT 11'],
    ['with an inexact expiry', replaced(FIELD.expiry, [1, ...integerField(0, 10), 1]), 'invoice'],
    ['with an absurd final CLTV', replaced(FIELD.finalCltv, integerField(70_000, 4)), 'final CLTV'],
    ['that requires gossip_queries', replaced(FIELD.features, featuresField([6, 14])), 'gossip_queries'],
    ['that requires feature 20', replaced(FIELD.features, featuresField([8, 14, 20])), 'feature 20'],
    ['whose payee is not the signer', [...FIELDS, [FIELD.payee, bytes(33)]], 'BOLT 11'],
  ];
  it.each(cases)('%s', (_, fields, message) => {
    expect(() => decodeInvoice(invoiceOf(fields), 'regtest')).toThrow(refusal(message));
  });
  it.each([
    ['without an amount', 'lnbcrt', 'amount: expected an amount, found none'],
    ['with a leading zero in its amount', 'lnbcrt010m', 'prefix'],
    ['with a fraction of a millisatoshi', 'lnbcrt15p', 'BOLT 11'],
    ['above all the money there is', 'lnbcrt21000001', 'BOLT 11'],
    ['for mainnet', 'lnbc10m', 'network: expected regtest (lnbcrt), found lnbc'],
    ['for signet', 'lntbs10m', 'network: expected regtest (lnbcrt), found lntbs'],
  ])('%s', (_, prefix, message) => {
    expect(() => decodeInvoice(invoiceOf(FIELDS, prefix), 'regtest')).toThrow(refusal(message));
  });
  it('with a non-canonical signature if it names its payee, but not if the payee is recovered', () => {
    const options = { prefix: 'lnbcrt10m', createdAt: 1_700_000_000, privateKey: PRIVATE_KEY, isHighS: true };
    const named: Field[] = [...FIELDS, [FIELD.payee, bytesField(Buffer.from(PAYEE, 'hex'))]];
    expect(decodeInvoice(rawInvoice({ ...options, fields: FIELDS }), 'regtest').payee).toBe(PAYEE);
    expect(() => decodeInvoice(rawInvoice({ ...options, fields: named }), 'regtest')).toThrow(refusal('low S'));
  });
  it('when longer than 4096 characters', () => {
    expect(() => decodeInvoice('lnbcrt1m1'.padEnd(4097, 'q'), 'regtest')).toThrow(refusal('at most 4096 characters'));
  });
  it('in mixed case, and read in upper case', () => {
    const text = invoiceOf(FIELDS);
    expect(() => decodeInvoice(`LN${text.slice(2)}`, 'regtest')).toThrow(refusal('mixed case'));
    expect(decodeInvoice(text.toUpperCase(), 'regtest').bolt11).toBe(text);
  });
  it('with a typed error, whatever the text', () => {
    const base = invoiceOf(FIELDS);
    const letter = fc.constantFrom('q', 'p', 'l', '1', 'b', ' ', 'Q');
    const damaged = fc
      .tuple(fc.nat(base.length - 1), letter)
      .map(([at, other]) => base.slice(0, at) + other + base.slice(at + 1));
    const anyText = fc.oneof(
      fc.string(),
      fc.string().map((tail) => `lnbcrt1m1${tail}`),
      damaged,
    );
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          return decodeInvoice(text, 'regtest').bolt11 === base;
        } catch (error) {
          return error instanceof SwapError && error.code === 'invalid_argument';
        }
      }),
      { numRuns: 500 },
    );
  });
  it('with a typed error, whatever its signed fields', () => {
    const field = fc.tuple(fc.nat(31), fc.array(fc.nat(31), { maxLength: 60 }));
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        try {
          decodeInvoice(invoiceOf([...FIELDS, ...fields]), 'regtest');
          return true;
        } catch (error) {
          return error instanceof SwapError && error.code === 'invalid_argument';
        }
      }),
      { numRuns: 300 },
    );
  });
});
