#!/usr/bin/env node
/** The guided tour: drives the real programs through two swaps and explains each step. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { connectBuyer, readPayoutWallet } from '../buyer/connect.js';
import { initDataDir } from '../buyer/dataDir.js';
import type { PurchaseEvent } from '../buyer/drive.js';
import { startPurchase } from '../buyer/purchase.js';
import { listOffers, requestQuote } from '../buyer/quote.js';
import { openAdmin } from '../buyer/rpcClient.js';
import { drivePurchase } from '../buyer/session.js';
import { encodeAddress } from '../core/network.js';
import { parseTransaction } from '../core/tx.js';
import { assetAmount, displayHex, txid, type SwapId } from '../core/units.js';
import { errorChain } from '../errors.js';
import { PaymentStatus, SwapStatus, type Swap } from '../gen/ln_liquid_swap/v1/swap.js';
import { createLogger } from '../log.js';
import { buyerMoney, sellerMoney, type Money } from './balances.js';
import { FINAL_BLOCKS, mineWith, narrator, PATIENCE_MS, type Tour } from './narrator.js';
import { chapter, ending, fact, table, why } from './print.js';
import { startWorld, type DemoWorld } from './world.js';

const TICKER = 'USDT';
const UNITS = 25n;

const formatUnits = (amount: bigint, precision: number): string => {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(precision + 1, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
};
const units = (tour: Tour, amount: bigint): string => formatUnits(amount, tour.precision);
const sats = (msat: bigint): string => `${formatUnits(msat, 3)} sat`;

async function openTour(): Promise<{ tour: Tour; close: (options: { isKept: boolean }) => Promise<void> }> {
  const log = createLogger('demo', 'error');
  const world = await startWorld((line) => {
    fact(line);
  });
  const { swapd, electrum, lnnoded, assets, policy_asset: lbtc } = world.json;
  const demoAsset = assets[TICKER];
  if (demoAsset === undefined) throw new Error(`the sandbox has no ${TICKER}`);
  const dir = join(world.dir, 'buyer');
  initDataDir(dir);
  const opened = await connectBuyer({
    dir,
    log,
    seller: { address: swapd.address, nodeId: lnnoded.seller.node_id },
    electrum: { servers: [`tcp://${electrum.host}:${electrum.port}`], isSingleServerTrusted: false },
    lightning: { address: lnnoded.buyer.address, tokenFile: lnnoded.buyer.token_file },
  });
  const admin = openAdmin({ address: swapd.admin, token: readFileSync(swapd.admin_token_file, 'utf8').trim() });
  const close: DemoWorld['close'] = async (options) => {
    opened.close();
    admin.close();
    await world.close(options);
  };
  const tour = {
    world,
    buyer: opened.value,
    admin: admin.client,
    log,
    assets: { asset: demoAsset.id, lbtc },
    precision: demoAsset.precision,
  };
  return { tour, close };
}

type Both = { readonly seller: Money; readonly buyer: Money };

async function money(tour: Tour): Promise<Both> {
  const { lnnoded } = tour.world.json;
  return {
    seller: await sellerMoney(tour.admin, tour.assets, lnnoded.seller),
    buyer: await buyerMoney(tour.buyer, tour.assets, lnnoded.buyer, tour.log),
  };
}

function showMoney(tour: Tour, now: Both, before?: Both): void {
  const change = (value: bigint, old: bigint | undefined, show: (amount: bigint) => string): string =>
    old === undefined || old === value ? '' : ` (${value > old ? '+' : ''}${show(value - old)})`;
  const row = (name: string, side: Money, old: Money | undefined): string[] => [
    name,
    `${units(tour, side.asset)} ${TICKER}${change(side.asset, old?.asset, (amount) => units(tour, amount))}`,
    `${side.lbtcSat.toString()} sat L-BTC${change(side.lbtcSat, old?.lbtcSat, String)}`,
    `${sats(side.lightningMsat)} on Lightning${change(side.lightningMsat, old?.lightningMsat, sats)}`,
  ];
  table([row('seller', now.seller, before?.seller), row('buyer', now.buyer, before?.buyer)]);
}

/** Offer, quote, purchase on the buyer's disk. */
async function order(tour: Tour): Promise<number> {
  const { seller } = tour.buyer;
  const { offers } = await listOffers(seller);
  const offer = offers.find((each) => each.assetId === tour.assets.asset);
  if (offer === undefined) throw new Error(`the seller does not offer ${TICKER}`);
  const amount = assetAmount(UNITS * 10n ** BigInt(tour.precision));
  const quote = await requestQuote(seller, { assetId: offer.assetId, assetAmount: amount });
  fact(`asked for ${units(tour, amount)} ${TICKER}, asset ${offer.assetId}`);
  fact(
    `quoted ${sats(quote.priceMsat)}, with ${quote.feeSubsidySat.toString()} sat of L-BTC for the claim's fee; good for 60 s`,
  );
  const payout = await readPayoutWallet(tour.buyer, tour.buyer.dir, tour.buyer.seed, tour.log);
  const record = await startPurchase(
    tour.buyer,
    quote,
    { ticker: TICKER, precision: offer.precision },
    {
      minFundingConfs: undefined,
      maxPriceMsat: undefined,
      maxFeeSat: undefined,
      payoutAddress: encodeAddress({ scriptPubKey: payout.scriptPubKey }, tour.buyer.network),
    },
  );
  why("the order is on the buyer's disk (0600) before anything is sent, so that a crash loses nothing");
  return record.number;
}

