/** An invoice taken apart into its fields, to be signed again with one of them changed. */
import { paymentHash, type PaymentHash } from '../../src/core/units.js';
import { FIELD, integerField, rawInvoice, type Field } from '../unit/core/rawInvoice.js';

const CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const SIGNATURE_WORDS = 104;
const CHECKSUM_WORDS = 6;
const TIME_WORDS = 7;

/** What an invoice says, as it stands in its text. */
export type InvoiceParts = {
  /** `ln` and the network. */
  readonly network: string;
  /** Amount with its multiplier; empty for none. */
  readonly amount: string;
  readonly createdAt: number;
  readonly fields: readonly Field[];
};

const number = (words: readonly number[]): number => words.reduce((sum, word) => sum * 32 + word, 0);

/** The parts of an invoice that is known to be well-formed. */
export function takeApart(bolt11: string): InvoiceParts {
  const split = bolt11.lastIndexOf('1');
  const [, network = '', amount = ''] = /^(ln[a-z]+?)(\d+[munp]?)?$/.exec(bolt11.slice(0, split)) ?? [];
  const all = Array.from(bolt11.slice(split + 1), (letter) => CHARSET.indexOf(letter));
  const words = all.slice(0, -(SIGNATURE_WORDS + CHECKSUM_WORDS));
  const fields: Field[] = [];
  for (let at = TIME_WORDS; at < words.length;) {
    const [type = 0, high = 0, low = 0] = words.slice(at, at + 3);
    const end = at + 3 + high * 32 + low;
    fields.push([type, words.slice(at + 3, end)]);
    at = end;
  }
  return { network, amount, createdAt: number(words.slice(0, TIME_WORDS)), fields };
}

/** The text of these parts, signed. */
export const putTogether = ({ network, amount, createdAt, fields }: InvoiceParts, privateKey: Uint8Array): string =>
  rawInvoice({ prefix: `${network}${amount}`, createdAt, fields, privateKey });

/** An amount in pico-bitcoin, which is exact to the millisatoshi. */
export const amountOf = (msat: bigint): string => `${msat * 10n}p`;

/** The parts with a field replaced, or without it. */
export function withField(parts: InvoiceParts, type: number, words: readonly number[] | undefined): InvoiceParts {
  const fields = parts.fields.flatMap((field): Field[] => {
    if (field[0] !== type) return [field];
    return words === undefined ? [] : [[type, words]];
  });
  return { ...parts, fields };
}

/** The parts with one more field at their end. */
export const addField = (parts: InvoiceParts, field: Field): InvoiceParts => ({
  ...parts,
  fields: [...parts.fields, field],
});

/** A number in as few words as it needs. */
export const numberField = (value: number): number[] =>
  integerField(value, Math.max(1, Math.ceil(value.toString(2).length / 5)));

/** The hash that the invoice asks to be paid for. */
export function hashOf({ fields }: InvoiceParts): PaymentHash {
  const words = fields.find(([type]) => type === FIELD.paymentHash)?.[1] ?? [];
  const bits = words.map((word) => word.toString(2).padStart(5, '0')).join('');
  const bytes = bits.slice(0, 256).match(/.{8}/g) ?? [];
  return paymentHash(Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2))).toString('hex'));
}
