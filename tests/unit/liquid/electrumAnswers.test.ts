import { describe, expect, it } from 'vitest';

import {
  isHistoryTooLong,
  isMissingTransaction,
  readFeeEstimate,
  readHistory,
  readMerkleProof,
  readRejection,
  readRelayFee,
  readTip,
  readUnspent,
  scripthash,
  shortRejection,
} from '../../../src/liquid/electrumAnswers.js';
import { ElectrumError } from '../../../src/liquid/electrumConnection.js';
import { headerVector } from '../../support/hostileElectrum.js';

const ID = 'ab'.repeat(32);

const electrs = (code: number, message: string): string =>
  `sendrawtransaction RPC error: {"code":${code},"message":"${message}"}`;
const script = (text: string): string => electrs(-26, `mempool-script-verify-flag-failed (${text})`);

describe('a refused broadcast', () => {
  // Texts of Elements Core 23.3.3 as electrs passes them on.
  it.each([
    [electrs(-25, 'bad-txns-inputs-missingorspent'), 'missing_inputs'],
    [electrs(-26, 'txn-mempool-conflict'), 'conflict'],
    [electrs(-26, 'insufficient fee, rejecting replacement 00ff; new feerate 0.00000100 BTC/kvB'), 'conflict'],
    [electrs(-26, 'min relay fee not met, 48 < 49'), 'insufficient_fee'],
    [electrs(-26, 'mempool min fee not met, 48 < 49'), 'insufficient_fee'],
    [electrs(-26, 'non-final'), 'non_final'],
    [electrs(-26, 'non-BIP68-final'), 'non_final'],
    [script('Script failed an OP_EQUALVERIFY operation'), 'script'],
    [script('Signature must be zero for failed CHECK(MULTI)SIG operation'), 'script'],
    [script('Locktime requirement not satisfied'), 'script'],
    [script('Witness program hash mismatch'), 'script'],
    [script('Non-canonical signature: S value is unnecessarily high'), 'script'],
    [electrs(-26, 'bad-txns-in-ne-out, value in != value out'), 'amounts'],
    [electrs(-26, 'bad-txns-fee-outofrange'), 'amounts'],
    [electrs(-26, 'dust'), 'dust'],
    [electrs(-22, 'TX decode failed. Make sure the tx has at least one input.'), 'undecodable'],
    [electrs(-26, 'scriptpubkey'), 'other'],
    [electrs(-26, 'bad-txns-inputs-duplicate'), 'other'],
    ['server busy', 'other'],
  ])('%s is "%s"', (text, reason) => {
    expect(readRejection(text)).toBe(reason);
  });

  it.each(['non-mandatory-script-verify-flag', 'mandatory-script-verify-flag-failed'])(
    'is a script error whatever stands before the parentheses: %s',
    (prefix) => {
      expect(readRejection(electrs(-26, `${prefix} (Script failed an OP_EQUALVERIFY operation)`))).toBe('script');
    },
  );

  it.each([
    electrs(-27, 'Transaction already in block chain'),
    electrs(-27, 'Transaction outputs already in utxo set'),
    electrs(-26, 'txn-already-known'),
    electrs(-26, 'txn-already-in-mempool'),
  ])('may be none at all: %s', (text) => {
    expect(readRejection(text)).toBe('already');
  });

  it('is shown without the transaction', () => {
    expect(shortRejection(`TX decode failed: ${'0a'.repeat(5_000)}`)).toBe('TX decode failed: <hex>');
    expect(shortRejection('long '.repeat(1_000))).toHaveLength(300);
  });
});

describe('fee rates', () => {
  it.each([
    [0.000001, 100n],
    [0.00000111, 111n],
    [0.0000010001, 101n],
    [0.01, 1_000_000n],
    [0, 0n],
  ])('%d BTC/kvB is %d sat/kvB, rounded up', (btc, expected) => {
    expect(readRelayFee(btc)).toBe(expected);
  });

  it.each([-1, -0.0001, 0.0100001, 1e300, Number.NaN, Number.POSITIVE_INFINITY, '0.000001', null])(
    'refuses %s as relay fee',
    (value) => {
      expect(() => readRelayFee(value)).toThrow();
    },
  );

  it.each([-1, -2, 5, 'soon', null])('takes an estimate of %s for none', (value) => {
    expect(readFeeEstimate(value)).toBe(100n);
  });
});

