import { createHash } from 'node:crypto';

import { crypto, script as bscript, Transaction } from 'bitcoinjs-lib';
import { pointFromScalar, sign } from 'tiny-secp256k1';
import { describe, expect, it } from 'vitest';

import { verifyInput } from '../../../src/sandbox/bitcoin/script.js';

const VALUE = 50_000n;
const privateKeyOf = (byte: number): Buffer => Buffer.alloc(32, byte);
const publicKeyOf = (byte: number): Buffer => Buffer.from(pointFromScalar(privateKeyOf(byte), true) ?? []);
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const asm = (...parts: string[]): Buffer => Buffer.from(bscript.fromASM(parts.join(' ')));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const EMPTY = Buffer.alloc(0);
const TRUE = Buffer.from([1]);

type Spending = { readonly sequence?: number; readonly locktime?: number };

function transaction({ sequence = 0xffff_fffd, locktime = 0 }: Spending = {}): Transaction {
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = locktime;
  tx.addInput(Buffer.alloc(32, 9), 0, sequence);
  tx.addOutput(Buffer.from('6a', 'hex'), 1_000n);
  return tx;
}

const signatureOf = (tx: Transaction, script: Buffer, byte: number, hashType = Transaction.SIGHASH_ALL): Buffer =>
  Buffer.from(
    bscript.signature.encode(sign(tx.hashForWitnessV0(0, script, VALUE, hashType), privateKeyOf(byte)), hashType),
  );

/** Runs a P2WSH spend with the witness that `build` makes; the script itself is appended. */
function spendP2wsh(script: Buffer, build: (tx: Transaction) => Buffer[], spending: Spending = {}): void {
  const tx = transaction(spending);
  tx.setWitness(0, [...build(tx), script]);
  verifyInput({
    tx,
    index: 0,
    scriptPubKey: Buffer.concat([Buffer.from('0020', 'hex'), sha256(script)]),
    value: VALUE,
  });
}

describe('a 2-of-2 funding output', () => {
  const script = asm('OP_2', hexOf(publicKeyOf(1)), hexOf(publicKeyOf(2)), 'OP_2', 'OP_CHECKMULTISIG');

  it('opens with both signatures in the order of the keys', () => {
    spendP2wsh(script, (tx) => [EMPTY, signatureOf(tx, script, 1), signatureOf(tx, script, 2)]);
  });

  it.each<[string, (tx: Transaction) => Buffer[], string]>([
    ['the order is wrong', (tx) => [EMPTY, signatureOf(tx, script, 2), signatureOf(tx, script, 1)], 'must be zero'],
    ['one key signed twice', (tx) => [EMPTY, signatureOf(tx, script, 1), signatureOf(tx, script, 1)], 'must be zero'],
    ['the dummy is not empty', (tx) => [TRUE, signatureOf(tx, script, 1), signatureOf(tx, script, 2)], 'Dummy'],
    ['one signature is missing', (tx) => [EMPTY, signatureOf(tx, script, 1)], 'stack size'],
    ['both signatures are empty', () => [EMPTY, EMPTY, EMPTY], 'false/empty top'],
    [
      'something is left over',
      (tx) => [TRUE, EMPTY, signatureOf(tx, script, 1), signatureOf(tx, script, 2)],
      'exactly one',
    ],
  ])('stays shut when %s', (_, build, reason) => {
    expect(() => {
      spendP2wsh(script, build);
    }).toThrow(reason);
  });
});

describe('a delayed output (to_local)', () => {
  const script = asm(
    'OP_IF',
    hexOf(publicKeyOf(3)),
    'OP_ELSE',
    '9000', // 144
    'OP_CHECKSEQUENCEVERIFY',
    'OP_DROP',
    hexOf(publicKeyOf(4)),
    'OP_ENDIF',
    'OP_CHECKSIG',
  );

  it('opens for its owner after the delay, and for the revocation key at once', () => {
    spendP2wsh(script, (tx) => [signatureOf(tx, script, 4), EMPTY], { sequence: 144 });
    spendP2wsh(script, (tx) => [signatureOf(tx, script, 3), TRUE]);
  });

  it('stays shut one block early, and for a selector that is not minimal', () => {
    expect(() => {
      spendP2wsh(script, (tx) => [signatureOf(tx, script, 4), EMPTY], { sequence: 143 });
    }).toThrow('Locktime requirement');
    expect(() => {
      spendP2wsh(script, (tx) => [signatureOf(tx, script, 3), Buffer.from([2])]);
    }).toThrow('minimal');
  });
});

