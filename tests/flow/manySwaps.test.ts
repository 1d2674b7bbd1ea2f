import { afterAll, beforeAll, expect, it } from 'vitest';

import { watchChain, sweepChain } from '../../src/engine/chainWatcher.js';
import type { EngineContext } from '../../src/engine/context.js';
import { createReconciler, type Reconciler } from '../../src/engine/reconcile.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { createLogger } from '../../src/log.js';
import { eventually } from '../support/eventually.js';
import { headerVector, startHostileElectrum, type HostileElectrum } from '../support/hostileElectrum.js';
import { insertMany, showFundings, statusOf, type Histories } from '../support/manySwaps.js';
import { report } from '../support/swapFixtures.js';
import { tempStore, type TempStore } from '../support/tempStore.js';
import { engineContext, nodeOf } from '../unit/engine/testContext.js';

const COUNT = 1_000;
/** Invoices that can still be paid; the others were canceled, or paid and never claimed. */
const OPEN = 8;

let temp: TempStore;
let server: HostileElectrum;
let histories: Histories;
let ctx: EngineContext;
let reconciler: Reconciler;
const asked: string[] = [];

beforeAll(async () => {
  temp = tempStore();
  server = await startHostileElectrum();
  const swaps = insertMany(temp.store, COUNT, (n) => (n < OPEN ? 'OPEN' : n % 3 === 0 ? 'SETTLED' : 'CANCELED'));
  histories = showFundings(server, swaps);
  server.methods.set('blockchain.headers.subscribe', () => headerVector(432));
  const log = createLogger('test', 'silent');
  ctx = engineContext(temp, {
    chain: connectElectrum({ servers: [server.url], log }),
    lightning: nodeOf({
      lookupInvoice: (hash) => {
        asked.push(hash);
        const swap = swaps.find((each) => each.paymentHash === hash);
        if (swap === undefined) throw new Error(`nobody made ${hash}`);
        const state = swap.payment === 'SETTLED' ? 'SETTLED' : swap.payment === 'CANCELED' ? 'CANCELED' : 'OPEN';
        const invoice = { ...report(state), paymentHash: hash, bolt11: '', amountMsat: swap.priceMsat, label: '' };
        return Promise.resolve({ ...invoice, expiresAt: ctx.now() } as never);
      },
    }),
  });
  reconciler = createReconciler(ctx);
  await sweepChain(ctx, reconciler);
  await reconciler.idle();
});
afterAll(async () => {
  ctx.chain.close();
  await server.close();
  temp[Symbol.dispose]();
});

it('costs only the changed scripts when a block comes, with 1,000 open swaps', async () => {
  expect(server.requests.filter(({ method }) => method.endsWith('get_history')).length).toBeGreaterThanOrEqual(COUNT);
  const changed = [...histories.keys()].slice(500, 503);
  server.methods.set('blockchain.headers.subscribe', () => headerVector(433));
  const stop = watchChain(ctx, reconciler, () => undefined);
  const [before, lookups] = [server.requests.length, asked.length];
  for (const id of changed) histories.get(id)?.push({ tx_hash: 'ee'.repeat(32), height: 0 });
  for (const { notify } of server.connections) {
    notify('blockchain.headers.subscribe', [headerVector(433)]);
    for (const id of changed) notify('blockchain.scripthash.subscribe', [id, statusOf(histories, id)]);
  }
  await eventually('the new block', async () => ((await ctx.chain.tip()).height === 433 ? true : undefined));
  await sweepChain(ctx, reconciler);
  await reconciler.idle();
  stop();
  const methods = server.requests.slice(before).map(({ method }) => method);
  const histories3 = methods.filter((method) => method.endsWith('get_history'));
  expect(histories3.length).toBeGreaterThanOrEqual(changed.length);
  expect(methods.length, methods.join(' ')).toBeLessThanOrEqual(4 * changed.length + 4);
  // The invoices that can still be paid, and those whose script changed.
  expect(asked.length - lookups).toBeLessThanOrEqual(2 * (OPEN + changed.length));
}, 60_000);
