/** The first transaction of each block. */
import { OP_TRUE_SCRIPT } from './spend.js';
import { FREE_COIN_SAT, FREE_COINS, POLICY_ASSET } from './regtest.js';
import { uint32, varBytes } from './serialize.js';
import { assetBytes, Transaction, valueBytes } from './transaction.js';

const NO_OUTPOINT_INDEX = 0xffff_ffff;
const FINAL_SEQUENCE = 0xffff_ffff;
const NO_NONCE = Buffer.of(0);
const OP_RETURN_SCRIPT = Buffer.of(0x6a);
const FREE_COINS_HEIGHT = 1;

/**
 * Block 1 pays the free coins to OP_TRUE; every other coinbase pays nothing to nobody (fees are lost).
 *
 * @param serial differs between blocks of the same height on both sides of a reorganization, so that their hashes do
 */
export function buildCoinbase(height: number, serial: number): Transaction {
  const tx = new Transaction();
  tx.version = 2;
  const scriptSig = Buffer.concat([varBytes(uint32(height)), varBytes(uint32(serial))]);
  tx.addInput(Buffer.alloc(32), NO_OUTPOINT_INDEX, FINAL_SEQUENCE, scriptSig);
  const asset = assetBytes(POLICY_ASSET);
  if (height === FREE_COINS_HEIGHT) {
    for (let index = 0; index < FREE_COINS; index += 1) {
      tx.addOutput(OP_TRUE_SCRIPT, valueBytes(FREE_COIN_SAT), asset, NO_NONCE);
    }
  } else {
    tx.addOutput(OP_RETURN_SCRIPT, valueBytes(0n), asset, NO_NONCE);
  }
  return tx;
}