describe('a hash lock with a timeout', () => {
  const preimage = Buffer.alloc(32, 5);
  const script = asm(
    'OP_SIZE 20 OP_EQUAL OP_IF OP_HASH160',
    hexOf(crypto.hash160(preimage)),
    'OP_EQUALVERIFY',
    hexOf(publicKeyOf(1)),
    'OP_ELSE OP_DROP',
    'f401', // 500
    'OP_CHECKLOCKTIMEVERIFY OP_DROP',
    hexOf(publicKeyOf(2)),
    'OP_ENDIF OP_CHECKSIG',
  );

  it('opens with the preimage, or after the timeout', () => {
    spendP2wsh(script, (tx) => [signatureOf(tx, script, 1), preimage]);
    spendP2wsh(script, (tx) => [signatureOf(tx, script, 2), EMPTY], { locktime: 500 });
  });

  it('stays shut for another preimage, and one block before the timeout', () => {
    expect(() => {
      spendP2wsh(script, (tx) => [signatureOf(tx, script, 1), Buffer.alloc(32, 6)]);
    }).toThrow('OP_EQUALVERIFY');
    expect(() => {
      spendP2wsh(script, (tx) => [signatureOf(tx, script, 2), EMPTY], { locktime: 499 });
    }).toThrow('Locktime requirement');
  });
});

describe('an anchor', () => {
  const script = asm(hexOf(publicKeyOf(1)), 'OP_CHECKSIG OP_IFDUP OP_NOTIF OP_16 OP_CHECKSEQUENCEVERIFY OP_ENDIF');

  it('opens for its owner at once and for everybody after 16 blocks', () => {
    spendP2wsh(script, (tx) => [signatureOf(tx, script, 1)]);
    spendP2wsh(script, () => [EMPTY], { sequence: 16 });
    expect(() => {
      spendP2wsh(script, () => [EMPTY], { sequence: 15 });
    }).toThrow('Locktime requirement');
  });
});

describe('what is not understood', () => {
  it('cannot be spent: unknown opcodes, other output types, wrong scripts', () => {
    expect(() => {
      spendP2wsh(asm('OP_1', 'OP_1ADD'), () => []);
    }).toThrow('not supported');
    const tx = transaction();
    tx.setWitness(0, [TRUE]);
    const spend = (scriptPubKey: string) => () => {
      verifyInput({ tx, index: 0, scriptPubKey: Buffer.from(scriptPubKey, 'hex'), value: VALUE });
    };
    expect(spend(`5120${'11'.repeat(32)}`)).toThrow('only P2WPKH and P2WSH');
    expect(spend(`76a914${'11'.repeat(20)}88ac`)).toThrow('only P2WPKH and P2WSH');
    expect(spend('51')).toThrow('only P2WPKH and P2WSH');
    expect(spend(`0020${'11'.repeat(32)}`)).toThrow('hash mismatch');
    expect(spend(`0014${'11'.repeat(20)}`)).toThrow('program mismatch');
  });

  it('cannot be spent with a signature over another amount or of another kind than it says', () => {
    const script = asm(hexOf(publicKeyOf(1)), 'OP_CHECKSIG');
    expect(() => {
      spendP2wsh(script, (tx) => {
        const signature = signatureOf(tx, script, 1);
        signature[signature.length - 1] = Transaction.SIGHASH_NONE;
        return [signature];
      });
    }).toThrow('must be zero');
    expect(() => {
      spendP2wsh(script, () => [Buffer.from('3006020101020101ff', 'hex')]);
    }).toThrow('Non-canonical');
  });
});
