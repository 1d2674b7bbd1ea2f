/** Checks requests at the edge; every wrong field is named at once. */
import { z } from 'zod';

import { displayHex, hex, MAX_MONEY, paymentHash, txid } from '../../core/units.js';
import { plainWords } from '../../zodWords.js';
import { NodeError } from '../errors.js';
import { nodeIdOf } from '../ldk/result.js';

const MAX_MSAT = MAX_MONEY * 1000n;

const bytesOf = (length: number) =>
  z.instanceof(Uint8Array).refine((value) => value.length === length, `expected ${length} bytes`);

/** 32 bytes as a payment hash. */
export const hashBytes = bytesOf(32).transform((value) => paymentHash(hex(value)));
/** 32 bytes as they are. */
export const bytes32 = bytesOf(32).transform((value) => Buffer.from(value));
/** Nothing, or 32 bytes as hex. */
export const optionalHash = z
  .instanceof(Uint8Array)
  .refine((value) => value.length === 0 || value.length === 32, 'expected nothing or 32 bytes')
  .transform(hex);
/** A compressed point of the curve. */
export const nodeIdBytes = bytesOf(33).transform((value, context) => {
  try {
    return nodeIdOf(value);
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a compressed point of secp256k1' });
    return z.NEVER;
  }
});
/** A positive amount that fits a database integer. */
export const amountMsat = z.bigint().positive().max(MAX_MSAT);
/** Zero or more. */
export const limitMsat = z.bigint().nonnegative().max(MAX_MSAT);
export const sats = z.bigint().positive().max(MAX_MONEY);
/** Zero or more. */
export const optionalSats = z.bigint().nonnegative().max(MAX_MONEY);
/** 32 bytes in internal byte order as a txid. */
export const txidBytes = bytesOf(32).transform((value) => txid(displayHex(value)));
/** Greatest number of items in a list; 0 means 100. */
export const listLimit = z
  .number()
  .int()
  .max(1000)
  .transform((limit) => (limit === 0 ? 100 : limit));
export const bolt11Text = z.string().min(1).max(4096);

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @throws NodeError `invalid_argument` with one problem per wrong field. */
export function parse<S extends z.ZodType>(schema: S, request: unknown): z.output<S> {
  const result = schema.safeParse(request, { error: plainWords });
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => ({
    field: issue.path.map((part) => snake(String(part))).join('.'),
    description: issue.message,
  }));
  const text = problems.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new NodeError('invalid_argument', text, { problems });
}
