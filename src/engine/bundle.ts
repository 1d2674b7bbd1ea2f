/**
 * Recovery bundles: what a refund needs besides the seed, one small file a swap in a second directory. No secrets.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import type { FundedSwap, FundingFacts } from '../core/swap.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  hex,
  outpoint,
  paymentHash,
  swapId,
  txid,
  type PaymentHash,
  type SwapId,
} from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { writeSyncedFile } from './syncedFile.js';

/** Writes the bundle of a swap and waits until it is on disk. May run again after a crash: a written one is kept. */
export function writeBundle(dir: string, swap: FundedSwap): void {
  const path = join(dir, `${swap.id}.json`);
  if (existsSync(path)) return;
  const bundle = {
    version: 1,
    swap_id: swap.id,
    payment_hash: swap.paymentHash,
    key_index: swap.keyIndex,
    witness_script: hex(swap.witnessScript),
    funding_txid: swap.fundingTxid,
    refund_height: swap.refundHeight,
    outpoints: swap.outpoints.map((each) => ({
      txid: each.outpoint.txid,
      vout: each.outpoint.vout,
      asset_id: each.assetId,
      value: each.value.toString(),
    })),
  };
  writeSyncedFile(path, `${JSON.stringify(bundle)}\n`);
}

/** What a bundle says. Whoever acts on it checks every field: the file may be damaged or made up. */
export type Bundle = FundingFacts & {
  readonly id: SwapId;
  readonly paymentHash: PaymentHash;
  readonly keyIndex: number;
};

const bundleSchema = z
  .strictObject({
    version: z.literal(1),
    swap_id: z.string(),
    payment_hash: z.string(),
    key_index: z.int().min(0),
    witness_script: z.string().regex(/^([0-9a-f]{2})+$/),
    funding_txid: z.string(),
    refund_height: z.int(),
    outpoints: z
      .array(
        z.strictObject({ txid: z.string(), vout: z.int(), asset_id: z.string(), value: z.string().regex(/^\d+$/) }),
      )
      .min(1),
  })
  .transform((bundle): Bundle => ({
    id: swapId(bundle.swap_id),
    paymentHash: paymentHash(bundle.payment_hash),
    keyIndex: bundle.key_index,
    witnessScript: Buffer.from(bundle.witness_script, 'hex'),
    fundingTxid: txid(bundle.funding_txid),
    refundHeight: blockHeight(bundle.refund_height),
    outpoints: bundle.outpoints.map((each) => ({
      outpoint: outpoint(each.txid, each.vout),
      assetId: assetId(each.asset_id),
      value: assetAmount(BigInt(each.value)),
    })),
  }));

/** Swaps that have a bundle in the folder, by the names of the files, sorted. */
export function bundleIds(dir: string): SwapId[] {
  return readdirSync(dir)
    .flatMap((name) => /^([0-9a-f]{32})\.json$/.exec(name)?.[1] ?? [])
    .sort()
    .map(swapId);
}

/** @throws SwapError `invalid_argument` if the file cannot be read or is no bundle of that swap. */
export function readBundle(dir: string, id: SwapId): Bundle {
  try {
    const bundle = bundleSchema.parse(JSON.parse(readFileSync(join(dir, `${id}.json`), 'utf8')));
    if (bundle.id === id) return bundle;
    throw new SwapError('invalid_argument', `expected swap ${id}, found swap ${bundle.id}`);
  } catch (cause) {
    throw new SwapError('invalid_argument', `bundle ${id}: not readable: ${errorChain(cause)}`, { cause });
  }
}
