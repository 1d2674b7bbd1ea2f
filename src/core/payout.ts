/** Where a buyer may have an asset sent: any Liquid address whose owner can spend it, plain or confidential. Pure. */
import { address, networks } from 'liquidjs-lib';

import { SwapError } from '../errors.js';
import { decodeBase58Check } from './base58.js';
import { decodeAddress, LIQUID_NETWORKS, type LiquidNetworkName, type PayTo } from './network.js';
import { hex, pubkey, type Pubkey } from './units.js';

const BASE58 = { liquidv1: networks.liquid, liquidtestnet: networks.testnet, regtest: networks.regtest } as const;
const NAMES: readonly LiquidNetworkName[] = ['liquidv1', 'liquidtestnet', 'regtest'];
/** Prefixes and first letters of Bitcoin's addresses, none of which Liquid uses. */
const BITCOIN_SEGWIT = /^(bc|tb|bcrt)1/;
const BITCOIN_VERSIONS = new Set([0, 5, 111, 196]);

function refuse(expected: string, found: string, cause?: unknown): never {
  throw new SwapError('invalid_argument', `payout address: expected ${expected}, found ${found}`, { cause });
}

/**
 * Where a payout address pays: P2WPKH, P2WSH and P2TR (bech32, blech32), P2PKH and P2SH (base58).
 *
 * @param network the only network whose addresses are accepted.
 * @throws SwapError `invalid_argument` with one sentence about what is wrong: another chain, another network, a typing
 *   error, a witness version that nobody can spend yet.
 */
export function decodePayout(text: string, network: LiquidNetworkName): PayTo {
  const { bech32, blech32 } = LIQUID_NETWORKS[network];
  if (text === '' || /[^0-9A-Za-z]/.test(text)) refuse('letters and digits only', text === '' ? 'nothing' : 'others');
  const lower = text.toLowerCase();
  if (BITCOIN_SEGWIT.test(lower)) refuse(`a Liquid address like ${bech32}1... or ${blech32}1...`, 'a Bitcoin address');
  const segwit = NAMES.find((name) => {
    const of = LIQUID_NETWORKS[name];
    return lower.startsWith(`${of.bech32}1`) || lower.startsWith(`${of.blech32}1`);
  });
  if (segwit === undefined) return decodeBase58(text, network);
  if (segwit !== network) refuse(`an address of ${network}`, `one of ${segwit}`);
  if (text !== lower && text !== text.toUpperCase()) refuse('one letter case', 'capital and small letters mixed');
  return decodeSegwit(lower, network);
}

function decodeSegwit(text: string, network: LiquidNetworkName): PayTo {
  const { bech32, blech32 } = LIQUID_NETWORKS[network];
  const isConfidential = text.startsWith(`${blech32}1`);
  try {
    const { version, data, blindingKey } = isConfidential ? confidential(text) : plain(text);
    if (version === 0) return decodeAddress(text, network);
    if (version !== 1 || data.length !== 32) refuse('witness version 0 or 1', `version ${version}`);
    const scriptPubKey = Buffer.concat([Buffer.of(0x51, 32), data]);
    const again = isConfidential
      ? address.toBlech32(scriptPubKey, blindingKey, blech32, 1)
      : address.toBech32(data, 1, bech32);
    if (again !== text) refuse('its canonical spelling', 'another one');
    return isConfidential ? { scriptPubKey, blindingPubkey: blindingPubkey(blindingKey) } : { scriptPubKey };
  } catch (cause) {
    if (cause instanceof SwapError && cause.message.startsWith('payout')) throw cause;
    refuse('a valid checksum', 'a typing error: copy the address again', cause);
  }
}

type Program = { readonly version: number; readonly data: Buffer; readonly blindingKey: Buffer };

function plain(text: string): Program {
  return { ...address.fromBech32(text), blindingKey: Buffer.alloc(0) };
}

/** The library gives the script here, with the version as its first opcode. */
function confidential(text: string): Program {
  const { version, data, pubkey: blindingKey } = address.fromBlech32(text);
  return { version, data: data.subarray(2), blindingKey };
}

/** Version, hash and, of a confidential one, the blinding key. */
type Base58Parts = { readonly version: number; readonly hash: Buffer; readonly blindingKey?: Buffer };

/** A plain address is version and hash; a confidential one has a prefix before and the blinding key between them. */
function base58Parts(text: string): Base58Parts | undefined {
  const payload = decodeBase58Check(text);
  const [first = -1, second = -1] = payload ?? [];
  if (payload?.length === 21) return { version: first, hash: payload.subarray(1) };
  const isConfidential = NAMES.some((name) => BASE58[name].confidentialPrefix === first);
  if (payload?.length !== 55 || !isConfidential) return undefined;
  return { version: second, blindingKey: payload.subarray(2, 35), hash: payload.subarray(35) };
}

function decodeBase58(text: string, network: LiquidNetworkName): PayTo {
  const parts = base58Parts(text);
  if (parts === undefined) {
    const { bech32, blech32 } = LIQUID_NETWORKS[network];
    refuse(`an address of ${network} (${bech32}1..., ${blech32}1... or base58)`, 'something else or a typing error');
  }
  const { version, hash, blindingKey } = parts;
  const named = NAMES.find((name) => version === BASE58[name].pubKeyHash || version === BASE58[name].scriptHash);
  if (named === undefined) {
    const isBitcoin = blindingKey === undefined && BITCOIN_VERSIONS.has(version);
    refuse(`a Liquid address of ${network}`, isBitcoin ? 'a Bitcoin address' : 'one of a chain that we do not know');
  }
  if (named !== network) refuse(`an address of ${network}`, `one of ${named}`);
  const scriptPubKey =
    version === BASE58[network].pubKeyHash
      ? Buffer.concat([Buffer.of(0x76, 0xa9, 20), hash, Buffer.of(0x88, 0xac)])
      : Buffer.concat([Buffer.of(0xa9, 20), hash, Buffer.of(0x87)]);
  if (blindingKey === undefined) return { scriptPubKey };
  return { scriptPubKey, blindingPubkey: blindingPubkey(blindingKey) };
}

function blindingPubkey(key: Buffer): Pubkey {
  try {
    return pubkey(hex(key));
  } catch (cause) {
    return refuse('a blinding key on the curve', 'another one', cause);
  }
}
