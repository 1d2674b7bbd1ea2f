/** The wallet's keys, derived once each and found by script. Pure. */
import { walletKey, type WalletKey } from '../core/keys.js';
import type { LiquidNetworkName } from '../core/network.js';
import { hex } from '../core/units.js';

/** 0: addresses given out, 1: change. */
export type KeyChain = 0 | 1;

/** A wallet key and its place in the derivation. */
export type OwnKey = WalletKey & {
  readonly chain: KeyChain;
  readonly index: number;
  readonly scriptPubKeyHex: string;
};

export type KeyRing = {
  readonly at: (chain: KeyChain, index: number) => OwnKey;
  /** The key of a script, if it was derived before. */
  readonly find: (scriptPubKeyHex: string) => OwnKey | undefined;
};

/** @param seed 64 bytes of BIP39. */
export function createKeyRing(seed: Uint8Array, network: LiquidNetworkName): KeyRing {
  const byScript = new Map<string, OwnKey>();
  const chains: readonly [OwnKey[], OwnKey[]] = [[], []];
  return {
    at: (chain, index) => {
      const known = chains[chain][index];
      if (known !== undefined) return known;
      const derived = walletKey(seed, network, chain, index);
      const key = { ...derived, chain, index, scriptPubKeyHex: hex(derived.scriptPubKey) };
      chains[chain][index] = key;
      byScript.set(key.scriptPubKeyHex, key);
      return key;
    },
    find: (scriptPubKeyHex) => byScript.get(scriptPubKeyHex),
  };
}
