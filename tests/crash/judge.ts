/** The judgement after a case: money, database and chain say the same, and nothing was funded twice. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { z } from 'zod';

import { parseTransaction } from '../../src/core/tx.js';
import { displayHex, paymentHash } from '../../src/core/units.js';
import { bookProblems, readBooks, type Books } from './books.js';
import type { ChainView, MinedTx } from './chainView.js';
import { isEnded, readRows, type SellerRows, type SwapRow } from './sellerDatabase.js';
import type { Stage } from './stage.js';

export type Verdict = {
  /** Money that is gone or stuck, and records that contradict the chain. */
  readonly lost: readonly string[];
  readonly doubleFunded: readonly string[];
  /** Starting point of the next case. */
  readonly books: Books;
};

/** Both sides' wallets and channels may need this long to see the end. */
const SETTLE_MS = 60_000;
const FINAL_CONFS = 2;
const bundleSchema = z.object({ swap_id: z.string(), funding_txid: z.string() });

/** Judges everything since `before`, patiently: views may lag, facts may not change any more. */
export async function judge(stage: Stage, before: Books): Promise<Verdict> {
  const end = Date.now() + SETTLE_MS;
  for (;;) {
    const verdict = await judgeOnce(stage, before);
    if ((verdict.lost.length === 0 && verdict.doubleFunded.length === 0) || Date.now() > end) return verdict;
    await delay(100);
  }
}

async function judgeOnce(stage: Stage, before: Books): Promise<Verdict> {
  const rows = readRows(stage.database);
  const books = await readBooks(stage);
  const mined = stage.chain.minedSince(before.height);
  const fundings = new Set(mined.map(({ txid }) => txid));
  const sold = rows.swaps.filter(
    (swap) => swap.payment === 'SETTLED' && swap.funding_txid !== null && fundings.has(swap.funding_txid),
  );
  const lost = [
    ...bookProblems(before, books, { mined, sold }),
    ...rows.swaps.flatMap((swap) => [...endProblems(swap, stage.chain), ...bundleProblems(stage.bundleDir, swap)]),
    ...abortProblems(rows, stage.chain),
    ...reservationProblems(rows, stage.chain),
    ...generationProblems(rows, stage.bundleDir),
    ...(await nodeProblems(stage, rows.swaps)),
    ...(await sellerProblems(stage)),
  ];
  return { lost, doubleFunded: doubleFundings(rows, mined), books };
}

/** The state of a swap that has ended, against what the chain shows of its outpoints. */
function endProblems(swap: SwapRow, chain: ChainView): string[] {
  const name = `swap ${swap.swap_id} ${swap.state}/${swap.payment}`;
  if (!isEnded(swap)) return [`${name} has not ended`];
  const isFunded = swap.funding_txid !== null && chain.confs(swap.funding_txid) > 0;
  if (swap.state === 'FAILED') return isFunded ? [`${name}: its funding is on the chain`] : [];
  if (!isFunded) return [`${name}: its funding is not on the chain`];
  const spenders = (swap.outpoints ?? []).map(({ txid, vout }) => chain.spender(txid, vout));
  const expected = swap.state === 'CLAIMED' ? swap.claim_txid : swap.refund_txid;
  const problems = spenders
    .filter((spender) => spender?.txid !== expected || chain.confs(spender.txid) < FINAL_CONFS)
    .map(
      (spender) => `${name}: expected an outpoint spent by ${expected ?? 'nothing'}, found ${spender?.txid ?? 'none'}`,
    );
  const isPublic = spenders.some((spender) => spender !== undefined && showsPreimage(spender, swap.payment_hash));
  const wasPaid = swap.payment === 'SETTLED';
  if (isPublic !== (swap.state === 'CLAIMED'))
    problems.push(`${name}: the preimage is ${isPublic ? '' : 'not '}public`);
  if (wasPaid !== (swap.state === 'CLAIMED')) problems.push(`${name}: one side has both`);
  return problems;
}

const showsPreimage = ({ tx }: MinedTx, hash: string): boolean =>
  tx.ins.some(({ witness }) =>
    witness.some((item) => item.length === 32 && createHash('sha256').update(item).digest('hex') === hash),
  );

