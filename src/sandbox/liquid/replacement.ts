/** Replacing mempool transactions: BIP125 as Elements Core 23 applies it. */
import type { Txid } from '../../core/units.js';
import { ancestorsOf, withDescendants, type Ledger, type MempoolEntry } from './ledger.js';
import { feeAt, MAX_REPLACED } from './policy.js';
import { refuse } from './refusal.js';
import { parentOf, type Transaction } from './transaction.js';

const MAX_REPLACEABLE_SEQUENCE = 0xffff_fffd;
const SAT_PER_COIN = 100_000_000n;

/** What wants to take the place of others. */
export type Candidate = Omit<MempoolEntry, 'tx'> & { readonly tx: Transaction };

const entriesOf = (ledger: Ledger, ids: Iterable<Txid>): MempoolEntry[] =>
  [...ids].flatMap((id) => ledger.mempool.get(id) ?? []);

const totalFee = (entries: readonly MempoolEntry[]): bigint => entries.reduce((sum, { fee }) => sum + fee, 0n);

/** Satoshi per 1000 virtual bytes, cut to an integer as the node does. */
const feeRateOf = ({ fee, vsize }: { fee: bigint; vsize: number }): bigint => (fee * 1000n) / BigInt(vsize);

/** An amount as the node prints it: at least two decimals, no more zeros than that. */
function coins(amount: bigint): string {
  const decimals = (amount % SAT_PER_COIN)
    .toString()
    .padStart(8, '0')
    .replace(/0{1,6}$/, '');
  return `${(amount / SAT_PER_COIN).toString()}.${decimals}`;
}

const rate = (amount: bigint): string =>
  `${(amount / SAT_PER_COIN).toString()}.${(amount % SAT_PER_COIN).toString().padStart(8, '0')} BTC/kvB`;

/** Only transactions that signal it may be replaced. */
export function assertReplaceable(ledger: Ledger, conflicts: ReadonlySet<Txid>): void {
  for (const { tx } of entriesOf(ledger, conflicts)) {
    if (!tx.ins.some(({ sequence }) => sequence <= MAX_REPLACEABLE_SEQUENCE)) refuse('txn-mempool-conflict');
  }
}

/**
 * A replacement pays a higher rate than each conflict, and more than all it evicts (descendants included) by the
 * incremental rate for its own size; it adds no unconfirmed parent and does not build on what it evicts.
 */
export function assertPaysForReplacement(ledger: Ledger, conflicts: ReadonlySet<Txid>, candidate: Candidate): void {
  if (conflicts.size === 0) return;
  const { tx, txid, fee, vsize } = candidate;
  const rejecting = `rejecting replacement ${txid}`;
  for (const id of ancestorsOf(ledger, tx)) {
    if (conflicts.has(id)) refuse('bad-txns-spends-conflicting-tx', `${txid} spends conflicting transaction ${id}`);
  }
  const direct = entriesOf(ledger, conflicts);
  for (const entry of direct) {
    const [newRate, oldRate] = [feeRateOf({ fee, vsize }), feeRateOf(entry)];
    if (newRate > oldRate) continue;
    refuse('insufficient fee', `${rejecting}; new feerate ${rate(newRate)} <= old feerate ${rate(oldRate)}`);
  }
  const evicted = withDescendants(ledger, conflicts);
  if (evicted.size > MAX_REPLACED) {
    refuse('too many potential replacements', `${rejecting}; too many potential replacements (${evicted.size} > 100)`);
  }
  assertNoNewUnconfirmed(ledger, tx, direct);
  const old = totalFee(entriesOf(ledger, evicted));
  if (fee < old) {
    refuse('insufficient fee', `${rejecting}, less fees than conflicting txs; ${coins(fee)} < ${coins(old)}`);
  }
  const needed = feeAt(vsize, ledger.policy.incrementalRate);
  if (fee - old >= needed) return;
  refuse(
    'insufficient fee',
    `${rejecting}, not enough additional fees to relay; ${coins(fee - old)} < ${coins(needed)}`,
  );
}

function assertNoNewUnconfirmed(ledger: Ledger, tx: Transaction, direct: readonly MempoolEntry[]): void {
  const known = new Set(direct.flatMap((entry) => entry.tx.ins.map(parentOf)));
  for (const [index, parent] of tx.ins.map(parentOf).entries()) {
    if (!ledger.mempool.has(parent) || known.has(parent)) continue;
    refuse('replacement-adds-unconfirmed', `replacement contains unconfirmed input, idx ${index}`);
  }
}
