/** The faucet's money: outputs of P2WSH(OP_TRUE), which need no key. All coinbases pay to it. */
import { createHash } from 'node:crypto';

import { address as addresses, networks, Transaction } from 'bitcoinjs-lib';

import { SwapError } from '../../errors.js';
import { reversedBytes } from '../../core/units.js';
import type { Coin } from './validate.js';

const OP_TRUE_SCRIPT = Buffer.from([0x51]);
/** Where coinbases and the faucet's change go. */
export const FAUCET_SCRIPT = Buffer.concat([
  Buffer.from([0x00, 0x20]),
  createHash('sha256').update(OP_TRUE_SCRIPT).digest(),
]);

const COINBASE_MATURITY = 100;
const FEE_SAT_PER_VB = 2n;
/** Outputs, and one input: an upper bound in virtual bytes. */
const BASE_VSIZE = 150n;
const INPUT_VSIZE = 50n;
const DUST_SAT = 546n;
const RBF_SEQUENCE = 0xffff_fffd;

export type FaucetRequest = {
  /** Unspent outputs of {@link FAUCET_SCRIPT}. */
  readonly coins: readonly { readonly key: string; readonly coin: Coin }[];
  readonly nextHeight: number;
  readonly address: string;
  readonly amountSat: bigint;
};

/** @throws SwapError `invalid_argument` for a wrong address or amount, or if the coins do not suffice. */
export function faucetTransaction({ coins, nextHeight, address, amountSat }: FaucetRequest): Transaction {
  const script = scriptOf(address);
  if (amountSat < DUST_SAT) {
    throw new SwapError('invalid_argument', `amount: expected at least ${DUST_SAT} sat, found ${amountSat}`);
  }
  const tx = new Transaction();
  tx.version = 2;
  let needed = amountSat + BASE_VSIZE * FEE_SAT_PER_VB;
  let found = 0n;
  for (const { key, coin } of coins) {
    if (found >= needed) break;
    if (coin.isCoinbase && nextHeight - coin.height < COINBASE_MATURITY) continue;
    tx.addInput(reversedBytes(key.slice(0, 64)), Number(key.slice(65)), RBF_SEQUENCE);
    tx.setWitness(tx.ins.length - 1, [OP_TRUE_SCRIPT]);
    found += coin.value;
    needed += INPUT_VSIZE * FEE_SAT_PER_VB;
  }
  if (found < needed) {
    throw new SwapError('invalid_argument', `amount: expected at most ${found} sat (faucet), found ${amountSat}`);
  }
  tx.addOutput(script, amountSat);
  if (found - needed >= DUST_SAT) tx.addOutput(FAUCET_SCRIPT, found - needed);
  return tx;
}

function scriptOf(address: string): Uint8Array {
  try {
    return addresses.toOutputScript(address, networks.regtest);
  } catch (cause) {
    throw new SwapError('invalid_argument', `address: expected a Bitcoin regtest address, found "${address}"`, {
      cause,
    });
  }
}
