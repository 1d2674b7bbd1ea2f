/** Another invoice: the HTLC is the honest one, what is to be paid is not. */
import { assetId, hex, msat, paymentHash, quoteId, sat, reversedBytes, swapId } from '../../src/core/units.js';
import { addField, amountOf, numberField, withField, type InvoiceParts } from '../support/bolt11Parts.js';
import { bytesField, featuresField, FIELD } from '../unit/core/rawInvoice.js';
import { keyOf } from '../unit/core/zkp.js';
import type { Lie } from './lie.js';

const OTHER = Buffer.alloc(32, 7);

const priceOf = (parts: InvoiceParts, more: bigint): InvoiceParts => ({
  ...parts,
  amount: amountOf(msatOf(parts) + more),
});

/** The amount of an invoice of our own node. */
function msatOf({ amount }: InvoiceParts): bigint {
  const unit = { m: 100_000_000n, u: 100_000n, n: 100n, p: 0n }[amount.slice(-1)];
  const digits = BigInt(amount.slice(0, -1));
  return unit === 0n ? digits / 10n : digits * (unit ?? 0n);
}

const aged = (parts: InvoiceParts, secs: number): InvoiceParts => ({ ...parts, createdAt: parts.createdAt - secs });

export const INVOICE_LIES: readonly Lie[] = [
  { name: 'signed anew without a lie', codes: [], invoice: (parts) => parts },
  { name: 'price plus one msat', codes: ['invoice_amount'], invoice: (parts) => priceOf(parts, 1n) },
  { name: 'price minus one msat', codes: ['invoice_amount'], invoice: (parts) => priceOf(parts, -1n) },
  {
    name: 'a thousand times the price',
    codes: ['invoice_amount'],
    invoice: (parts) => priceOf(parts, msatOf(parts) * 999n),
  },
  { name: 'no amount', codes: ['invoice_amountless'], invoice: (parts) => ({ ...parts, amount: '' }) },
  { name: 'expired', codes: ['invoice_expired', 'invoice_expiry_left'], invoice: (parts) => aged(parts, 4_000) },
  {
    name: 'expires in a minute',
    codes: ['invoice_expiry_left'],
    invoice: (parts) =>
      withField({ ...parts, createdAt: Math.floor(Date.now() / 1000) }, FIELD.expiry, numberField(60)),
  },
  { name: 'of another network', codes: ['invoice_network'], invoice: (parts) => ({ ...parts, network: 'lntb' }) },
  { name: 'of mainnet', codes: ['invoice_network'], invoice: (parts) => ({ ...parts, network: 'lnbc' }) },
  {
    name: 'signed by another node',
    codes: ['invoice_signature_payee'],
    invoice: (parts) => parts,
    signer: keyOf('another node').privateKey,
  },
  {
    name: 'names the node, signed by another',
    codes: ['invoice_unreadable'],
    invoice: (parts, { sellerNodeId }) => addField(parts, [FIELD.payee, bytesField(Buffer.from(sellerNodeId, 'hex'))]),
    signer: keyOf('another node').privateKey,
  },
  {
    name: 'final CLTV of 144',
    codes: ['final_cltv_too_high', 'final_cltv_vs_cap'],
    invoice: (parts) => withField(parts, FIELD.finalCltv, numberField(144)),
  },
  {
    name: 'final CLTV + 3 above the cap',
    codes: ['final_cltv_vs_cap'],
    invoice: (parts) => withField(parts, FIELD.finalCltv, numberField(58)),
  },
  {
    name: 'unknown required feature',
    codes: ['invoice_features'],
    invoice: (parts) => withField(parts, FIELD.features, featuresField([8, 14, 17, 100])),
  },
  {
    name: 'no payment secret',
    codes: ['invoice_payment_secret'],
    invoice: (parts) => withField(parts, FIELD.secret, undefined),
  },
  {
    name: 'payment secret of 31 bytes',
    codes: ['invoice_payment_secret'],
    invoice: (parts) => withField(parts, FIELD.secret, bytesField(Buffer.alloc(31, 1))),
  },
  {
    name: 'hash of another invoice',
    codes: ['payment_hash_mismatch'],
    terms: (terms) => ({ ...terms, paymentHash: paymentHash(hex(OTHER)) }),
    invoice: (parts) => withField(parts, FIELD.paymentHash, bytesField(OTHER)),
  },
  {
    name: 'two payment hashes',
    codes: ['invoice_unreadable'],
    invoice: (parts) => addField(parts, [FIELD.paymentHash, bytesField(OTHER)]),
  },
  {
    name: 'one letter changed',
    codes: ['invoice_unreadable'],
    bolt11: (text) => `${text.slice(0, -1)}${text.endsWith('q') ? 'p' : 'q'}`,
  },
  { name: 'no invoice at all', codes: ['invoice_unreadable'], bolt11: () => 'lightning:please' },
  {
    name: 'description_hash of other terms',
    codes: ['terms_hash_mismatch'],
    invoice: (parts) => withField(parts, FIELD.descriptionHash, bytesField(OTHER)),
  },
  {
    name: 'a description in words',
    codes: ['terms_hash_mismatch'],
    invoice: ({ fields, ...parts }) => ({
      ...parts,
      fields: fields.map((field) =>
        field[0] === FIELD.descriptionHash ? [FIELD.description, bytesField(Buffer.from('25 USDT'))] : field,
      ),
    }),
  },
  ...(
    [
      ['another subsidy', (terms) => ({ ...terms, feeSubsidySat: sat(20n) })],
      ['a lower price', (terms) => ({ ...terms, priceMsat: msat(terms.priceMsat - 1_000n) })],
      ['the asset id byte-reversed', (terms) => ({ ...terms, assetId: assetId(hex(reversedBytes(terms.assetId))) })],
      ['another swap', (terms) => ({ ...terms, swapId: swapId('00'.repeat(16)) })],
      ['another quote', (terms) => ({ ...terms, quoteId: quoteId('00'.repeat(16)) })],
      ['another claim key', (terms) => ({ ...terms, claimPkh: keyOf('somebody').pkh })],
      ['fewer confirmations', (terms) => ({ ...terms, minFundingConfs: 1 })],
      ['an earlier refund', (terms) => ({ ...terms, refundDeltaBlocks: 30 })],
    ] satisfies [string, NonNullable<Lie['terms']>][]
  ).map(([name, terms]): Lie => ({ name: `terms with ${name}`, codes: ['terms_hash_mismatch'], terms })),
];
