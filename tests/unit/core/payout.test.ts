import fc from 'fast-check';
import { address, networks, payments } from 'liquidjs-lib';
import { describe, expect, it } from 'vitest';

import { decodeBase58Check, encodeBase58Check } from '../../../src/core/base58.js';
import { encodeAddress } from '../../../src/core/network.js';
import { decodePayout } from '../../../src/core/payout.js';
import { hex, pubkey } from '../../../src/core/units.js';
import { refusal } from './zkp.js';

const HASH = Buffer.alloc(20, 7);
const PROGRAM = Buffer.alloc(32, 9);
const KEY = Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex');
const P2WPKH = Buffer.concat([Buffer.of(0, 20), HASH]);
const P2TR = Buffer.concat([Buffer.of(0x51, 32), PROGRAM]);
const { regtest } = networks;
const text = (payment: { address?: string; confidentialAddress?: string }): string =>
  payment.confidentialAddress ?? payment.address ?? '';

describe('a payout address', () => {
  it.each<[string, string, Buffer, boolean]>([
    ['plain P2WPKH', encodeAddress({ scriptPubKey: P2WPKH }, 'regtest'), P2WPKH, false],
    [
      'confidential P2WPKH',
      encodeAddress({ scriptPubKey: P2WPKH, blindingPubkey: pubkey(hex(KEY)) }, 'regtest'),
      P2WPKH,
      true,
    ],
    ['plain P2TR', address.toBech32(PROGRAM, 1, regtest.bech32), P2TR, false],
    ['confidential P2TR', address.toBlech32(P2TR, KEY, regtest.blech32, 1), P2TR, true],
    [
      'plain P2PKH',
      text(payments.p2pkh({ hash: HASH, network: regtest })),
      payments.p2pkh({ hash: HASH }).output ?? Buffer.of(),
      false,
    ],
    [
      'confidential P2PKH',
      text(payments.p2pkh({ hash: HASH, network: regtest, blindkey: KEY })),
      payments.p2pkh({ hash: HASH }).output ?? Buffer.of(),
      true,
    ],
    [
      'plain P2SH',
      text(payments.p2sh({ hash: HASH, network: regtest })),
      payments.p2sh({ hash: HASH }).output ?? Buffer.of(),
      false,
    ],
    [
      'confidential P2SH',
      text(payments.p2sh({ hash: HASH, network: regtest, blindkey: KEY })),
      payments.p2sh({ hash: HASH }).output ?? Buffer.of(),
      true,
    ],
  ])('of type %s pays its script', (_type, spelled, script, isConfidential) => {
    const payTo = decodePayout(spelled, 'regtest');
    expect(hex(payTo.scriptPubKey)).toBe(hex(script));
    expect(payTo.blindingPubkey).toBe(isConfidential ? hex(KEY) : undefined);
  });

  const good = encodeAddress({ scriptPubKey: P2WPKH }, 'regtest');
  const typo = `${good.slice(0, -1)}${good.endsWith('q') ? 'p' : 'q'}`;
  it.each<[string, string, string]>([
    ['nothing', '', 'expected letters and digits only, found nothing'],
    ['a word with spaces', 'my wallet', 'expected letters and digits only, found others'],
    ['a Bitcoin segwit address', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'found a Bitcoin address'],
    ['a Bitcoin base58 address', '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'found a Bitcoin address'],
    ['an address of mainnet', encodeAddress({ scriptPubKey: P2WPKH }, 'liquidv1'), 'found one of liquidv1'],
    [
      'a base58 address of testnet',
      text(payments.p2pkh({ hash: HASH, network: networks.testnet })),
      'expected an address of regtest, found one of liquidtestnet',
    ],
    ['a typing error', typo, 'expected a valid checksum, found a typing error'],
    ['mixed letters', good.replace('e', 'E'), 'found capital and small letters mixed'],
    ['witness version 2', address.toBech32(PROGRAM, 2, regtest.bech32), 'expected witness version 0 or 1'],
    ['gibberish', 'hello', 'found something else or a typing error'],
  ])('that is %s is refused: %s', (_what, spelled, expected) => {
    expect(() => decodePayout(spelled, 'regtest')).toThrow(refusal(expected));
  });

  it('with any one character changed is refused, whatever its type', () => {
    const spelled = [
      good,
      address.toBlech32(P2TR, KEY, regtest.blech32, 1),
      text(payments.p2pkh({ hash: HASH, network: regtest, blindkey: KEY })),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...spelled),
        fc.nat(200),
        fc.constantFrom('0', '2', '3', 'a', 'c', 'd', 'e', 'f', 'Z', 'X'),
        (whole, at, letter) => {
          const index = at % whole.length;
          const changed = `${whole.slice(0, index)}${letter}${whole.slice(index + 1)}`;
          fc.pre(changed !== whole);
          expect(() => decodePayout(changed, 'regtest')).toThrow(refusal('payout address'));
        },
      ),
    );
  });
});

describe('base58 with its checksum', () => {
  it('reads back what it writes, zeros in front as well', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
        expect(hex(decodeBase58Check(encodeBase58Check(payload)) ?? Buffer.of(1, 2, 3))).toBe(hex(payload));
      }),
    );
  });
});