/** A funding that was signed and never confirmed can never confirm: a coin of it went elsewhere for good. */
function abortProblems({ swaps, txs }: SellerRows, chain: ChainView): string[] {
  return swaps
    .filter(({ state }) => state === 'FAILED')
    .flatMap((swap) => txs.filter((tx) => tx.swap_id === swap.swap_id && tx.kind === 'funding'))
    .filter(({ raw }) => {
      const spenders = parseTransaction(raw).ins.map(({ hash, index }) => chain.spender(displayHex(hash), index));
      return !spenders.some((spender) => spender !== undefined && chain.confs(spender.txid) >= FINAL_CONFS);
    })
    .map(({ txid }) => `the funding ${txid} of a failed swap can still confirm`);
}

/** Once every swap has ended a coin is reserved only because it is really spent. */
const reservationProblems = ({ reservations }: SellerRows, chain: ChainView): string[] =>
  reservations
    .filter(({ txid, vout }) => chain.spender(txid, Number(vout)) === undefined)
    .map(({ txid, vout }) => `coin ${txid}:${vout.toString()} stays reserved and is not spent`);

function bundleProblems(bundleDir: string, swap: SwapRow): string[] {
  if (swap.funding_txid === null) return [];
  const path = join(bundleDir, `${swap.swap_id}.json`);
  if (!existsSync(path)) return swap.state === 'FAILED' ? [] : [`swap ${swap.swap_id} has no recovery bundle`];
  const { funding_txid: txid } = bundleSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  return txid === swap.funding_txid ? [] : [`the recovery bundle of swap ${swap.swap_id} names funding ${txid}`];
}

function generationProblems({ meta }: SellerRows, bundleDir: string): string[] {
  const stored = meta.get('generation');
  const path = join(bundleDir, 'generation');
  if (stored === undefined && !existsSync(path)) return [];
  const written = existsSync(path) ? readFileSync(path, 'utf8').trim() : 'nothing';
  return written === stored ? [] : [`generation: database ${stored ?? 'nothing'}, file ${written}`];
}

/** One funding a swap by its rows, and no output at any HTLC that the rows do not know. */
function doubleFundings({ swaps, txs }: SellerRows, mined: readonly MinedTx[]): string[] {
  const fundings = txs.filter(({ kind }) => kind === 'funding');
  const twice = swaps.filter(({ swap_id: id }) => fundings.filter((tx) => tx.swap_id === id).length > 1);
  const known = new Set(swaps.map(({ funding_txid: txid }) => txid));
  const unknown = mined.filter(({ txid, tx }) => tx.outs.some(({ script }) => isP2wsh(script)) && !known.has(txid));
  return [
    ...twice.map(({ swap_id: id }) => `swap ${id} has two fundings`),
    ...unknown.map(({ txid }) => `${txid} funds an HTLC that no swap knows`),
  ];
}

const isP2wsh = (script: Uint8Array): boolean => script.length === 34 && script[0] === 0 && script[1] === 32;

async function nodeProblems({ node }: Stage, swaps: readonly SwapRow[]): Promise<string[]> {
  const found = await Promise.all(
    swaps.map(async (swap) => {
      const state = (await node.lookupInvoice(paymentHash(swap.payment_hash)))?.state ?? 'CANCELED';
      return state === swap.payment ? undefined : `swap ${swap.swap_id}: ${swap.payment} here, ${state} at the node`;
    }),
  );
  return found.filter((problem) => problem !== undefined);
}

/** After any number of crashes the seller sells on: no alarm, no pause, nothing promised or locked. */
async function sellerProblems({ admin }: Stage): Promise<string[]> {
  const [status, { balances }] = await Promise.all([admin.getStatus({}), admin.getBalance({})]);
  const tied = balances.filter((each) => each.reservedAmount + each.lockedAmount + each.pendingAmount > 0n);
  return [
    ...status.modeReasons.map((reason) => `mode: ${reason}`),
    ...status.alarms.map((alarm) => `alarm: ${alarm}`),
    ...tied.map(({ ticker }) => `some ${ticker} is reserved, locked or pending`),
  ];
}
