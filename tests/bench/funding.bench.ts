/** What blinding costs: the same funding with blinded change, as a ratio to the one with explicit change. */
import { randomBytes } from 'node:crypto';

import { bench, describe } from 'vitest';

import { ZERO_BLINDER } from '../../src/core/blind.js';
import { fundingOutputs } from '../../src/core/funding.js';
import { p2wpkhScriptPubKey } from '../../src/core/htlc.js';
import { buildTransaction, SEQUENCE_REPLACEABLE, type TxInput, type TxOutput } from '../../src/core/tx.js';
import { assetAmount, outpoint, sat, type AssetId } from '../../src/core/units.js';
import { GOLD, LBTC } from '../support/swapFixtures.js';
import { keyOf, loadZkp } from '../unit/core/zkp.js';

const zkp = await loadZkp();
const scriptPubKey = p2wpkhScriptPubKey(keyOf('owner').pubkey);

const coin = (assetId: AssetId, vout: number): TxInput => ({
  assetId,
  value: assetAmount(1_000_000n),
  assetBlinder: ZERO_BLINDER,
  valueBlinder: ZERO_BLINDER,
  outpoint: outpoint('ab'.repeat(32), vout),
  sequence: SEQUENCE_REPLACEABLE,
});

const payments = fundingOutputs({
  assetId: GOLD,
  assetAmount: assetAmount(400_000n),
  feeSubsidySat: sat(1_000n),
  policyAsset: LBTC,
  scriptPubKey: Buffer.alloc(34, 1),
});

function build(blinding: Pick<TxOutput, 'blindingPubkey'>): void {
  const change = (assetId: AssetId, value: bigint): TxOutput => ({
    scriptPubKey,
    assetId,
    value: assetAmount(value),
    ...blinding,
  });
  const fee = { scriptPubKey: Buffer.alloc(0), assetId: LBTC, value: assetAmount(300n) };
  const outputs = [...payments, change(GOLD, 600_000n), change(LBTC, 998_700n), fee];
  buildTransaction(zkp, { inputs: [coin(GOLD, 0), coin(LBTC, 1)], outputs, locktime: 0, randomBytes });
}

describe('building a funding of two coins', () => {
  bench('baseline: explicit change', () => {
    build({});
  });
  bench('two blinded change outputs', () => {
    build({ blindingPubkey: keyOf('blinding').pubkey });
  });
});
