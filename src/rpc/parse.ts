/** Requests are checked here, once; behind it only branded values travel. */
import { z } from 'zod';

import { assetAmount, assetId, displayHex, hex, msat, pubkey, quoteId, swapId, type AssetId } from '../core/units.js';
import { SwapError } from '../errors.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const bytes = (length: number) =>
  z.instanceof(Uint8Array).refine((value) => value.length === length, {
    error: (issue) => `expected ${length} bytes, found ${sizeOf(issue.input)}`,
  });

const sizeOf = (input: unknown): number => (input instanceof Uint8Array ? input.length : 0);

/** Runs a branding constructor inside a schema; its message becomes the field's violation. */
function branded<In, Out>(brand: (value: In) => Out) {
  return (value: In, ctx: z.RefinementCtx): Out => {
    try {
      return brand(value);
    } catch (error) {
      ctx.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'malformed' });
      return z.NEVER;
    }
  };
}

/** An asset id: 32 bytes, internal byte order. */
export const assetField = bytes(32).transform(branded((value: Uint8Array): AssetId => assetId(displayHex(value))));
const quoteIdField = bytes(16).transform((value) => quoteId(hex(value)));
const swapIdField = bytes(16).transform((value) => swapId(hex(value)));
export const amountField = z
  .bigint()
  .positive('expected at least 1')
  .transform(branded((value: bigint) => assetAmount(value)));
export const uuidField = z
  .string()
  .transform((value) => value.toLowerCase())
  .refine((value) => UUID.test(value), 'expected a UUID like 123e4567-e89b-42d3-a456-426614174000');

/** Why business is stopped. */
export const reasonField = z.string().max(200, 'expected at most 200 characters');

export const createQuoteSchema = z.object({ assetId: assetField, assetAmount: amountField });
export const getQuoteSchema = z.object({ quoteId: quoteIdField });
export const swapIdSchema = z.object({ swapId: swapIdField });
export const createSwapSchema = z.object({
  requestId: uuidField,
  quoteId: quoteIdField,
  claimPubkey: bytes(33).transform(branded((value: Uint8Array) => pubkey(hex(value)))),
  claimProof: bytes(64),
  maxPriceMsat: z
    .bigint()
    .positive('expected at least 1')
    .transform(branded((value: bigint) => msat(value))),
  minFundingConfs: z.int().min(1, 'expected at least 1').max(100, 'expected at most 100'),
  waitUntilFunded: z.boolean(),
});

const snake = (name: PropertyKey): string => String(name).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @throws SwapError `invalid_argument` with one violation per wrong field. */
export function parseRequest<S extends z.ZodType>(schema: S, request: unknown): z.output<S> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const violations = result.error.issues.map((issue) => ({
    field: issue.path.map(snake).join('.'),
    description: issue.message,
  }));
  const text = violations.map((each) => `${each.field}: ${each.description}`).join('; ');
  throw new SwapError('invalid_argument', text, { violations });
}
