/** A channel and a payment between two nodes that begin with nothing, told once for every kind of program. */
import { createHash } from 'node:crypto';

import { hex, msat } from '../../src/core/units.js';
import { invoiceRequest, newSecret } from './lightningWorld.js';
import type { NodeProgram, ProgramStage } from './programStage.js';

const CAPACITY_SATS = 1_000_000n;
const AMOUNT_MSAT = 25_000_000n;
const FEES_SATS = 100_000n;
const CHANNEL_DEPTH = 6;

/** What the two ends saw. */
export type ChannelPayment = {
  /** State of the payment at the payer. */
  readonly outbound: string;
  /** The same at the payee: SUCCEEDED once the payment is taken. */
  readonly inbound: string;
  readonly isPreimageRight: boolean;
  readonly receivedMsat: bigint;
};

/** Coins, then a channel that both ends call usable. */
async function openChannel({ chain, payer, payee, step, until }: ProgramStage): Promise<void> {
  const atTip = (node: NodeProgram): Promise<unknown> =>
    until({ what: `the ${node.name} at the tip` }, async () => {
      const { blockHeight, isSynced } = await node.port.getInfo();
      return isSynced && blockHeight === (await chain.tipHeight());
    });

  const address = await step({ what: 'an address of the payer' }, payer.newAddress);
  await step({ what: 'coins for the payer' }, () => chain.fund(address, CAPACITY_SATS + FEES_SATS));
  await step({ what: 'a block with the coins' }, () => chain.mine(1));
  await until({ what: 'the coins of the payer' }, async () => (await payer.confirmedSats()) > CAPACITY_SATS);
  await step({ what: 'the connection' }, () => payer.connect(payee));
  await step({ what: 'the opening of the channel' }, () => payer.openChannel(payee, CAPACITY_SATS));
  await step({ what: 'blocks on the channel' }, () => chain.mine(CHANNEL_DEPTH));
  await Promise.all([atTip(payer), atTip(payee)]);
  await until({ what: 'the channel usable at the payer' }, () => payer.hasUsableChannel(payee));
  await until({ what: 'the channel usable at the payee' }, () => payee.hasUsableChannel(payer));
}

/** Coins, channel, invoice, payment. */
export async function playChannelPayment(stage: ProgramStage): Promise<ChannelPayment> {
  await openChannel(stage);
  const { payer, payee, step, until } = stage;
  const { preimage, paymentHash } = newSecret();
  const request = invoiceRequest(paymentHash, { amountMsat: msat(AMOUNT_MSAT) });
  const { bolt11 } = await step({ what: 'the invoice' }, () => payee.port.createHoldInvoice(request));
  const paying = payer.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 1_000, timeoutSecs: 60 });
  paying.catch(() => undefined); // awaited below
  await until({ what: 'the payment held' }, async () => {
    return (await payee.port.lookupInvoice(paymentHash))?.state === 'HELD';
  });
  await step({ what: 'the settling' }, () => payee.port.settleInvoice(preimage));
  const inbound = await until({ what: 'INBOUND SUCCEEDED' }, async () => {
    const invoice = await payee.port.lookupInvoice(paymentHash);
    return invoice?.state === 'SETTLED' && invoice;
  });
  await until({ what: 'OUTBOUND SUCCEEDED' }, async () => {
    return (await payer.port.lookupPayment(paymentHash))?.state === 'SUCCEEDED';
  });
  const outbound = await step({ what: 'the answer to the payer' }, () => paying);
  const isPreimageRight =
    outbound.state === 'SUCCEEDED' && hex(createHash('sha256').update(outbound.preimage).digest()) === paymentHash;
  return {
    outbound: outbound.state,
    inbound: inbound.state === 'SETTLED' ? 'SUCCEEDED' : inbound.state,
    isPreimageRight,
    receivedMsat: inbound.heldMsat,
  };
}
