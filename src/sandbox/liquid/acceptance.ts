/**
 * May a transaction enter the mempool? The checks of Elements Core 23.3 in its order, with its reject reasons.
 *
 * Where the node knows more than the sandbox (peg-ins, time-based relative locks, taproot), the transaction is refused.
 */
import { MAX_MONEY, type Txid } from '../../core/units.js';
import { amountsBalance } from './amounts.js';
import { ancestorsOf, coinFor, conflictsOf, relayVsizeOf, withDescendants, type Coin, type Ledger } from './ledger.js';
import {
  feeAt,
  feeOf,
  isDust,
  isPushOnly,
  isStandardWitness,
  kindOfScript,
  MAX_CHAIN_LENGTH,
  MAX_SCRIPT_SIG_BYTES,
  MAX_STANDARD_WEIGHT,
} from './policy.js';
import { Refusal, refuse } from './refusal.js';
import { assertPaysForReplacement, assertReplaceable } from './replacement.js';
import {
  FINAL_SEQUENCE,
  LOCKTIME_THRESHOLD,
  SEQUENCE_DISABLED,
  SEQUENCE_IS_TIME,
  SEQUENCE_MASK,
} from './scriptEval.js';
import { ScriptError } from './scriptError.js';
import { verifySpend } from './spend.js';
import { explicitValue, isFee, isPegin, spentKey, txidOf, vsizeOf, weightOf, type Transaction } from './transaction.js';

/** `fee` in satoshi, `vsize` undiscounted; or why not. */
export type Verdict =
  | { readonly allowed: true; readonly fee: bigint; readonly vsize: number }
  | { readonly allowed: false; readonly refusal: Refusal };

type Mode = {
  /** A miner may put what he likes into a block as long as consensus allows it. */
  readonly isMiner: boolean;
};

/** Consensus rules of the bytes alone. */
function assertWellFormed(tx: Transaction): void {
  if (tx.ins.length === 0) refuse('bad-txns-vin-empty');
  if (tx.outs.length === 0) refuse('bad-txns-vout-empty');
  let total = 0n;
  for (const { value } of tx.outs) {
    const explicit = explicitValue(value);
    if (explicit === undefined) {
      if (value[0] !== 8 && value[0] !== 9) refuse('bad-txns-vout-amount-invalid');
      continue;
    }
    if (explicit >= 1n << 63n) refuse('bad-txns-vout-negative');
    if (explicit > MAX_MONEY) refuse('bad-txns-vout-toolarge');
    total += explicit;
    if (total > MAX_MONEY) refuse('bad-txns-txouttotal-toolarge');
  }
  if (new Set(tx.ins.map(spentKey)).size < tx.ins.length) refuse('bad-txns-inputs-duplicate');
  if (tx.isCoinbase()) refuse('coinbase');
}

/** Rules that only relaying nodes apply. */
function assertStandard(ledger: Ledger, tx: Transaction): void {
  if (tx.version < 1 || tx.version > 2) refuse('version');
  if (weightOf(tx) > MAX_STANDARD_WEIGHT) refuse('tx-size');
  for (const { script } of tx.ins) {
    if (script.length > MAX_SCRIPT_SIG_BYTES) refuse('scriptsig-size');
    if (!isPushOnly(script)) refuse('scriptsig-not-pushonly');
  }
  let nullDataOutputs = 0;
  for (const output of tx.outs) {
    const kind = kindOfScript(output.script);
    if (kind === 'nonstandard') refuse('scriptpubkey');
    if (kind === 'nullData') nullDataOutputs += 1;
    else if (kind !== 'fee' && isDust(output, ledger.policy)) refuse('dust');
  }
  if (nullDataOutputs > 1) refuse('multi-op-return');
}

/** Whether the absolute lock of a transaction lets it into a block of this height. */
export function isFinal(tx: Transaction, height: number, medianTime: number): boolean {
  if (tx.locktime === 0 || tx.ins.every(({ sequence }) => sequence === FINAL_SEQUENCE)) return true;
  return tx.locktime < (tx.locktime < LOCKTIME_THRESHOLD ? height : medianTime);
}

/** Whether relative locks (BIP68) let a transaction into a block of this height. */
export function relativeLocksMet(tx: Transaction, coinHeights: readonly number[], height: number): boolean {
  if (tx.version < 2) return true;
  return tx.ins.every(({ sequence }, index) => {
    if ((sequence & SEQUENCE_DISABLED) !== 0) return true;
    if ((sequence & SEQUENCE_IS_TIME) !== 0) refuse('time-based relative locks are not supported by the sandbox');
    return height >= (coinHeights[index] ?? Infinity) + (sequence & SEQUENCE_MASK);
  });
}

