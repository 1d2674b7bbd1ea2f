/** Two lnds with a private channel, each behind the port with the macaroon that the docs tell it to have. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { addPeer, createChainAddress, getChannels, getHeight, type AuthenticatedLnd } from 'lightning';

import type { PaymentHash } from '../../../src/core/units.js';
import { connectLnd } from '../../../src/lightning/lnd.js';
import type {
  HoldInvoice,
  HoldInvoiceRequest,
  LightningNode,
  PayRequest,
  PaymentResult,
} from '../../../src/lightning/node.js';
import { createLogger } from '../../../src/log.js';
import { msat, type Preimage } from '../../../src/core/units.js';
import { eventually } from '../eventually.js';
import type { Software } from '../interoperability.js';
import { invoiceRequest, newSecret } from '../lightningWorld.js';
import { makeTempDir } from '../tempDir.js';
import { bakeMacaroon } from './bakedMacaroon.js';
import { startBtcd } from './btcd.js';
import { startFeeServer } from './feeServer.js';
import type { FullNode } from './fullNode.js';
import { LndProcess } from './lnd.js';

/** Two cores carry everything at once. */
const SLOW_MS = 60_000;
/** Blocks until the payee's coins of a channel that it closed by force are its own. */
const CSV_BLOCKS = 5;
const COINS_SATS = 20_000_000n;

type Side = { readonly node: LndProcess; readonly port: LightningNode };
type Made = { readonly preimage: Preimage; readonly paymentHash: PaymentHash; readonly invoice: HoldInvoice };

export type LndPair = {
  readonly chain: FullNode;
  readonly software: readonly Software[];
  /** Has the seller's macaroon. */
  readonly payee: Side;
  /** Has the buyer's macaroon. */
  readonly payer: Side;
  /** Mines, and waits until the running nodes have seen it. */
  mine(blocks: number): Promise<void>;
  /** Opened by the payer; of lnd's own choice of kind unless one is asked for. */
  openChannel(sats: bigint, kind?: 'STATIC_REMOTE_KEY'): Promise<void>;
  invoice(change?: Partial<HoldInvoiceRequest>): Promise<Made>;
  pay(bolt11: string, change?: Partial<PayRequest>): Promise<PaymentResult>;
  inState(hash: PaymentHash, state: HoldInvoice['state']): Promise<HoldInvoice>;
  /** An invoice whose payment is held, and the payer's call. */
  held(change?: Partial<HoldInvoiceRequest>): Promise<Made & { payment: Promise<PaymentResult>; held: HoldInvoice }>;
  close(): Promise<void>;
};

export async function startLndPair(): Promise<LndPair> {
  const dir = makeTempDir('lnd-pair-');
  const fees = await startFeeServer();
  const stops: (() => Promise<unknown>)[] = [() => fees.close()];
  const close = async (): Promise<void> => {
    for (const stop of stops.toReversed()) await stop();
    if (process.env['KEEP_E2E'] !== '1') rmSync(dir, { recursive: true, force: true });
  };
  try {
    const chain = await startBtcd({ dir: join(dir, 'btcd') });
    stops.push(() => chain.stop());
    const start = async (name: string, file: 'swapd.macaroon' | 'swap.macaroon'): Promise<Side> => {
      const node = new LndProcess({ dir, name, chain, feeUrl: fees.url });
      stops.push(() => node.stop('SIGKILL'));
      await node.start();
      const macaroonFile = await bakeMacaroon(node, file);
      const { rpcAddress: address, tlsCertFile } = node;
      const port = connectLnd({ address, tlsCertFile, macaroonFile, log: createLogger('test', 'silent') });
      stops.push(() => {
        port.close();
        return Promise.resolve();
      });
      return { node, port };
    };
    const [payee, payer] = await Promise.all([start('payee', 'swapd.macaroon'), start('payer', 'swap.macaroon')]);
    const pair = pairOf({ chain, payee, payer, close });
    await pair.openChannel(10_000_000n);
    return pair;
  } catch (error) {
    await close();
    throw error;
  }
}