async function firstSwap(tour: Tour): Promise<void> {
  chapter(2, `Balances before, then an order of ${UNITS.toString()} ${TICKER}`);
  const before = await money(tour);
  showMoney(tour, before);
  const number = await order(tour);
  chapter(3, 'The seller funds an HTLC on Liquid');
  const { onEvent, settled, stuck } = narrator(tour);
  const record = await drivePurchase(tour.buyer, number, { signal: AbortSignal.timeout(PATIENCE_MS), onEvent });
  await settled();
  if (record.progress.step !== 'claimed') throw stuck(record);
  const swap = await waitForSwap(tour, record.progress.htlc.swapId, (each) => each.status === SwapStatus.CLAIMED);
  fact('swap status: CLAIMED');
  const after = await money(tour);
  chapter(7, 'Balances after');
  showMoney(tour, after, before);
  checkFirst(before, after, swap);
}

/** Explicit fee of a transaction of ours, satoshi. */
function feeOf(raw: Uint8Array): bigint {
  return parseTransaction(raw)
    .outs.filter((output) => output.script.length === 0)
    .reduce((sum, output) => sum + output.value.readBigUInt64BE(1), 0n);
}

function requireEqual(what: string, expected: bigint, found: bigint): void {
  if (expected !== found) throw new Error(`${what}: expected ${expected.toString()}, found ${found.toString()}`);
}

function checkFirst(before: Both, after: Both, swap: Swap): void {
  const { assetAmount: sold, priceMsat, feeSubsidySats, fundingTx } = swap;
  requireEqual('asset of the seller', before.seller.asset - sold, after.seller.asset);
  requireEqual('asset of the buyer', before.buyer.asset + sold, after.buyer.asset);
  requireEqual('Lightning of the seller', before.seller.lightningMsat + priceMsat, after.seller.lightningMsat);
  requireEqual('Lightning of the buyer', before.buyer.lightningMsat - priceMsat, after.buyer.lightningMsat);
  const fundingFee = feeOf(fundingTx);
  requireEqual('L-BTC of the seller', before.seller.lbtcSat - feeSubsidySats - fundingFee, after.seller.lbtcSat);
  const claimFeeSat = feeSubsidySats - (after.buyer.lbtcSat - before.buyer.lbtcSat);
  fact(
    `it adds up to the satoshi: network fees ${fundingFee.toString()} sat (funding, seller) and ${claimFeeSat.toString()} sat (claim, out of the subsidy; the rest is the buyer\'s)`,
  );
}

