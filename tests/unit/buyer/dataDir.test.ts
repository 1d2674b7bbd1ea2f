import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  acceptedTip,
  acceptTip,
  advance,
  findRecord,
  initDataDir,
  lockPurchase,
  pinnedSeller,
  pinSeller,
  readRecord,
  readRecords,
  readSeed,
  reserveNumber,
  saveRecord,
} from '../../../src/buyer/dataDir.js';
import { trustedNodeId } from '../../../src/buyer/quote.js';
import { readQuote, storeQuote } from '../../../src/buyer/quoteFile.js';
import type { Progress, PurchaseRecord, StoredHtlc } from '../../../src/buyer/record.js';
import { htlcWitnessScript } from '../../../src/core/htlc.js';
import { seedFromMnemonic } from '../../../src/core/keys.js';
import { assetAmount, blockHeight, hex, msat, outpoint, swapId, txid, unixSecs } from '../../../src/core/units.js';
import { keyOf, refusal } from '../core/zkp.js';
import { GOLD, honest, NOW, PREIMAGE } from './honest.js';

const { deal, htlc: terms } = honest();
const SWAP_ID = swapId('ab'.repeat(16));
const TXID = txid('cc'.repeat(32));

const htlc: StoredHtlc = {
  swapId: SWAP_ID,
  bolt11: 'lnbcrt1',
  paymentHash: terms.paymentHash,
  witnessScript: hex(htlcWitnessScript(terms)),
  refundHeight: terms.refundHeight,
  fundingTx: '00',
  outpoints: [{ outpoint: outpoint(TXID, 0), assetId: GOLD, value: assetAmount(250n) }],
};

const recordOf = (number: number, progress: Progress): PurchaseRecord => ({
  version: 1,
  number,
  requestId: `8d6848c9-c2b3-451c-bc91-a2c858a6b4b${number}`,
  createdAt: unixSecs(NOW),
  sellerAddress: '127.0.0.1:1',
  ticker: 'GOLD',
  precision: 2,
  deal,
  maxFeeMsat: msat(510_000n),
  payout: { address: 'ert1', scriptPubKey: '0014', blindingPubkey: keyOf('blind').pubkey },
  progress,
});

const STEPS: readonly Progress[] = [
  { step: 'quoted' },
  { step: 'created', swapId: SWAP_ID },
  { step: 'verified', htlc },
  { step: 'paying', htlc, payer: { kind: 'external' } },
  { step: 'paid', htlc, preimage: hex(PREIMAGE) },
  { step: 'claiming', htlc, preimage: hex(PREIMAGE), claims: [{ txid: TXID, raw: '00ff' }] },
  { step: 'claimed', htlc, claimTxid: TXID },
  { step: 'unpaid', reason: 'nobody paid' },
  { step: 'lost', htlc, refundTxid: TXID },
];

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-data-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function stored(progress: Progress): PurchaseRecord {
  const record = recordOf(reserveNumber(dir), progress);
  saveRecord(dir, record);
  return record;
}

describe('the mnemonic', () => {
  it('is made once, shown once and read back as the seed', () => {
    const words = initDataDir(dir);
    expect(words.split(' ')).toHaveLength(24);
    expect(readSeed(dir)).toEqual(seedFromMnemonic(words));
    expect(statSync(join(dir, 'mnemonic')).mode & 0o777).toBe(0o600);
    expect(() => initDataDir(dir)).toThrow('found one; it is kept');
    expect(readSeed(dir)).toEqual(seedFromMnemonic(words));
  });
  it('is asked for where there is none', () => {
    expect(() => readSeed(dir)).toThrow('run: swap init');
  });
});