describe('histories', () => {
  it('keep their signed heights, confirmed entries first', () => {
    const heights = [0, 7, -1, 3].map((height) => ({ tx_hash: ID, height, fee: 1 }));
    expect(readHistory(heights).map((entry) => entry.height)).toEqual([7, 3, 0, -1]);
  });

  it.each([
    ['height below -1', [{ tx_hash: ID, height: -2 }]],
    ['height that is no integer', [{ tx_hash: ID, height: 1.5 }]],
    ['height as text', [{ tx_hash: ID, height: '7' }]],
    ['height that would be a time', [{ tx_hash: ID, height: 500_000_000 }]],
    ['short txid', [{ tx_hash: 'ab', height: 1 }]],
    ['upper-case txid', [{ tx_hash: 'AB'.repeat(32), height: 1 }]],
    ['an object', { 0: { tx_hash: ID, height: 1 } }],
    ['null', null],
  ])('are refused with %s', (_what, answer) => {
    expect(() => readHistory(answer)).toThrow();
  });
});

describe('unspent outputs', () => {
  it('are read without their value and asset', () => {
    const entry = { tx_hash: ID, tx_pos: 1, height: 5, value: [1, 12720254316707840], asset: [1, 'ff'], nonce: [0] };
    expect(readUnspent([entry])).toEqual([{ outpoint: { txid: ID, vout: 1 }, height: 5 }]);
  });

  it('are refused with an impossible index', () => {
    expect(() => readUnspent([{ tx_hash: ID, tx_pos: -1, height: 5 }])).toThrow();
    expect(() => readUnspent([{ tx_hash: ID, tx_pos: 2 ** 32, height: 5 }])).toThrow();
  });
});

describe('tips', () => {
  it('are refused with another height than the header carries, or with trailing bytes', () => {
    const { hex } = headerVector(433);
    expect(readTip({ hex, height: 433 }).height).toBe(433);
    expect(() => readTip({ hex, height: 434 })).toThrow('carries height 433');
    expect(() => readTip({ hex: `${hex}00`, height: 433 })).toThrow('trailing bytes');
  });
});

describe('merkle proofs', () => {
  const proof = (position: number, length: number, height = 9): unknown => ({
    block_height: height,
    merkle: Array.from({ length }, () => ID),
    pos: position,
  });

  it('are taken with a position inside the tree', () => {
    expect(readMerkleProof(proof(3, 2), 9)).toEqual({ branch: [ID, ID], position: 3 });
    expect(readMerkleProof(proof(0, 0), 9).position).toBe(0);
  });

  it.each([
    ['outside the tree', proof(4, 2)],
    ['negative', proof(-1, 2)],
    ['with too many levels', proof(0, 31)],
    ['of another block', proof(0, 2, 10)],
  ])('are refused %s', (_what, answer) => {
    expect(() => readMerkleProof(answer, 9)).toThrow();
  });
});

describe("errors that have a meaning, by the server's words", () => {
  it.each([
    ['missing transaction', true],
    ['daemon error: No such mempool or blockchain transaction. Use gettransaction for wallet transactions.', true],
    ['internal error', false],
  ])('"%s"', (text, isMissing) => {
    expect(isMissingTransaction(new ElectrumError('server', text))).toBe(isMissing);
  });

  it('count only when the server said them', () => {
    expect(isMissingTransaction(new ElectrumError('closed', 'missing transaction'))).toBe(false);
    expect(isMissingTransaction(new Error('missing transaction'))).toBe(false);
    expect(isHistoryTooLong(new ElectrumError('server', 'Too many history entries'))).toBe(true);
    const outputs = 'Too many unspent transaction outputs (>500). Contact support to raise limits.';
    expect(isHistoryTooLong(new ElectrumError('server', outputs))).toBe(true);
    expect(isHistoryTooLong(new ElectrumError('lie', 'Too many history entries'))).toBe(false);
  });
});

it('names a script by the reversed SHA256 of its bytes', () => {
  // Example of the Electrum protocol's documentation.
  const p2pkh = Buffer.from('76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac', 'hex');
  expect(scripthash(p2pkh)).toBe('8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161');
});
