/**
 * Recovery bundles: what a refund needs besides the seed, one small file a swap in a second directory. No secrets.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { FundedSwap } from '../core/swap.js';
import { hex } from '../core/units.js';
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
