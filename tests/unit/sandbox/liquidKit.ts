/** Parts for tests of the Liquid sandbox: a key, coins paid to it, and transactions signed with liquidjs-lib. */
import { createHash } from 'node:crypto';

import { script as scripts, Transaction } from 'liquidjs-lib';
import { pointFromScalar, sign } from 'tiny-secp256k1';

import { pubkey, reversedBytes, type AssetId, type Txid } from '../../../src/core/units.js';
import type { LiquidSandbox } from '../../../src/sandbox/liquid/world.js';
import { POLICY_ASSET } from '../../../src/sandbox/liquid/regtest.js';
import { assetBytes, valueBytes } from '../../../src/sandbox/liquid/transaction.js';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const hash160 = (bytes: Uint8Array): Buffer => createHash('ripemd160').update(sha256(bytes)).digest();

const PRIVATE_KEY = sha256(Buffer.from('a key of the tests'));
const PUBKEY = Buffer.from(pointFromScalar(PRIVATE_KEY, true) ?? []);
export const BLINDING_KEY = sha256(Buffer.from('a blinding key of the tests'));
export const BLINDING_PUBKEY = pubkey(Buffer.from(pointFromScalar(BLINDING_KEY, true) ?? []).toString('hex'));
export const P2WPKH = Buffer.concat([Buffer.of(0, 20), hash160(PUBKEY)]);
/** A second script of the same key's owner: P2WSH of OP_TRUE. */
export const OTHER_SCRIPT = Buffer.concat([Buffer.of(0, 32), sha256(Buffer.of(0x51))]);

const REPLACEABLE = 0xffff_fffd;

export type KeyCoin = { readonly txid: Txid; readonly vout: number; readonly value: bigint };

/** Pays a coin of L-BTC to the key; it waits in the mempool. */
export function fundKey(chain: LiquidSandbox, value = 1_000_000n): KeyCoin {
  const txid = chain.faucet({ scriptPubKey: P2WPKH, amount: value });
  return { txid, vout: 0, value };
}

export type Spend = {
  readonly coins: readonly KeyCoin[];
  readonly feeSat?: bigint;
  readonly sequence?: number;
  readonly locktime?: number;
  readonly toScript?: Buffer;
  readonly assetId?: AssetId;
};

/** Spends coins of the key to one output (P2WPKH of the same key unless told otherwise) and a fee, signed. */
export function spendTx(spend: Spend): Transaction {
  const { coins, feeSat = 1_000n, sequence = REPLACEABLE, locktime = 0, toScript = P2WPKH } = spend;
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = locktime;
  for (const { txid, vout } of coins) tx.addInput(reversedBytes(txid), vout, sequence);
  const total = coins.reduce((sum, { value }) => sum + value, 0n);
  const asset = assetBytes(spend.assetId ?? POLICY_ASSET);
  tx.addOutput(toScript, valueBytes(total - feeSat), asset, Buffer.of(0));
  tx.addOutput(Buffer.alloc(0), valueBytes(feeSat), assetBytes(POLICY_ASSET), Buffer.of(0));
  const scriptCode = Buffer.concat([Buffer.from('76a914', 'hex'), P2WPKH.subarray(2), Buffer.from('88ac', 'hex')]);
  for (const [index, { value }] of coins.entries()) {
    const hash = tx.hashForWitnessV0(index, scriptCode, valueBytes(value), 1);
    const signature = scripts.signature.encode(Buffer.from(sign(hash, PRIVATE_KEY)), 1);
    tx.setWitness(index, [signature, PUBKEY]);
  }
  return tx;
}

export const spendHex = (spend: Spend): string => spendTx(spend).toHex();

/** The coin that a transaction of {@link spendTx} makes. */
export function madeBy(tx: Transaction): KeyCoin {
  const [output] = tx.outs;
  if (output === undefined) throw new Error('no output');
  return { txid: tx.getId() as Txid, vout: 0, value: output.value.readBigUInt64BE(1) };
}