function pairOf({ chain, payee, payer, close }: Pick<LndPair, 'chain' | 'payee' | 'payer' | 'close'>): LndPair {
  const { lnd } = payer.node;
  const mine = async (blocks: number): Promise<void> => {
    await chain.mine(blocks);
    const tip = await chain.tipHeight();
    for (const { node } of [payee, payer]) {
      if (!node.isRunning) continue;
      await eventually(
        `${node.name} at the tip`,
        async () => (await getHeight({ lnd: node.lnd })).current_block_height >= tip,
        SLOW_MS,
      );
    }
  };
  const active = async (): Promise<number> => {
    const counts = await Promise.all(
      [payee, payer].map(async ({ node }) => (await getChannels({ lnd: node.lnd, is_active: true })).channels.length),
    );
    return Math.min(...counts);
  };
  const openOne = async (sats: bigint, kind: string): Promise<void> => {
    // The payee, too: it pays a fee when it takes a payment on the chain.
    for (const { node } of [payer, payee]) {
      const { address } = await createChainAddress({ lnd: node.lnd, format: 'p2wpkh' });
      await chain.fund(address, COINS_SATS);
    }
    await mine(6);
    await addPeer({ lnd, public_key: payee.node.nodeId, socket: payee.node.peerAddress }).catch(() => undefined);
    const before = await active();
    const request = {
      node_pubkey: Buffer.from(payee.node.nodeId, 'hex'),
      local_funding_amount: sats.toString(),
      push_sat: '100000',
      remote_csv_delay: CSV_BLOCKS,
      commitment_type: kind,
      private: true,
    };
    await eventually('an opened channel', () => openChannel(lnd, request), SLOW_MS);
    await mine(6);
    await eventually('both sides active', async () => (await active()) > before, SLOW_MS);
  };
  const invoice = async (change: Partial<HoldInvoiceRequest> = {}): Promise<Made> => {
    const secret = newSecret();
    return { ...secret, invoice: await payee.port.createHoldInvoice(invoiceRequest(secret.paymentHash, change)) };
  };
  const pay = (bolt11: string, change: Partial<PayRequest> = {}): Promise<PaymentResult> =>
    payer.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 60, ...change });
  const inState = (hash: PaymentHash, state: HoldInvoice['state']): Promise<HoldInvoice> =>
    eventually(
      `invoice ${state}`,
      async () => {
        const found = await payee.port.lookupInvoice(hash).catch(() => undefined);
        return found?.state === state ? found : undefined;
      },
      SLOW_MS,
    );
  const held: LndPair['held'] = async (change) => {
    const made = await invoice(change);
    const payment = pay(made.invoice.bolt11);
    payment.catch(() => undefined); // awaited by the test, or of no interest
    return { ...made, payment, held: await inState(made.paymentHash, 'HELD') };
  };
  const openChannelUsable: LndPair['openChannel'] = async (sats, kind) => {
    await openOne(sats, kind ?? 'UNKNOWN_COMMITMENT_TYPE');
    // Active is not usable yet: for about a second lnd finds no way.
    await eventually(
      'a payment',
      async () => {
        const { paymentHash, preimage, invoice: made } = await invoice({ amountMsat: msat(1000n) });
        const payment = pay(made.bolt11);
        const first = await Promise.race([payment, inState(paymentHash, 'HELD')]);
        if (first.state !== 'HELD') return false;
        await payee.port.settleInvoice(preimage);
        return (await payment).state === 'SUCCEEDED';
      },
      SLOW_MS,
    );
  };
  const software = [...chain.software, payee.node.software];
  return { chain, software, payee, payer, mine, openChannel: openChannelUsable, invoice, pay, inState, held, close };
}

type OpenSync = (request: object, done: (error: Error | null) => void) => void;

/** lnd's own call: the library's knows no kinds. @returns false if it was refused. */
function openChannel(lnd: AuthenticatedLnd, request: object): Promise<boolean> {
  const { default: service } = lnd as unknown as { default: { openChannelSync: OpenSync } };
  return new Promise((resolve) => {
    service.openChannelSync(request, (error) => {
      resolve(error === null);
    });
  });
}
