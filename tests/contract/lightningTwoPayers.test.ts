/** Two payers of one invoice, whose payments reach the payee in the same breath. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { InvoiceState, PaymentState, type Payment } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';

const LONG_MS = 180_000;
const AMOUNT_MSAT = 1_000_000n;

let world: LightningWorld;

beforeAll(async () => {
  world = await startLightningWorld(['one', 'two', 'hop', 'payee']);
  for (const from of ['one', 'two']) await world.openChannel({ from, to: 'hop', capacitySats: 500_000n });
  await world.openChannel({ from: 'hop', to: 'payee', capacitySats: 1_000_000n });
}, LONG_MS);

afterAll(async () => {
  await world.close();
});

it(
  'one of them pays, and the invoice says so',
  async () => {
    const [hop, payee] = [world.peer('hop'), world.peer('payee')];
    const invoice = async () =>
      payee.client.createInvoice({ amountMsat: AMOUNT_MSAT, expirySecs: 600, description: 'x' });
    const pay = async (name: string, bolt11: string): Promise<Payment | undefined> => {
      const limits = { maxFeeMsat: 10_000n, maxTotalCltvDelta: 500, timeoutSecs: 60 };
      return (await world.peer(name).client.payInvoice({ bolt11, ...limits })).payment;
    };
    const atHop = (count: number) =>
      eventually(`${count} payments at the hop`, async () => {
        const { channels } = await hop.client.listChannels({});
        const id = Buffer.from(payee.process.ready.node_id, 'hex');
        const inbound = channels.filter(({ nodeId }) => !nodeId.equals(id));
        return inbound.reduce((sum, { pendingHtlcs }) => sum + pendingHtlcs, 0) === count;
      });

    const [first, both] = [await invoice(), await invoice()];
    const { pid } = payee.process;
    if (pid === undefined) throw new Error('a running node has a process');
    process.kill(pid, 'SIGSTOP');
    const early = pay('one', first.bolt11);
    await atHop(1);
    const rivals = [pay('one', both.bolt11), pay('two', both.bolt11)]; // wait at the hop, and go on together
    await atHop(3);
    process.kill(pid, 'SIGCONT');

    expect(await early).toMatchObject({ state: PaymentState.SUCCEEDED });
    const states = (await Promise.all(rivals)).map((payment) => payment?.state);
    expect(states.sort()).toEqual([PaymentState.SUCCEEDED, PaymentState.FAILED]);
    const found = await payee.client.lookupInvoice({ paymentHash: both.paymentHash });
    expect(found.invoice).toMatchObject({ state: InvoiceState.SETTLED, heldMsat: AMOUNT_MSAT, cancelReason: '' });
  },
  LONG_MS,
);
