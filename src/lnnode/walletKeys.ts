/** The wallet's P2WPKH keys: addresses, and signatures for their coins. */
import { BIP32Factory } from 'bip32';
import { crypto, networks, payments, script as scripts, Transaction } from 'bitcoinjs-lib';
import * as ecc from 'tiny-secp256k1';

import { hex } from '../core/units.js';
import type { Network } from './chain/headers.js';
import type { CoinRow, WalletRows } from './store/wallet.js';

export type WalletKeys = ReturnType<typeof makeWalletKeys>;

/** Keys over their rows; `seed` is 32 secret bytes. */
export function makeWalletKeys(rows: Pick<WalletRows, 'keys' | 'putKey'>, seed: Uint8Array, network: Network) {
  const parameters = networks[network];
  const account = BIP32Factory(ecc).fromSeed(seed, parameters).derivePath("m/84'/0'/0'/0");
  const keyIndexes = new Map(rows.keys().map(({ keyIndex, script }) => [script, keyIndex]));
  return {
    /** A fresh address and its script. Belongs in a turn. */
    nextKey: (): { address: string; script: Buffer } => {
      const keyIndex = keyIndexes.size;
      const { address, output } = payments.p2wpkh({ pubkey: account.derive(keyIndex).publicKey, network: parameters });
      if (address === undefined || output === undefined) throw new Error('a key has an address');
      rows.putKey(keyIndex, hex(output));
      keyIndexes.set(hex(output), keyIndex);
      return { address, script: Buffer.from(output) };
    },
    scriptOf: (keyIndex: number): Buffer => {
      const { output } = payments.p2wpkh({ pubkey: account.derive(keyIndex).publicKey, network: parameters });
      if (output === undefined) throw new Error('a key has a script');
      return Buffer.from(output);
    },
    /** Undefined for a script that is not ours. */
    indexOf: (script: Uint8Array): number | undefined => keyIndexes.get(hex(script)),
    /** Signs one input that spends a coin of the wallet. */
    sign: (tx: Transaction, input: number, coin: Pick<CoinRow, 'keyIndex' | 'valueSat'>): void => {
      const key = account.derive(coin.keyIndex);
      const { output: code } = payments.p2pkh({ hash: crypto.hash160(key.publicKey) });
      if (code === undefined) throw new Error('a key hash has a script');
      const digest = tx.hashForWitnessV0(input, code, coin.valueSat, Transaction.SIGHASH_ALL);
      const signature = scripts.signature.encode(key.sign(digest), Transaction.SIGHASH_ALL);
      tx.setWitness(input, [signature, key.publicKey]);
    },
  };
}
