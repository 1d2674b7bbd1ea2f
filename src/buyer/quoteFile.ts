/** Quotes between `swap quote` and `swap create`, one private file each. */
import { join } from 'node:path';

import { z } from 'zod';

import { assetAmount, assetId, blockHash, msat, pubkey, quoteId, sat, unixSecs } from '../core/units.js';
import { SwapError } from '../errors.js';
import { BuyerError } from './buyerError.js';
import { makePrivateFolder, readPrivateFile, writePrivateFile } from './files.js';
import type { SellerQuote } from './quote.js';

const decimal = z.string().regex(/^[0-9]{1,19}$/);

const quoteSchema = z.strictObject({
  ticker: z.string(),
  precision: z.int().min(0).max(8),
  quote: z.strictObject({
    quoteId: z.string().transform(quoteId),
    assetId: z.string().transform(assetId),
    assetAmount: decimal.transform((text) => assetAmount(BigInt(text))),
    priceMsat: decimal.transform((text) => msat(BigInt(text))),
    feeSubsidySat: decimal.transform((text) => sat(BigInt(text))),
    profile: z.enum(['routed', 'near', 'direct', 'regtest']),
    refundDeltaBlocks: z.int(),
    minFundingConfs: z.int(),
    maxFundingConfs: z.int(),
    invoiceExpirySecs: z.int(),
    expiresAt: z.int().transform(unixSecs),
    genesis: z.string().transform(blockHash),
    sellerNodeId: z.string().transform(pubkey),
  }) satisfies z.ZodType<SellerQuote>,
});

/** A quote with the names that go with it. */
export type StoredQuote = { readonly ticker: string; readonly precision: number; readonly quote: SellerQuote };

const fileOf = (dir: string, id: string): string => join(dir, 'quotes', `${id}.json`);

/** Keeps a quote for a later `swap create`. */
export function storeQuote(dir: string, stored: StoredQuote): void {
  makePrivateFolder(join(dir, 'quotes'));
  const text = JSON.stringify(stored, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 2);
  writePrivateFile(fileOf(dir, stored.quote.quoteId), `${text}\n`);
}

/** @throws SwapError `invalid_argument` for a malformed id; BuyerError `unknown_quote` if this buyer never asked for it. */
export function readQuote(dir: string, id: string): StoredQuote {
  const path = fileOf(dir, quoteId(id));
  const text = readPrivateFile(path);
  if (text === undefined) {
    throw new BuyerError('unknown_quote', `expected a quote asked for with: swap quote; found none with id ${id}`);
  }
  try {
    return quoteSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SwapError('bad_config', `expected a stored quote in ${path}, found something else`, { cause });
  }
}