async function waitForSwap(tour: Tour, id: SwapId, isThere: (swap: Swap) => boolean): Promise<Swap> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for await (const { swap } of tour.buyer.seller.watchSwap(
    { swapId: Buffer.from(id, 'hex') },
    { signal, deadline: PATIENCE_MS },
  )) {
    if (swap !== undefined && isThere(swap)) return swap;
  }
  throw new Error(`the swap did not get there in ${PATIENCE_MS / 1000} s`);
}

/** A swap that is verified and then never paid. */
async function secondSwap(tour: Tour): Promise<void> {
  chapter(8, 'A second swap that nobody pays');
  const before = await money(tour);
  const number = await order(tour);
  const { onEvent, settled, stuck } = narrator(tour);
  const quiet = (event: PurchaseEvent): void => {
    if (event.kind === 'swap' || event.kind === 'waiting') onEvent(event);
  };
  const record = await drivePurchase(tour.buyer, number, {
    until: 'verified',
    signal: AbortSignal.timeout(PATIENCE_MS),
    onEvent: quiet,
  });
  await settled();
  if (record.progress.step !== 'verified') throw stuck(record);
  const { refundHeight, swapId } = record.progress.htlc;
  fact('the buyer verified it, and walks away without paying');
  const mined = await tour.world.mineLiquid(31);
  const canceled = await waitForSwap(tour, swapId, (each) => each.paymentStatus === PaymentStatus.CANCELED);
  fact(`mined to block ${mined}: payment CANCELED (${canceled.reason})`);
  why(
    'the invoice is canceled at the node first, for ever: a refund while somebody may still pay would let the seller take both',
  );
  const height = await tour.world.mineLiquid(refundHeight - mined);
  fact(`mined to block ${height}: the refund height is reached`);
  const { refundTxid } = await waitForSwap(tour, swapId, (each) => each.refundTxid.length > 0);
  await mineWith(tour, txid(displayHex(refundTxid)), FINAL_BLOCKS);
  const swap = await waitForSwap(tour, swapId, (each) => each.status === SwapStatus.REFUNDED);
  fact(`refund ${displayHex(swap.refundTxid)}`);
  fact('swap status: REFUNDED');
  const after = await money(tour);
  showMoney(tour, after, before);
  checkSecond(before, after, swap);
}

function checkSecond(before: Both, after: Both, swap: Swap): void {
  requireEqual('asset of the seller', before.seller.asset, after.seller.asset);
  requireEqual('asset of the buyer', before.buyer.asset, after.buyer.asset);
  requireEqual('Lightning of the seller', before.seller.lightningMsat, after.seller.lightningMsat);
  requireEqual('Lightning of the buyer', before.buyer.lightningMsat, after.buyer.lightningMsat);
  const cost = before.seller.lbtcSat - after.seller.lbtcSat;
  const fundingFee = feeOf(swap.fundingTx);
  fact(
    `it adds up to the satoshi: the seller paid ${fundingFee.toString()} sat (funding) and ${(cost - fundingFee).toString()} sat (refund) in fees, the buyer nothing`,
  );
}

const startedAt = Date.now();
try {
  chapter(1, 'A whole world: two Lightning nodes, a Liquid chain that validates everything, the seller');
  const { tour, close } = await openTour();
  let isKept = true;
  try {
    fact(`the faucet issued ${TICKER}, asset ${tour.assets.asset}, and stocked the seller`);
    await firstSwap(tour);
    await secondSwap(tour);
    isKept = false;
  } finally {
    await close({ isKept });
  }
  ending(
    `Two swaps, one CLAIMED and one REFUNDED, in ${((Date.now() - startedAt) / 1000).toFixed(1)} s. Next: npm start`,
  );
} catch (error) {
  process.stderr.write(`demo: ${errorChain(error)}\n`);
  process.exitCode = 1;
}
