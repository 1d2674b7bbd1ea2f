import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointFromScalar } from 'tiny-secp256k1';

import { decodeInvoice } from '../../../src/core/invoice.js';
import { hex, MAX_MONEY, paymentHash, pubkey } from '../../../src/core/units.js';
import { encodeInvoice, type InvoiceFields } from '../../../src/lnnode/bolt11.js';

const SECRET = Buffer.alloc(32, 7);
const NODE_ID = pubkey(hex(pointFromScalar(SECRET, true) ?? Buffer.alloc(0)));

const fields = (change: Partial<InvoiceFields> = {}): InvoiceFields => ({
  network: 'regtest',
  paymentHash: paymentHash('12'.repeat(32)),
  paymentSecret: '34'.repeat(32),
  amountMsat: 1n,
  description: { hash: '56'.repeat(32) },
  createdAt: 1_700_000_000,
  expirySecs: 600,
  minFinalCltvDelta: 42,
  hints: [],
  ...change,
});

describe('an invoice', () => {
  it('says what it was made of', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: MAX_MONEY * 1000n }),
        fc.integer({ min: 1_231_006_505, max: 2 ** 35 - 1 }),
        fc.integer({ min: 1, max: 604_800 }),
        fc.integer({ min: 24, max: 144 }),
        fc.constantFrom('bitcoin', 'testnet', 'regtest'),
        (amountMsat, createdAt, expirySecs, minFinalCltvDelta, network) => {
          const made = fields({ amountMsat, createdAt, expirySecs, minFinalCltvDelta, network });
          expect(decodeInvoice(encodeInvoice(made, SECRET), network)).toMatchObject({
            payee: NODE_ID,
            network,
            paymentHash: made.paymentHash,
            amountMsat,
            createdAt,
            expiresAt: createdAt + expirySecs,
            minFinalCltvDelta,
            descriptionHash: '56'.repeat(32),
            description: undefined,
          });
        },
      ),
      { numRuns: 50 },
    );
  });
  it('carries a text instead of a hash, also an empty one', () => {
    for (const text of ['', 'Käse für €3']) {
      const decoded = decodeInvoice(encodeInvoice(fields({ description: { text } }), SECRET), 'regtest');
      expect(decoded).toMatchObject({ description: text, descriptionHash: undefined });
    }
  });
  it('carries hints without changing anything else', () => {
    const hint = { nodeId: NODE_ID, shortChannelId: 0x0a_0000_0100_0002n, feeBaseMsat: 1000, feePpm: 0, cltvDelta: 72 };
    const plain = decodeInvoice(encodeInvoice(fields(), SECRET), 'regtest');
    const hinted = decodeInvoice(encodeInvoice(fields({ hints: [hint, hint] }), SECRET), 'regtest');
    expect({ ...hinted, bolt11: '' }).toEqual({ ...plain, bolt11: '' });
  });
});
