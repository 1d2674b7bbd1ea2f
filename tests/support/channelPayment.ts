/**
 * A channel and a payment between two nodes that begin with nothing, told once for every kind of node: over the port for
 * money, and over a small wrapper of the processes for what only an operator does.
 */
import { createHash } from 'node:crypto';

import { hex, msat, type Pubkey } from '../../src/core/units.js';
import type { LightningNode } from '../../src/lightning/node.js';
import { eventually } from './eventually.js';
import { invoiceRequest, newSecret } from './lightningWorld.js';

const CAPACITY_SATS = 1_000_000n;
const AMOUNT_MSAT = 25_000_000n;
const WAIT_MS = 60_000;
const TAIL_LINES = 20;

/** A Bitcoin regtest chain. */
export type ChainProgram = {
  readonly name: string;
  /** Pays to an address, in the next block. */
  fund(address: string, sats: bigint): Promise<void>;
  mine(blocks: number): Promise<void>;
  tipHeight(): Promise<number>;
  log(): string;
  stop(): Promise<void>;
};

/** A Lightning node and the process behind it. */
export type NodeProgram = {
  readonly name: string;
  readonly nodeId: Pubkey;
  readonly port: LightningNode;
  /** host:port for peers. */
  readonly peerAddress: string;
  newAddress(): Promise<string>;
  confirmedSats(): Promise<bigint>;
  connect(peer: NodeProgram): Promise<void>;
  openChannel(peer: NodeProgram, capacitySats: bigint): Promise<void>;
  hasUsableChannel(peer: NodeProgram): Promise<boolean>;
  log(): string;
  stop(): Promise<void>;
};

export type ChannelPaymentStage = {
  readonly chain: ChainProgram;
  readonly payer: NodeProgram;
  readonly payee: NodeProgram;
};

/** What the two ends saw. */
export type ChannelPayment = {
  readonly outbound: string;
  readonly inbound: string;
  readonly isPreimageRight: boolean;
  readonly receivedMsat: bigint;
};

function tails({ chain, payer, payee }: ChannelPaymentStage): string {
  return [chain, payer, payee]
    .map((program) => {
      const lines = program.log().trimEnd().split('\n').slice(-TAIL_LINES);
      return `--- the end of the log of ${program.name} ---\n${lines.join('\n')}`;
    })
    .join('\n');
}

/** Waits with a deadline. @throws Error with the end of every program's log */
export async function awaitOnStage<T>(
  stage: ChannelPaymentStage,
  { what, ms = WAIT_MS }: { readonly what: string; readonly ms?: number },
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  let why: unknown;
  try {
    return await eventually(
      what,
      () =>
        probe().catch((error: unknown) => {
          why = error;
          return undefined;
        }),
      ms,
    );
  } catch (cause) {
    const last = why instanceof Error ? `; the last answer: ${why.message}` : '';
    throw new Error(`not in time: ${what}${last}\n${tails(stage)}`, { cause });
  }
}

/** Coins, channel, invoice, payment. */
export async function playChannelPayment(stage: ChannelPaymentStage): Promise<ChannelPayment> {
  const { chain, payer, payee } = stage;
  const until = <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> =>
    awaitOnStage(stage, { what }, probe);
  const atTip = (node: NodeProgram): Promise<unknown> =>
    until(`${node.name} at the tip`, async () => {
      const { blockHeight, isSynced } = await node.port.getInfo();
      return isSynced && blockHeight === (await chain.tipHeight());
    });

  await chain.fund(await payer.newAddress(), CAPACITY_SATS + 100_000n);
  await chain.mine(1);
  await until('the coins of the payer', async () => (await payer.confirmedSats()) > CAPACITY_SATS);
  await payer.connect(payee);
  await payer.openChannel(payee, CAPACITY_SATS);
  await chain.mine(6);
  await Promise.all([atTip(payer), atTip(payee)]);
  await until('the channel usable at the payer', () => payer.hasUsableChannel(payee));
  await until('the channel usable at the payee', () => payee.hasUsableChannel(payer));

  const { preimage, paymentHash } = newSecret();
  const request = invoiceRequest(paymentHash, { amountMsat: msat(AMOUNT_MSAT) });
  const { bolt11 } = await payee.port.createHoldInvoice(request);
  const paying = payer.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 1_000, timeoutSecs: 60 });
  paying.catch(() => undefined); // awaited below
  await until('the payment held', async () => (await payee.port.lookupInvoice(paymentHash))?.state === 'HELD');
  await payee.port.settleInvoice(preimage);
  const inbound = await until('the payment received', async () => {
    const invoice = await payee.port.lookupInvoice(paymentHash);
    return invoice?.state === 'SETTLED' && invoice;
  });
  await until(
    'the end of the payment',
    async () => (await payer.port.lookupPayment(paymentHash))?.state !== 'IN_FLIGHT',
  );
  const outbound = await paying;
  const isPreimageRight =
    outbound.state === 'SUCCEEDED' && hex(createHash('sha256').update(outbound.preimage).digest()) === paymentHash;
  return {
    outbound: outbound.state,
    inbound: inbound.state === 'SETTLED' ? 'SUCCEEDED' : inbound.state,
    isPreimageRight,
    receivedMsat: inbound.heldMsat,
  };
}