function findCoins(ledger: Ledger, tx: Transaction): Coin[] {
  const coins = tx.ins.flatMap((input) => coinFor(ledger, input) ?? []);
  if (coins.length === tx.ins.length) return coins;
  const id = txidOf(tx);
  const isMined = [...tx.outs.keys()].some((vout) => ledger.coins.has(`${id}:${vout}`));
  return refuse(isMined ? 'txn-already-known' : 'missing-inputs');
}

function assertAmounts(ledger: Ledger, tx: Transaction, coins: readonly Coin[]): void {
  const imbalance = (): never => refuse('bad-txns-in-ne-out', 'value in != value out');
  for (const output of tx.outs.filter(isFee)) {
    if (output.asset[0] !== 1) imbalance();
    const value = explicitValue(output.value) ?? imbalance();
    if (value === 0n) refuse('bad-txns-fee-outofrange');
  }
  if (tx.ins.some(isPegin)) refuse('peg-ins are not supported by the sandbox');
  if (!amountsBalance(ledger.zkp, tx, coins, ledger.proven)) imbalance();
}

function assertStandardInputs(tx: Transaction, coins: readonly Coin[]): void {
  if (coins.some(({ script }) => kindOfScript(script) === 'nonstandard')) refuse('bad-txns-nonstandard-inputs');
  for (const [index, { script }] of coins.entries()) {
    if (!isStandardWitness(tx.ins[index]?.witness ?? [], script)) refuse('bad-witness-nonstandard');
  }
}

function assertShortChain(ledger: Ledger, tx: Transaction, evicted: ReadonlySet<Txid>): void {
  const ancestors = ancestorsOf(ledger, tx);
  if (ancestors.size + 1 > MAX_CHAIN_LENGTH) {
    refuse('too-long-mempool-chain', `too many unconfirmed ancestors [limit: ${MAX_CHAIN_LENGTH}]`);
  }
  for (const id of ancestors) {
    const descendants = [...withDescendants(ledger, [id])].filter((each) => !evicted.has(each));
    if (descendants.length + 1 <= MAX_CHAIN_LENGTH) continue;
    refuse('too-long-mempool-chain', `too many descendants for tx ${id} [limit: ${MAX_CHAIN_LENGTH}]`);
  }
}

function assertPays(ledger: Ledger, tx: Transaction, conflicts: ReadonlySet<Txid>): void {
  const fee = feeOf(tx, ledger.policy);
  const needed = feeAt(relayVsizeOf(tx, ledger.policy), ledger.policy.relayFloor);
  if (fee < needed) refuse('min relay fee not met', `${fee.toString()} < ${needed.toString()}`);
  assertShortChain(ledger, tx, withDescendants(ledger, conflicts));
  assertPaysForReplacement(ledger, conflicts, { txid: txidOf(tx), tx, fee, vsize: vsizeOf(tx) });
}

function assertAcceptable(ledger: Ledger, tx: Transaction, { isMiner }: Mode): void {
  assertWellFormed(tx);
  if (!isMiner) assertStandard(ledger, tx);
  const height = ledger.tip.height + 1;
  if (!isFinal(tx, height, ledger.tip.medianTime)) refuse('non-final');
  if (!isMiner && ledger.mempool.has(txidOf(tx))) refuse('txn-already-in-mempool');
  const conflicts = conflictsOf(ledger, tx);
  if (!isMiner) assertReplaceable(ledger, conflicts);
  const coins = findCoins(ledger, tx);
  const heights = coins.map((coin) => coin.height);
  if (!relativeLocksMet(tx, heights, height)) refuse('non-BIP68-final');
  assertAmounts(ledger, tx, coins);
  if (!isMiner) {
    assertStandardInputs(tx, coins);
    assertPays(ledger, tx, conflicts);
  }
  const rules = { isDynafed: ledger.policy.isDynafed, isMinimalIf: !isMiner };
  for (const [index, coin] of coins.entries()) verifySpend(tx, index, coin, rules);
}

/** Judges a transaction; changes nothing. */
export function judge(ledger: Ledger, tx: Transaction, mode: Mode = { isMiner: false }): Verdict {
  try {
    assertAcceptable(ledger, tx, mode);
    return { allowed: true, fee: feeOf(tx, ledger.policy), vsize: vsizeOf(tx) };
  } catch (error) {
    if (error instanceof Refusal) return { allowed: false, refusal: error };
    if (!(error instanceof ScriptError)) throw error;
    return { allowed: false, refusal: new Refusal(`mempool-script-verify-flag-failed (${error.message})`) };
  }
}
