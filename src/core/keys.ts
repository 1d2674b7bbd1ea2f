/**
 * Every key and preimage comes from one BIP39 mnemonic. Pure.
 *
 * Accounts of m/84'/1776' (test networks: m/84'/1'): 0' wallet, 1' refund keys of the seller, 2' claim keys of the buyer.
 */
import { createHmac, hkdfSync } from 'node:crypto';

import { BIP32Factory } from 'bip32';
import { mnemonicToSeedSync, validateMnemonic } from 'bip39';
import { SLIP77Factory } from 'slip77';
import * as ecc from 'tiny-secp256k1';

import { SwapError } from '../errors.js';
import { p2wpkhScriptPubKey } from './htlc.js';
import type { LiquidNetworkName } from './network.js';
import { hex, preimage, pubkey, type Preimage, type Pubkey, type SwapId } from './units.js';

/** A key pair; the private key is 32 bytes and must never reach a log. */
export type KeyPair = { readonly pubkey: Pubkey; readonly privateKey: Buffer };

/** A wallet key with its P2WPKH script and the SLIP-77 blinding key of that script. */
export type WalletKey = KeyPair & {
  readonly scriptPubKey: Buffer;
  readonly blindingPubkey: Pubkey;
  readonly blindingPrivateKey: Buffer;
};

/** Index after `m/84'/coin'`. */
const ACCOUNTS = { wallet: 0, refund: 1, claim: 2 } as const;
type AccountName = keyof typeof ACCOUNTS;

const PREIMAGE_INFO = 'swap-preimage/v1';

const bip32 = BIP32Factory(ecc);
const slip77 = SLIP77Factory(ecc);

/**
 * The 64-byte BIP39 seed of an English mnemonic without passphrase. Spaces and line ends around words do not matter.
 *
 * @throws SwapError `invalid_argument` if it is no valid mnemonic; the message does not show it.
 */
export function seedFromMnemonic(mnemonic: string): Buffer {
  const words = mnemonic.trim().split(/\s+/);
  const phrase = words.join(' ');
  if (!validateMnemonic(phrase)) {
    throw new SwapError('invalid_argument', `mnemonic: expected BIP39 words and checksum, found ${words.length} words`);
  }
  return mnemonicToSeedSync(phrase);
}

/**
 * S of a swap: HMAC-SHA256 over the 16 bytes of the swap id, under HKDF-SHA256(seed, no salt, "swap-preimage/v1", 32).
 * The same seed and id always give the same S, so it needs no storage.
 */
export function preimageFor(seed: Uint8Array, swapId: SwapId): Preimage {
  const key = Buffer.from(hkdfSync('sha256', seed, Buffer.alloc(0), PREIMAGE_INFO, 32));
  return preimage(Uint8Array.from(createHmac('sha256', key).update(swapId, 'hex').digest()));
}

/** BIP32 path of an account, hardened throughout. */
export function accountPath(network: LiquidNetworkName, account: AccountName): string {
  return `m/84'/${network === 'liquidv1' ? 1776 : 1}'/${ACCOUNTS[account]}'`;
}

function keyAt(
  seed: Uint8Array,
  options: { network: LiquidNetworkName; account: AccountName; chain: 0 | 1; index: number },
): KeyPair {
  const { network, account, chain, index } = options;
  const node = bip32.fromSeed(seed).derivePath(accountPath(network, account)).derive(chain).derive(index);
  if (node.privateKey === undefined) throw new Error('a key derived from a seed has no private part');
  return { pubkey: pubkey(hex(node.publicKey)), privateKey: Buffer.from(node.privateKey) };
}

/** The seller's refund key of a swap: m/84'/1776'/1'/0/index. A fresh index per swap. */
export function refundKey(seed: Uint8Array, network: LiquidNetworkName, index: number): KeyPair {
  return keyAt(seed, { network, account: 'refund', chain: 0, index });
}

/** The buyer's claim key of a swap: m/84'/1776'/2'/0/index. A fresh index per swap. */
export function claimKey(seed: Uint8Array, network: LiquidNetworkName, index: number): KeyPair {
  return keyAt(seed, { network, account: 'claim', chain: 0, index });
}

/**
 * A wallet key: m/84'/1776'/0'/chain/index, blinded by SLIP-77.
 *
 * @param chain 0 for addresses given out, 1 for change.
 */
export function walletKey(seed: Uint8Array, network: LiquidNetworkName, chain: 0 | 1, index: number): WalletKey {
  const pair = keyAt(seed, { network, account: 'wallet', chain, index });
  const scriptPubKey = p2wpkhScriptPubKey(pair.pubkey);
  const blinding = slip77.fromSeed(Buffer.from(seed)).derive(scriptPubKey);
  if (blinding.publicKey === undefined || blinding.privateKey === undefined) {
    throw new Error('a script has no blinding key');
  }
  return {
    ...pair,
    scriptPubKey,
    blindingPubkey: pubkey(hex(blinding.publicKey)),
    blindingPrivateKey: Buffer.from(blinding.privateKey),
  };
}
