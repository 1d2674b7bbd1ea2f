/** What 1,000 open swaps cost: a restart, and a block that touches three of them. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { sweepChain, watchChain } from '../../src/engine/chainWatcher.js';
import type { EngineContext } from '../../src/engine/context.js';
import { createReconciler } from '../../src/engine/reconcile.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { scripthash } from '../../src/liquid/electrumAnswers.js';
import { p2wshScriptPubKey } from '../../src/core/htlc.js';
import { isFunded, type Swap } from '../../src/core/swap.js';
import { createLogger } from '../../src/log.js';
import { findSwap, openSwapIds } from '../../src/store/swaps.js';
import { eventually } from '../support/eventually.js';
import { headerVector, startHostileElectrum, type HostileElectrum } from '../support/hostileElectrum.js';
import { insertMany, showFundings, statusOf, type Histories } from '../support/manySwaps.js';
import { report } from '../support/swapFixtures.js';
import { tempStore, type TempStore } from '../support/tempStore.js';
import { engineContext, nodeOf } from '../unit/engine/testContext.js';
import { printFigure, timed } from './figure.js';

const COUNT = 1_000;
const CHANGED = 3;
const log = createLogger('bench', 'silent');

let temp: TempStore;
let server: HostileElectrum;
let swaps: readonly Swap[];
let histories: Histories;
const opened: EngineContext[] = [];

/** An engine that was just started. */
function start(): EngineContext {
  const ctx = engineContext(temp, {
    chain: connectElectrum({ servers: [server.url], log }),
    lightning: nodeOf({
      lookupInvoice: (hash) => {
        const swap = swaps.find((each) => each.paymentHash === hash);
        const invoice = { ...report(swap?.payment === 'SETTLED' ? 'SETTLED' : 'CANCELED'), paymentHash: hash };
        const rest = { bolt11: '', amountMsat: swap?.priceMsat, label: '', expiresAt: ctx.now() };
        return Promise.resolve({ ...invoice, ...rest } as never);
      },
    }),
  });
  opened.push(ctx);
  return ctx;
}

beforeAll(async () => {
  temp = tempStore();
  server = await startHostileElectrum();
  swaps = insertMany(temp.store, COUNT, (n) => (n % 3 === 0 ? 'SETTLED' : 'CANCELED'));
  histories = showFundings(server, swaps);
  server.methods.set('blockchain.headers.subscribe', () => headerVector(432));
  const first = start();
  await sweepChain(first, createReconciler(first)); // writes the recovery bundles, once and for all
});
afterAll(async () => {
  for (const ctx of opened) ctx.chain.close();
  await server.close();
  temp[Symbol.dispose]();
});

it('restart and block', async () => {
  const plain = connectElectrum({ servers: [server.url], log });
  await plain.tip();
  const asking = await timed(async () => {
    const scripts = swaps.flatMap((swap) => (isFunded(swap) ? [p2wshScriptPubKey(swap.witnessScript)] : []));
    await Promise.all(scripts.map((script) => plain.history(script)));
  });
  plain.close();
  const ctx = start();
  const reconciler = createReconciler(ctx);
  const restart = await timed(async () => {
    await sweepChain(ctx, reconciler);
    await reconciler.idle();
  });
  printFigure(
    `restart with ${COUNT} open swaps until each was looked at`,
    { value: restart, unit: 'ms' },
    { what: 'asking the server for every history', value: asking },
  );

  const reading = cpuOf(() => {
    for (const id of openSwapIds(temp.store)) findSwap(temp.store, id);
    return Promise.resolve();
  });
  const readingMs = await reading;
  const before = server.requests.length;
  const stop = watchChain(ctx, reconciler, () => undefined);
  const blockMs = await cpuOf(async () => {
    await announceBlock(ctx);
    await sweepChain(ctx, reconciler);
    await reconciler.idle();
  });
  stop();
  const requests = server.requests.length - before;
  printFigure(
    `CPU of a block that touches ${CHANGED} of ${COUNT} open swaps`,
    { value: blockMs, unit: 'ms' },
    { what: 'reading all of them from the database', value: readingMs },
  );
  printFigure(
    'requests of that block',
    { value: requests, unit: 'requests' },
    { what: 'the changed scripts', value: CHANGED },
  );
  expect(requests).toBeGreaterThan(0);
});

async function cpuOf(run: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

async function announceBlock(ctx: EngineContext): Promise<void> {
  const changed = swaps.slice(500, 500 + CHANGED).flatMap((swap) => {
    return isFunded(swap) ? [scripthash(p2wshScriptPubKey(swap.witnessScript))] : [];
  });
  server.methods.set('blockchain.headers.subscribe', () => headerVector(433));
  for (const id of changed) histories.get(id)?.push({ tx_hash: 'ee'.repeat(32), height: 0 });
  for (const { notify } of server.connections) {
    notify('blockchain.headers.subscribe', [headerVector(433)]);
    for (const id of changed) notify('blockchain.scripthash.subscribe', [id, statusOf(histories, id)]);
  }
  await eventually('the new block', async () => ((await ctx.chain.tip()).height === 433 ? true : undefined));
}
