/** Where the money of a swap is in the end: on the Liquid chain, in the payer's node, in the seller's books and channels. */
import { getChannels, getHeight } from 'lightning';

import { findPreimage } from '../../../src/core/htlc.js';
import { decodeAddress } from '../../../src/sandbox/liquid/world.js';
import { displayHex } from '../../../src/core/units.js';
import type { MinedTx } from '../../crash/chainView.js';
import type { Pair, Purchase } from './swapBuyer.js';
import { isLnd } from './swapSeller.js';
import { BACKENDS, type Backend, type SwapWorld } from './swapWorld.js';

/** How a swap ended. */
export type End = {
  /** Of the last `swap buy`. */
  readonly exitCode: number | null;
  readonly step: string;
  /** Of the payer's node. */
  readonly payment: string;
  /** Who spent the asset's outpoint of the HTLC. */
  readonly outpoint: 'claimed' | 'refunded' | 'unspent';
  /** Asset at the buyer's address, smallest units. */
  readonly bought: bigint;
  readonly books: string;
};

export const CLAIMED: End = {
  exitCode: 0,
  step: 'claimed',
  payment: 'SUCCEEDED',
  outpoint: 'claimed',
  bought: 1_000_000_000n,
  books: 'CLAIMED/SETTLED',
};
export const GIVEN_BACK: End = {
  exitCode: 5,
  step: 'unpaid',
  payment: 'FAILED',
  outpoint: 'refunded',
  bought: 0n,
  books: 'REFUNDED/CANCELED',
};
export const NEVER_PAID: End = { ...GIVEN_BACK, payment: 'never sent' };

/** The chain view must be fresh. */
export async function endOf({ liquid }: SwapWorld, purchase: Purchase, exitCode: number | null): Promise<End> {
  const { seller, id, hash, node } = purchase;
  const row = seller.swap(id);
  const { txid = '', vout = 0 } = row?.outpoints?.[0] ?? {};
  const spender = liquid.view.spender(txid, vout);
  const isClaim = spender?.tx.ins.some((input) => findPreimage(input.witness, hash) !== undefined) === true;
  const record = purchase.record();
  return {
    exitCode,
    step: record.progress.step,
    payment: (await node.port.lookupPayment(hash))?.state ?? 'never sent',
    outpoint: spender === undefined ? 'unspent' : isClaim ? 'claimed' : 'refunded',
    bought: spender === undefined ? 0n : paidTo(spender, record.payout.address, liquid.asset),
    books: `${row?.state ?? 'none'}/${row?.payment ?? ''}`,
  };
}

/** Explicit amounts of an asset that a transaction pays to an address. */
function paidTo({ tx }: MinedTx, address: string, asset: string): bigint {
  const { scriptPubKey } = decodeAddress(address);
  return tx.outs
    .filter((out) => out.script.equals(scriptPubKey) && displayHex(out.asset.subarray(1)) === asset)
    .reduce((sum, { value }) => sum + value.readBigUInt64BE(1), 0n);
}

const nodeOf = ({ payer }: Pair): Backend => (payer === 'lncli' ? 'lnd' : payer);
type Share = { readonly seller: Backend; readonly payer: Backend; readonly msat: bigint };

/** What each seller owns in its channels with each payer's node, now. */
export async function sharesOf({ sellers, payers }: SwapWorld): Promise<readonly Share[]> {
  const ways = BACKENDS.flatMap((seller) => BACKENDS.map((payer) => ({ seller, payer })));
  return await Promise.all(
    ways.map(async (way) => ({ ...way, msat: await sellers[way.seller].ownedMsat(payers[way.payer]) })),
  );
}

/** The same with the prices of the swaps that were sold. */
export const sharesAfter = (before: readonly Share[], sold: readonly Purchase[]): readonly Share[] =>
  before.map((share) => {
    const own = sold.filter(({ pair }) => pair.seller === share.seller && nodeOf(pair) === share.payer);
    const gain = own.reduce((sum, { seller, id }) => sum + (seller.swap(id)?.price_msat ?? 0n), 0n);
    return { ...share, msat: share.msat + gain };
  });

/** Blocks above the tip at which the held payment comes back, as an lnd at one of its ends says; undefined without one. */
export async function totalCltvOf({ node, seller, hash }: Purchase): Promise<number | undefined> {
  const told = [node, seller.node].find(isLnd);
  if (told === undefined) return undefined;
  const { lnd } = told.process;
  const [{ channels }, { current_block_height: tip }] = await Promise.all([getChannels({ lnd }), getHeight({ lnd })]);
  const htlc = channels.flatMap((each) => each.pending_payments).find(({ id }) => id === hash);
  if (htlc === undefined) throw new Error('no channel has the held payment');
  return htlc.timeout - tip;
}
