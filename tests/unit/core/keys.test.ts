import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { hashPreimage, p2wpkhScriptPubKey } from '../../../src/core/htlc.js';
import { accountPath, claimKey, preimageFor, refundKey, seedFromMnemonic, walletKey } from '../../../src/core/keys.js';
import { encodeAddress } from '../../../src/core/network.js';
import { swapId } from '../../../src/core/units.js';
import { refusal } from './zkp.js';

const { preimages } = z
  .object({
    preimages: z.array(
      z.object({
        mnemonic: z.string(),
        seed: z.string(),
        swap_id: z.string(),
        preimage: z.string(),
        payment_hash: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../../vectors/terms.json', import.meta.url), 'utf8')));

const MNEMONIC = `${'abandon '.repeat(11)}about`;
const SEED = seedFromMnemonic(MNEMONIC);

describe('the seed', () => {
  it.each(preimages)('of a mnemonic is that of BIP 39 ($swap_id)', ({ mnemonic, seed }) => {
    expect(seedFromMnemonic(mnemonic).toString('hex')).toBe(seed);
  });
  it('does not depend on white space around the words', () => {
    expect(seedFromMnemonic(` \t${MNEMONIC.replaceAll(' ', '\n')}\r\n`)).toEqual(SEED);
  });
  it.each(['', 'abandon', 'abandon '.repeat(12), `${'abandon '.repeat(11)}abut`])(
    'is refused for "%s", which is not shown',
    (text) => {
      expect(() => seedFromMnemonic(text)).toThrow(refusal('mnemonic: expected BIP39 words and checksum'));
      expect(() => seedFromMnemonic(text)).not.toThrow(/abandon/);
    },
  );
});

describe('the preimage', () => {
  it.each(preimages)('of a swap is that of the vector ($swap_id)', ({ mnemonic, swap_id: id, ...expected }) => {
    const secret = preimageFor(seedFromMnemonic(mnemonic), swapId(id));
    expect(Buffer.from(secret).toString('hex')).toBe(expected.preimage);
    expect(hashPreimage(secret)).toBe(expected.payment_hash);
  });
});

describe('keys', () => {
  it('of the wallet give the addresses that other wallets give', () => {
    // First addresses of this mnemonic in Blockstream's LWK (descriptor ct(slip77, elwpkh)).
    expect(encodeAddress(walletKey(SEED, 'liquidv1', 0, 0), 'liquidv1')).toBe(
      'lq1qqvxk052kf3qtkxmrakx50a9gc3smqad2ync54hzntjt980kfej9kkfe0247rp5h4yzmdftsahhw64uy8pzfe7cpg4fgykm7cv',
    );
    expect(encodeAddress(walletKey(SEED, 'liquidtestnet', 0, 0), 'liquidtestnet')).toBe(
      'tlq1qq2xvpcvfup5j8zscjq05u2wxxjcyewk7979f3mmz5l7uw5pqmx6xf5xy50hsn6vhkm5euwt72x878eq6zxx2z58hd7zrsg9qn',
    );
  });
  it('of every purpose, chain and index differ', () => {
    const all = [
      walletKey(SEED, 'regtest', 0, 0),
      walletKey(SEED, 'regtest', 0, 1),
      walletKey(SEED, 'regtest', 1, 0),
      refundKey(SEED, 'regtest', 0),
      refundKey(SEED, 'regtest', 1),
      claimKey(SEED, 'regtest', 0),
      claimKey(SEED, 'liquidv1', 0),
    ];
    expect(new Set(all.map((key) => key.pubkey)).size).toBe(all.length);
  });
  it('are the same on the test networks', () => {
    expect(refundKey(SEED, 'regtest', 3)).toEqual(refundKey(SEED, 'liquidtestnet', 3));
  });
  it('of the wallet pay to their own script and have a blinding key of it', () => {
    const key = walletKey(SEED, 'regtest', 1, 7);
    expect(key.scriptPubKey).toEqual(p2wpkhScriptPubKey(key.pubkey));
    expect(key.blindingPubkey).not.toBe(key.pubkey);
    expect(key.blindingPrivateKey).toHaveLength(32);
  });
  it('lie on the documented paths', () => {
    expect(accountPath('liquidv1', 'wallet')).toBe("m/84'/1776'/0'");
    expect(accountPath('liquidv1', 'refund')).toBe("m/84'/1776'/1'");
    expect(accountPath('regtest', 'claim')).toBe("m/84'/1'/2'");
  });
});
