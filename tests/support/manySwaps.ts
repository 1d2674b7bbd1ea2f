/** A database with many open swaps, and an Electrum server on a real socket that shows their fundings. */
import { createHash } from 'node:crypto';

import { htlcWitnessScript, p2wshScriptPubKey } from '../../src/core/htlc.js';
import { isFunded, type PaymentStatus, type Swap, type SwapEvent } from '../../src/core/swap.js';
import { outpoint, paymentHash, quoteId, swapId, txid, unixSecs } from '../../src/core/units.js';
import { scripthash } from '../../src/liquid/electrumAnswers.js';
import type { Store } from '../../src/store/db.js';
import { moveSwap } from '../../src/store/swaps.js';
import { insertTx } from '../../src/store/txs.js';
import { keyOf } from '../unit/core/zkp.js';
import type { HostileElectrum } from './hostileElectrum.js';
import { FUNDING, intent, pathTo, START, type Intent } from './swapFixtures.js';
import { insertNew } from './tempStore.js';

const FUNDED_AT = 100;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The nth of many swaps; everything that must be unique is. */
const nthOf = (n: number): Intent => ({
  ...intent,
  id: swapId(digest(`swap ${n}`).slice(0, 32)),
  quoteId: quoteId(digest(`quote ${n}`).slice(0, 32)),
  paymentHash: paymentHash(digest(`hash ${n}`)),
  requestId: `123e4567-e89b-42d3-a456-${n.toString(16).padStart(12, '0')}`,
  keyIndex: 1_000 + n,
});

function fundingOf(swap: Intent) {
  const fundingTxid = txid(digest(`funding ${swap.id}`));
  return {
    ...FUNDING,
    fundingTxid,
    witnessScript: htlcWitnessScript({
      paymentHash: swap.paymentHash,
      claimPkh: keyOf('buyer').pkh,
      refundPkh: keyOf('refund').pkh,
      refundHeight: FUNDING.refundHeight,
    }),
    outpoints: FUNDING.outpoints.map((each, vout) => ({ ...each, outpoint: outpoint(fundingTxid, vout) })),
  };
}

/** Stores so many FUNDED swaps; `paymentOf` says how each stands on the Lightning side. */
export function insertMany(store: Store, count: number, paymentOf: (n: number) => PaymentStatus): readonly Swap[] {
  return store.tx(() =>
    Array.from({ length: count }, (_, n): Swap => {
      const start = nthOf(n);
      const funding = fundingOf(start);
      const events = pathTo('FUNDED', paymentOf(n)).map((event): SwapEvent =>
        event.kind === 'funding_signed' ? { ...event, funding } : event,
      );
      insertNew(store, start);
      const end = events.reduce<Swap>((swap, event) => moveSwap(store, swap, event, unixSecs(START)), start);
      const tx = { swapId: start.id, kind: 'funding', version: 1, txid: funding.fundingTxid } as const;
      const rest = {
        raw: Buffer.alloc(0),
        feeSat: start.feeSubsidySat,
        walletInputs: [],
        signedHeight: FUNDING.refundHeight,
      };
      insertTx(store, { ...tx, ...rest }, unixSecs(START));
      store.run(store.q.updateTable('txs').set({ state: 'final' }).where('txid', '=', funding.fundingTxid));
      return end.payment === 'SETTLED' ? moveSwap(store, end, { kind: 'preimage_released' }, unixSecs(START)) : end;
    }),
  );
}

/** Scripthash to the history it has. */
export type Histories = Map<string, { readonly tx_hash: string; readonly height: number }[]>;

/** Makes the server show the funding of every swap, and announce changes truthfully. */
export function showFundings(server: HostileElectrum, swaps: readonly Swap[]): Histories {
  const histories: Histories = new Map(
    swaps.flatMap((swap) => {
      if (!isFunded(swap)) return [];
      const entry = { tx_hash: swap.fundingTxid, height: FUNDED_AT };
      return [[scripthash(p2wshScriptPubKey(swap.witnessScript)), [entry]] as const];
    }),
  );
  server.methods.set('blockchain.scripthash.get_history', ([id]) => histories.get(String(id)) ?? []);
  server.methods.set('blockchain.scripthash.subscribe', ([id]) => statusOf(histories, String(id)));
  return histories;
}

/** Status of a script by the Electrum protocol: SHA256 of its history as text. */
export function statusOf(histories: Histories, id: string): string | null {
  const history = histories.get(id);
  if (history === undefined || history.length === 0) return null;
  return digest(history.map((entry) => `${entry.tx_hash}:${entry.height}:`).join(''));
}