describe('a purchase on disk', () => {
  it.each(STEPS.map((progress) => [progress.step, progress] as const))(
    'reads back as written at step %s',
    (_, step) => {
      const record = stored(step);
      expect(readRecord(dir, record.number)).toEqual(record);
      const file = join(dir, 'swaps', '0000', 'session.json');
      expect(statSync(file).mode & 0o777).toBe(0o600);
    },
  );

  it('gets a number that nobody else gets, also without a record', () => {
    expect([reserveNumber(dir), reserveNumber(dir), reserveNumber(dir)]).toEqual([0, 1, 2]);
    expect(readRecords(dir)).toEqual([]);
  });

  it('moves step by step and never leaves a final one', () => {
    const quoted = stored({ step: 'quoted' });
    const unpaid = advance(dir, quoted, { step: 'unpaid', reason: 'refused' });
    expect(readRecord(dir, 0)).toEqual(unpaid);
    expect(() => advance(dir, unpaid, { step: 'quoted' })).toThrow('is final');
  });

  it('is found by number, swap id or request id, and only if that is unique', () => {
    const first = stored({ step: 'created', swapId: SWAP_ID });
    const second = stored({ step: 'verified', htlc: { ...htlc, swapId: swapId('ef'.repeat(16)) } });
    expect(findRecord(dir, '0')).toEqual(first);
    expect(findRecord(dir, 'efef')).toEqual(second);
    expect(findRecord(dir, second.requestId)).toEqual(second);
    expect(() => findRecord(dir, '8d6848c9')).toThrow('found 2 of them');
    expect(() => findRecord(dir, 'ef')).toThrow('found none of 2');
  });

  it('that was damaged is refused with its file and what is wrong', () => {
    stored({ step: 'quoted' });
    const file = join(dir, 'swaps', '0000', 'session.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"quoted"', '"sleeping"'), { mode: 0o600 });
    expect(() => readRecords(dir)).toThrow(refusal(`${file}, found:`, 'bad_config'));
    writeFileSync(file, text.slice(0, 100), { mode: 0o600 });
    expect(() => readRecords(dir)).toThrow(refusal(`${file}, found:`, 'bad_config'));
  });

  it('is driven by one process at a time', () => {
    stored({ step: 'quoted' });
    const free = lockPurchase(dir, 0);
    expect(() => lockPurchase(dir, 0)).toThrow(refusal('expected to be alone', 'version_conflict'));
    free();
    lockPurchase(dir, 0)();
  });
});

describe('what is remembered about sellers and chains', () => {
  const [first, other] = [keyOf('node').pubkey, keyOf('mallory').pubkey];
  it('pins a seller on first use and refuses another node behind the same address', () => {
    const seller = { address: 'shop.example:9735', given: undefined };
    expect(pinnedSeller(dir, seller.address)).toBeUndefined();
    expect(trustedNodeId(dir, seller, first)).toBe(first);
    expect(trustedNodeId(dir, seller, first)).toBe(first);
    expect(() => trustedNodeId(dir, seller, other)).toThrow(`expected Lightning node ${first}`);
  });
  it('lets a given node id win over the pinned one, and refuses any other', () => {
    pinSeller(dir, 'a:1', other);
    expect(trustedNodeId(dir, { address: 'a:1', given: first }, first)).toBe(first);
    expect(() => trustedNodeId(dir, { address: 'a:1', given: first }, other)).toThrow('do not buy');
  });
  it('keeps the last accepted tip per chain', () => {
    expect(acceptedTip(dir, deal.genesis)).toBeUndefined();
    acceptTip(dir, deal.genesis, { height: blockHeight(77), at: unixSecs(NOW) });
    expect(acceptedTip(dir, deal.genesis)).toEqual({ height: 77, at: NOW });
  });
  it('keeps quotes between commands', () => {
    const { quoteId, assetId, assetAmount: amount, priceMsat, feeSubsidySat, genesis, sellerNodeId } = deal;
    const { profile, refundDeltaBlocks, invoiceExpirySecs } = deal;
    const terms = { profile, refundDeltaBlocks, invoiceExpirySecs, minFundingConfs: 1, maxFundingConfs: 5 };
    const price = { quoteId, assetId, assetAmount: amount, priceMsat, feeSubsidySat };
    const seller = { genesis, sellerNodeId, expiresAt: unixSecs(NOW) };
    const quote = { ticker: 'GOLD', precision: 2, quote: { ...price, ...terms, ...seller } };
    storeQuote(dir, quote);
    expect(readQuote(dir, deal.quoteId)).toEqual(quote);
    expect(() => readQuote(dir, '00'.repeat(16))).toThrow('swap quote');
    expect(() => readQuote(dir, '../mnemonic')).toThrow(refusal('quote id'));
  });
});
