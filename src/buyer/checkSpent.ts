/** Checks that nobody spent the HTLC. Pure. */
import { findPreimage, type HtlcTerms } from '../core/htlc.js';
import { txidOf } from '../core/tx.js';
import { displayHex, outpointKey, txid, type Outpoint, type Txid } from '../core/units.js';
import { check, uncheckable, type Check } from './check.js';
import { answering, listed } from './checkChain.js';
import { readTransaction } from './checkScript.js';
import type { Surroundings } from './deal.js';

type Spend = { readonly point: string; readonly txid: Txid; readonly witness: readonly Uint8Array[] };

/** Spends of the outpoints among those transactions. */
function spendsOf(points: readonly Outpoint[], transactions: readonly Uint8Array[]): Spend[] {
  const wanted = new Set(points.map(outpointKey));
  return transactions.flatMap((raw) => {
    const read = readTransaction(raw);
    if (read.problem !== undefined) return []; // a spend that a server hides is missing in its list of unspent outputs
    return read.tx.ins.flatMap(({ hash, index, witness }) => {
      const point = outpointKey({ txid: txid(displayHex(hash)), vout: index });
      return wanted.has(point) ? [{ point, txid: txidOf(read.tx), witness }] : [];
    });
  });
}

/** Nobody spent the HTLC: neither by the word of a server nor by the bytes it shows. */
export function checkUnspent(
  around: Surroundings,
  points: readonly Outpoint[] | undefined,
  htlc: HtlcTerms | undefined,
): Check[] {
  const servers = answering(around.servers);
  if (points === undefined || servers.length === 0) {
    return [
      uncheckable('outpoint_spent', 'every HTLC output unspent', 'no funding outputs'),
      uncheckable('refund_broadcast', 'no refund', 'no funding outputs'),
    ];
  }
  const spends = spendsOf(
    points,
    servers.flatMap(({ others }) => others),
  );
  const isSpent = (key: string): boolean =>
    spends.some(({ point }) => point === key) || !servers.every(({ unspent }) => unspent.has(key));
  const spent = points.map(outpointKey).filter(isSpent);
  const by = spends.map((spend) => `spent by ${spend.txid}`);
  const found = spent.length === 0 ? 'all unspent' : listed([...spent, ...by]);
  return [
    check('outpoint_spent', spent.length === 0, 'every HTLC output unspent', found),
    htlc === undefined ? uncheckable('refund_broadcast', 'no refund', 'no HTLC script') : checkRefund(spends, htlc),
  ];
}

/** Whoever spends without the preimage takes the refund branch; with it, the spend is a claim. */
function checkRefund(spends: readonly Spend[], htlc: HtlcTerms): Check {
  const refunds = spends.filter(({ witness }) => findPreimage(witness, htlc.paymentHash) === undefined);
  const found = refunds.length === 0 ? 'none' : listed(refunds.map((spend) => `refunded by ${spend.txid}`));
  return check('refund_broadcast', refunds.length === 0, 'no refund', found);
}
