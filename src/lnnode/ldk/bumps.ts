/**
 * Pays the fees of channels with anchors from the wallet: LDK asks for coins when a commitment transaction or the claim
 * of a payment needs them, and again with a higher rate while it waits.
 */
import { Psbt, Transaction } from 'bitcoinjs-lib';
import * as ldk from 'lightningdevkit';

import { hex, reversedBytes } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { CoinRow } from '../store/wallet.js';
import type { Wallet } from '../wallet.js';
import type { MonitorTools } from './assembly.js';
import type { Turns } from './turn.js';

/** Weight units: version, locktime, counts and the mark of a witness; an input without what satisfies it; an output. */
const BASE_WEIGHT = 4 * 10 + 2;
const INPUT_WEIGHT = 4 * 40;
const OUTPUT_WEIGHT = 4 * 9;
/** What satisfies a P2WPKH input: an empty script, two items, a signature and a key. */
const WITNESS_WEIGHT = 4 + 1 + 1 + 72 + 1 + 33;
const CHANGE_WEIGHT = OUTPUT_WEIGHT + 4 * 22;
/** P2WPKH. */
const DUST_SAT = 294n;

export type BumpParts = {
  readonly wallet: Wallet;
  readonly turns: Turns;
  readonly tools: MonitorTools;
  readonly signers: ldk.SignerProvider;
  readonly tipHeight: () => number;
  readonly log: Logger;
};

export type Bumps = {
  /** Called inside a turn. */
  readonly onBump: (event: ldk.BumpTransactionEvent) => void;
  readonly keep: readonly unknown[];
};

type Wanted = {
  readonly claimId: string;
  readonly weight: number;
  /** Satoshi that the transaction brings by itself, less what it must pay. */
  readonly broughtSat: bigint;
  readonly ratePerKw: number;
};

type Chosen = { readonly coins: readonly CoinRow[]; readonly changeSat: bigint };

/** Makes LDK's handler of such events over the wallet. */
export function makeBumps({ wallet, turns, tools, signers, tipHeight, log }: BumpParts): Bumps {
  const refused = ldk.Result_CoinSelectionNoneZ.constructor_err();

  const select = (wanted: Wanted): ldk.Result_CoinSelectionNoneZ => {
    const chosen = chooseCoins(wanted, wallet.claimCoins(wanted.claimId, tipHeight()));
    if (chosen === undefined) {
      log.warn({ claimId: wanted.claimId }, 'a closed channel waits for coins: the wallet cannot pay its fee');
      return refused;
    }
    wallet.reserveForClaim(wanted.claimId, chosen.coins);
    const change =
      chosen.changeSat === 0n
        ? ldk.Option_TxOutZ.constructor_none()
        : ldk.Option_TxOutZ.constructor_some(
            ldk.TxOut.constructor_new(chosen.changeSat, Uint8Array.from(wallet.nextKey().script)),
          );
    return ldk.Result_CoinSelectionNoneZ.constructor_ok(
      ldk.CoinSelection.constructor_new(
        chosen.coins.map((coin) => utxo(coin, wallet.scriptOf(coin))),
        change,
      ),
    );
  };

  const source = ldk.CoinSelectionSource.new_impl({
    select_confirmed_utxos: (claimId, mustSpend, mustPay, ratePerKw) =>
      turns.guarded('coins of a claim', () =>
        select({ claimId: hex(claimId), ratePerKw, ...sumOf(mustSpend, mustPay) }),
      ),
    sign_psbt: (psbt) =>
      turns.guarded('signature of a claim', () => {
        const tx = Transaction.fromBuffer(Psbt.fromBuffer(psbt).data.getTransaction());
        wallet.signOwnInputs(tx);
        return ldk.Result_TransactionNoneZ.constructor_ok(Uint8Array.from(tx.toBuffer()));
      }),
  });
  const handler = ldk.BumpTransactionEventHandler.constructor_new(tools.broadcaster, source, signers, tools.logger);
  return {
    onBump: (event) => {
      handler.handle_event(event);
    },
    keep: [refused, source, handler],
  };
}

function sumOf(mustSpend: readonly ldk.Input[], mustPay: readonly ldk.TxOut[]): Pick<Wanted, 'weight' | 'broughtSat'> {
  let weight = BASE_WEIGHT;
  let broughtSat = 0n;
  for (const input of mustSpend) {
    weight += INPUT_WEIGHT + Number(input.get_satisfaction_weight());
    broughtSat += input.get_previous_utxo().value;
  }
  for (const output of mustPay) {
    weight += OUTPUT_WEIGHT + 4 * output.script_pubkey.length;
    broughtSat -= output.value;
  }
  return { weight, broughtSat };
}

/** Takes coins in their order until they pay for the whole; undefined if all of them do not. */
function chooseCoins(
  { weight, broughtSat, ratePerKw }: Omit<Wanted, 'claimId'>,
  coins: readonly CoinRow[],
): Chosen | undefined {
  const taken: CoinRow[] = [];
  let foundSat = broughtSat;
  for (const coin of coins) {
    taken.push(coin);
    foundSat += coin.valueSat;
    const total = weight + CHANGE_WEIGHT + taken.length * (INPUT_WEIGHT + WITNESS_WEIGHT);
    const changeSat = foundSat - BigInt(Math.ceil((total * ratePerKw) / 1000));
    if (changeSat >= DUST_SAT) return { coins: taken, changeSat };
  }
  return undefined;
}

const utxo = (coin: CoinRow, script: Uint8Array): ldk.Utxo =>
  ldk.Utxo.constructor_new(
    ldk.OutPoint.constructor_new(Uint8Array.from(reversedBytes(coin.txid)), coin.vout),
    ldk.TxOut.constructor_new(coin.valueSat, Uint8Array.from(script)),
    BigInt(WITNESS_WEIGHT),
  );
