/**
 * A world in which everybody can sell to everybody: the sandbox's Liquid chain, btcd, a seller with lnnoded and one with
 * lnd, a payer's lnnoded and a payer's lnd, and a channel from each payer to each seller.
 */

import { msat } from '../../../src/core/units.js';
import { openLiquidSide, type LiquidSide } from '../../../src/sandbox/world/liquid.js';
import { openChainView, type ChainView } from '../../crash/chainView.js';
import { onFreePort } from '../freePort.js';
import { invoiceRequest, newSecret } from '../lightningWorld.js';
import { lnnodedOn, type LnnodedProgram } from '../lnnodedPrograms.js';
import { openProgramSet, type NodeProgram, type Place, type ProgramSet } from '../programStage.js';
import { startBtcd } from './btcd.js';
import type { FullNode } from './fullNode.js';
import { startLnd, type LndProgram } from './lndProgram.js';
import { payerFlags } from './swapBuyer.js';
import { startSwapSeller, type SwapSeller } from './swapSeller.js';

/** Few blocks come here. */
const lnnoded = lnnodedOn('bitcoind', 'info', { LNNODED_BITCOIND__POLL_INTERVAL_MS: '250' });

export const BACKENDS = ['lnnoded', 'lnd'] as const;
export type Backend = (typeof BACKENDS)[number];
type Nodes = { readonly lnnoded: LnnodedProgram; readonly lnd: LndProgram };

const HOST = '127.0.0.1';
const CAPACITY_SATS = 2_000_000n;
const FEES_SATS = 100_000n;
const CHANNEL_DEPTH = 6;
/** More than both reserves of a channel, which nobody can send. */
const FIRST_PAYMENT_MSAT = 100_000_000n;
const ASSET = { ticker: 'USDT', precision: 8, amount: 1_000_000_000_000_000n };

/** The Liquid chain in this process, and what is sold on it. */
export type LiquidWorld = {
  readonly chain: LiquidSide;
  readonly electrum: { readonly host: string; readonly port: number };
  /** Id, display order. */
  readonly asset: string;
  readonly view: ChainView;
};

export type SwapWorld = {
  readonly programs: ProgramSet;
  readonly liquid: LiquidWorld;
  readonly bitcoin: FullNode;
  readonly sellers: Readonly<Record<Backend, SwapSeller>>;
  readonly payers: Nodes;
  readonly payerFlags: Readonly<Record<Backend, readonly string[]>>;
  readonly close: () => Promise<void>;
};

/** Starts everything, with coins on both sides of each channel. `close` must be called. */
export async function startSwapWorld(): Promise<SwapWorld> {
  const programs = openProgramSet('swap-matrix-');
  const { step, start } = programs;
  try {
    const [bitcoin, liquid] = await Promise.all([start('btcd', startBtcd), start('liquid', startLiquid)]);
    const nodes = async (side: string): Promise<Nodes> => {
      const [own, lnd] = await Promise.all([
        start(`${side}-lnnoded`, (place) => lnnoded(place, bitcoin)),
        start(`${side}-lnd`, (place) => startLnd(place, bitcoin)),
      ]);
      return { lnnoded: own, lnd };
    };
    const [sellerNodes, payers] = await Promise.all([nodes('seller'), nodes('payer')]);
    const seller = (backend: Backend): Promise<SwapSeller> =>
      start(`swapd-on-${backend}`, (place) => startSwapSeller(place, liquid, sellerNodes[backend]));
    const sold = Promise.all([seller('lnnoded'), seller('lnd')]);
    sold.catch(() => undefined); // awaited below
    await step({ what: 'the channels' }, () => openChannels(programs, bitcoin, sellerNodes, payers));
    const [onLnnoded, onLnd] = await sold;
    const sellers = { lnnoded: onLnnoded, lnd: onLnd };
    const flags = { lnnoded: await payerFlags(payers.lnnoded), lnd: await payerFlags(payers.lnd) };
    return { programs, liquid, bitcoin, sellers, payers, payerFlags: flags, close: programs.close };
  } catch (error) {
    await programs.close();
    throw error;
  }
}

/** A chain of its own with an asset. */
export async function startLiquid({ dir, started }: Place): Promise<LiquidWorld> {
  const { chain, port } = await onFreePort(async (free) => ({
    chain: await openLiquidSide({ dir, port: free }),
    port: free,
  }));
  started({ log: () => `in this process; tip ${chain.tip().height}`, stop: () => chain.close() });
  const asset = chain.issue(ASSET);
  chain.mine(1);
  const electrum = { host: HOST, port };
  return { chain, electrum, asset, view: openChainView(electrum) };
}

const all = ({ lnnoded, lnd }: Nodes): readonly NodeProgram[] => [lnnoded, lnd];

/** One from each payer to each seller, used once: then a payment really works, and both sides have coins. */
async function openChannels(programs: ProgramSet, bitcoin: FullNode, sellers: Nodes, payers: Nodes): Promise<void> {
  const { until } = programs;
  const ways = all(payers).flatMap((from) => all(sellers).map((to) => ({ from, to })));
  for (const { from } of ways) await bitcoin.fund(await from.newAddress(), CAPACITY_SATS + FEES_SATS);
  // A seller must be able to pay for taking a payment on the chain.
  for (const to of all(sellers)) await bitcoin.fund(await to.newAddress(), FEES_SATS);
  await bitcoin.mine(1);
  const coins = BigInt(all(sellers).length) * CAPACITY_SATS;
  const open = async (from: NodeProgram): Promise<void> => {
    await until({ what: `the coins of ${from.name}` }, async () => (await from.confirmedSats()) > coins);
    for (const to of all(sellers)) {
      await until({ what: `${to.name} at the tip` }, async () => {
        const [tip, own, other] = await Promise.all([bitcoin.tipHeight(), from.port.getInfo(), to.port.getInfo()]);
        return own.blockHeight === tip && other.blockHeight === tip;
      });
      await from.connect(to);
      await from.openChannel(to, CAPACITY_SATS);
    }
  };
  await Promise.all(all(payers).map(open));
  await until({ what: 'the funding transactions' }, async () => (await bitcoin.waiting()) === ways.length);
  await bitcoin.mine(CHANNEL_DEPTH);
  const use = async ({ from, to }: (typeof ways)[number]): Promise<void> => {
    const what = `a channel from ${from.name} to ${to.name}`;
    await until({ what }, async () => (await from.hasUsableChannel(to)) && (await to.hasUsableChannel(from)));
    await payOnce(programs, from, to);
  };
  await Promise.all(ways.map(use));
}

/** A node that calls a channel usable may refuse to pay for a second more. */
async function payOnce({ until }: ProgramSet, from: NodeProgram, to: NodeProgram): Promise<void> {
  await until({ what: `a payment from ${from.name} to ${to.name}` }, async () => {
    const { paymentHash, preimage } = newSecret();
    const request = invoiceRequest(paymentHash, { amountMsat: msat(FIRST_PAYMENT_MSAT) });
    const { bolt11 } = await to.port.createHoldInvoice(request);
    const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 1 };
    const { state } = await from.port.pay({ bolt11, ...limits });
    if (state === 'FAILED') return false;
    await until({ what: 'the held payment' }, async () => (await to.port.lookupInvoice(paymentHash))?.state === 'HELD');
    await to.port.settleInvoice(preimage);
    await until({ what: 'its end' }, async () => (await from.port.lookupPayment(paymentHash))?.state === 'SUCCEEDED');
    return true;
  });
}
