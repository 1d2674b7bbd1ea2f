/**
 * The Liquid networks and their addresses. Pure.
 */
import { address, networks } from 'liquidjs-lib';

import { SwapError } from '../errors.js';
import { assetId, blockHash, hex, pubkey, type AssetId, type BlockHash, type Pubkey } from './units.js';

/** As Elements calls the chains; `regtest` is liquidregtest. */
export type LiquidNetworkName = 'liquidv1' | 'liquidtestnet' | 'regtest';

/** The Bitcoin network whose Lightning invoices belong to a Liquid network. */
export type BitcoinNetworkName = 'bitcoin' | 'testnet' | 'regtest';

/** What identifies a network and what its addresses start with. */
export type LiquidNetwork = {
  /** Hash of block 0. */
  readonly genesis: BlockHash;
  /** L-BTC: the asset that pays fees. */
  readonly policyAsset: AssetId;
  readonly bitcoinNetwork: BitcoinNetworkName;
  /** Prefix of plain segwit addresses (bech32). */
  readonly bech32: string;
  /** Prefix of confidential segwit addresses (blech32). */
  readonly blech32: string;
};

/** Everything that differs between the networks, by their names. */
export const LIQUID_NETWORKS: Readonly<Record<LiquidNetworkName, LiquidNetwork>> = {
  liquidv1: {
    genesis: blockHash('1466275836220db2944ca059a3a10ef6fd2ea684b0688d2c379296888a206003'),
    policyAsset: assetId(networks.liquid.assetHash),
    bitcoinNetwork: 'bitcoin',
    bech32: networks.liquid.bech32,
    blech32: networks.liquid.blech32,
  },
  liquidtestnet: {
    genesis: blockHash('a771da8e52ee6ad581ed1e9a99825e5b3b7992225534eaa2ae23244fe26ab1c1'),
    policyAsset: assetId(networks.testnet.assetHash),
    bitcoinNetwork: 'testnet',
    bech32: networks.testnet.bech32,
    blech32: networks.testnet.blech32,
  },
  regtest: {
    genesis: blockHash('00902a6b70c2ca83b5d9c815d96a0e2f4202179316970d14ea1847dae5b1ca21'),
    policyAsset: assetId(networks.regtest.assetHash),
    bitcoinNetwork: 'regtest',
    bech32: networks.regtest.bech32,
    blech32: networks.regtest.blech32,
  },
};

const NETWORK_NAMES: readonly LiquidNetworkName[] = ['liquidv1', 'liquidtestnet', 'regtest'];

/** The network whose block 0 has this hash, or undefined if we know none. */
export function networkOfGenesis(genesis: BlockHash): LiquidNetworkName | undefined {
  return NETWORK_NAMES.find((name) => LIQUID_NETWORKS[name].genesis === genesis);
}

/** Where to pay: a P2WPKH or P2WSH output script, with the blinding key of a confidential address. */
export type PayTo = { readonly scriptPubKey: Buffer; readonly blindingPubkey?: Pubkey };

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

/** The hash of a version 0 witness program (20 or 32 bytes), or undefined for any other script. */
function witnessProgram(scriptPubKey: Uint8Array): Buffer | undefined {
  const program = Buffer.from(scriptPubKey.subarray(2));
  const isKnown = program.length === 20 || program.length === 32;
  return isKnown && scriptPubKey[0] === 0 && scriptPubKey[1] === program.length ? program : undefined;
}

/**
 * The address of a P2WPKH or P2WSH script: confidential (blech32) with a blinding key, plain (bech32) without.
 *
 * @throws SwapError `invalid_argument` for any other script.
 */
export function encodeAddress(payTo: PayTo, network: LiquidNetworkName): string {
  const program = witnessProgram(payTo.scriptPubKey);
  if (program === undefined) refuse('script', 'P2WPKH or P2WSH', hex(payTo.scriptPubKey));
  const { bech32, blech32 } = LIQUID_NETWORKS[network];
  return payTo.blindingPubkey === undefined
    ? address.toBech32(program, 0, bech32)
    : address.toBlech32(payTo.scriptPubKey, Buffer.from(payTo.blindingPubkey, 'hex'), blech32, 0);
}

/** The network an address names by its prefix, whether or not the rest is well formed. */
function prefixedNetwork(text: string): { network: LiquidNetworkName; isConfidential: boolean } | undefined {
  const prefix = text.slice(0, text.lastIndexOf('1'));
  for (const network of NETWORK_NAMES) {
    const { bech32, blech32 } = LIQUID_NETWORKS[network];
    if (prefix === bech32 || prefix === blech32) return { network, isConfidential: prefix === blech32 };
  }
  return undefined;
}

/** @throws whatever the decoders throw. */
function decodeSegwit(text: string, isConfidential: boolean): PayTo {
  if (!isConfidential) {
    const { version, data } = address.fromBech32(text);
    return { scriptPubKey: Buffer.concat([Buffer.of(version, data.length), data]) };
  }
  const { data, pubkey: blindingKey } = address.fromBlech32(text);
  return { scriptPubKey: data, blindingPubkey: pubkey(hex(blindingKey)) };
}

/**
 * Where an address pays.
 *
 * @param network the only network whose addresses are accepted.
 * @throws SwapError `invalid_argument` for an address of another network, of another type than P2WPKH and P2WSH (plain
 *   or confidential), or with an error in it.
 */
export function decodeAddress(text: string, network: LiquidNetworkName): PayTo {
  const lower = text.toLowerCase();
  const named = prefixedNetwork(lower);
  const { bech32, blech32 } = LIQUID_NETWORKS[network];
  if (named === undefined) refuse('address', `a segwit address ${bech32}1... or ${blech32}1...`, 'another prefix');
  if (named.network !== network) refuse('address', `one of ${network}`, `one of ${named.network}`);
  if (text !== lower && text !== text.toUpperCase()) refuse('address', 'one letter case', 'mixed case');
  let payTo: PayTo;
  try {
    payTo = decodeSegwit(lower, named.isConfidential);
  } catch (cause) {
    throw new SwapError('invalid_argument', 'address: expected a valid checksum and key, found an error in it', {
      cause,
    });
  }
  if (witnessProgram(payTo.scriptPubKey) === undefined) refuse('address', 'P2WPKH or P2WSH', 'another witness program');
  // The decoders are lenient about padding and encoding variants; an address has one spelling.
  if (encodeAddress(payTo, network) !== lower) refuse('address', 'its canonical spelling', 'another one');
  return payTo;
}
