import fc from 'fast-check';
import { address, networks } from 'liquidjs-lib';
import { describe, expect, it } from 'vitest';

import { p2wpkhScriptPubKey, p2wshScriptPubKey } from '../../../src/core/htlc.js';
import {
  decodeAddress,
  encodeAddress,
  LIQUID_NETWORKS,
  networkOfGenesis,
  type LiquidNetworkName,
} from '../../../src/core/network.js';
import { blockHash, displayHex } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { keyOf, refusal } from './zkp.js';

const NAMES: readonly LiquidNetworkName[] = ['liquidv1', 'liquidtestnet', 'regtest'];
const OTHER: Record<LiquidNetworkName, LiquidNetworkName> = {
  liquidv1: 'liquidtestnet',
  liquidtestnet: 'regtest',
  regtest: 'liquidv1',
};
const P2WPKH = p2wpkhScriptPubKey(keyOf('owner').pubkey);
const P2WSH = p2wshScriptPubKey(Buffer.of(0x51));
const BLINDING = keyOf('blinding').pubkey;

describe('the networks', () => {
  it.each([
    ['liquidv1', networks.liquid, '6f0279e9ed041c3d710a9f57d0c02928416460c4b722ae3457a11eec381c526d', 'bitcoin'],
    ['liquidtestnet', networks.testnet, '144c654344aa716d6f3abcc1ca90e5641e4e2a7f633bc09fe3baf64585819a49', 'testnet'],
    ['regtest', networks.regtest, '5ac9f65c0efcc4775e0baec4ec03abdde22473cd3cf33c0419ca290e0751b225', 'regtest'],
  ] as const)('%s has the genesis and assets that the library knows', (name, known, policyAsset, bitcoinNetwork) => {
    const network = LIQUID_NETWORKS[name];
    expect(network.genesis).toBe(displayHex(known.genesisBlockHash));
    expect(network.policyAsset).toBe(policyAsset);
    expect(network.bitcoinNetwork).toBe(bitcoinNetwork);
    expect(networkOfGenesis(network.genesis)).toBe(name);
  });
  it('do not contain any other chain', () => {
    expect(networkOfGenesis(blockHash('00'.repeat(32)))).toBeUndefined();
  });
});

describe('an address', () => {
  it.each(NAMES)('of %s comes back as the script and blinding key it was made from', (network) => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), fc.boolean(), (name, isScriptHash, isConfidential) => {
        const { pubkey, privateKey } = keyOf(name);
        const scriptPubKey = isScriptHash ? p2wshScriptPubKey(privateKey) : p2wpkhScriptPubKey(pubkey);
        const payTo = { scriptPubKey, ...(isConfidential ? { blindingPubkey: pubkey } : {}) };
        const text = encodeAddress(payTo, network);
        expect(decodeAddress(text, network)).toEqual(payTo);
        expect(decodeAddress(text.toUpperCase(), network)).toEqual(payTo);
        expect(() => decodeAddress(text, OTHER[network])).toThrow(
          refusal(`address: expected one of ${OTHER[network]}, found one of ${network}`),
        );
      }),
      { numRuns: 25 },
    );
  });
  it.each(NAMES)('of %s is the one that the library writes', (network) => {
    const known = { liquidv1: networks.liquid, liquidtestnet: networks.testnet, regtest: networks.regtest }[network];
    const plain = address.fromOutputScript(P2WPKH, known);
    expect(encodeAddress({ scriptPubKey: P2WPKH }, network)).toBe(plain);
    expect(encodeAddress({ scriptPubKey: P2WPKH, blindingPubkey: BLINDING }, network)).toBe(
      address.toConfidential(plain, Buffer.from(BLINDING, 'hex')),
    );
  });
  it('has no script but P2WPKH and P2WSH', () => {
    for (const script of ['', '51', '6a', `76a914${'00'.repeat(20)}88ac`, `5120${'00'.repeat(32)}`]) {
      const scriptPubKey = Buffer.from(script, 'hex');
      expect(() => encodeAddress({ scriptPubKey }, 'regtest')).toThrow(refusal('script: expected P2WPKH or P2WSH'));
    }
  });

  const plain = encodeAddress({ scriptPubKey: P2WSH }, 'regtest');
  const confidential = encodeAddress({ scriptPubKey: P2WSH, blindingPubkey: BLINDING }, 'regtest');
  const legacy = address.toBase58Check(Buffer.alloc(20, 1), networks.regtest.pubKeyHash);
  it.each([
    ['nothing', '', 'another prefix'],
    ['a Bitcoin address', 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', 'another prefix'],
    ['a legacy address', legacy, 'another prefix'],
    ['a taproot address', address.toBech32(Buffer.alloc(32, 1), 1, 'ert'), 'another witness program'],
    [
      'a confidential taproot address',
      address.toBlech32(Buffer.concat([Buffer.of(0x51, 32), P2WSH.subarray(2)]), Buffer.from(BLINDING, 'hex'), 'el', 1),
      'another witness program',
    ],
    ['mixed case', `E${plain.slice(1)}`, 'mixed case'],
    ['a wrong letter', `${plain.slice(0, -1)}${plain.endsWith('q') ? 'p' : 'q'}`, 'an error in it'],
    [
      'a wrong letter in a confidential address',
      `${confidential.slice(0, -1)}${confidential.endsWith('q') ? 'p' : 'q'}`,
      'an error in it',
    ],
    ['a confidential prefix on a plain address', plain.replace('ert1', 'el1'), 'an error in it'],
    ['only a prefix', 'ert1', 'an error in it'],
    ['a blinding key that is no point', address.toBlech32(P2WSH, Buffer.alloc(33, 5), 'el', 0), 'an error in it'],
  ])('is refused when it is %s', (_, text, message) => {
    expect(() => decodeAddress(text, 'regtest')).toThrow(refusal(message));
  });
  it('is refused with a typed error, whatever the text', () => {
    const letters = fc.string().map((tail) => `ert1q${tail}`);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          letters,
          letters.map((text) => text.replace('ert', 'el')),
        ),
        (text) => {
          try {
            decodeAddress(text, 'regtest');
            return false;
          } catch (error) {
            return error instanceof SwapError && error.code === 'invalid_argument';
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
