/** What CreateSwap costs over the sum of its parts, and how long it keeps the event loop from everything else. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { isFunded } from '../../src/core/swap.js';
import type { EngineContext } from '../../src/engine/context.js';
import { createReconciler } from '../../src/engine/reconcile.js';
import { findSwap } from '../../src/store/swaps.js';
import { EngineWorld } from '../support/engineWorld.js';
import { PRICE } from '../support/swapFixtures.js';
import { insertNew, nthIntent } from '../support/tempStore.js';
import { hashPreimage } from '../../src/core/htlc.js';
import { unixSecs } from '../../src/core/units.js';
import { printFigure } from './figure.js';

const SWAPS = 12;
const NS_PER_MS = 1e6;

/** The engine's parts with a stopwatch around each that does what cannot be avoided. */
function measured(ctx: EngineContext): { readonly ctx: EngineContext; readonly spent: () => number } {
  let spent = 0;
  const watch = async <T>(run: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await run();
    } finally {
      spent += performance.now() - start;
    }
  };
  const { blind, chain, lightning, generation, wallet } = ctx;
  const parts: EngineContext = {
    ...ctx,
    blind: (spec) => watch(() => blind(spec)),
    chain: {
      ...chain,
      broadcast: (raw) => watch(() => chain.broadcast(raw)),
      feeRate: () => watch(() => chain.feeRate()),
      history: (script, options) => watch(() => chain.history(script, options)),
    },
    lightning: { ...lightning, createHoldInvoice: (request) => watch(() => lightning.createHoldInvoice(request)) },
    wallet: { ...wallet, sync: () => watch(() => wallet.sync()) },
    generation: {
      ...generation,
      commit: (body) => {
        const start = performance.now();
        const result = generation.commit(body);
        spent += performance.now() - start;
        return result;
      },
    },
  };
  return { ctx: parts, spent: () => spent };
}

it('fundings with two blinded changes', async () => {
  await using world = await EngineWorld.open();
  for (let i = 0; i < SWAPS; i += 1)
    await world.deposit([
      [world.token, 1_000n],
      ['lbtc', 20_000n],
    ]);
  const { ctx, spent } = measured(world.ctx);
  const reconciler = createReconciler(ctx);

  const idle = monitorEventLoopDelay({ resolution: 1 });
  idle.enable();
  await pause(1_500);
  idle.disable();

  const busy = monitorEventLoopDelay({ resolution: 1 });
  let whole = 0;
  busy.enable();
  for (let n = 0; n < SWAPS; n += 1) {
    const { id } = nthIntent(n);
    const start = performance.now();
    const times = { createdAt: unixSecs(world.now), fundBy: unixSecs(world.now + 120) };
    const paymentHash = hashPreimage(world.preimage(id));
    insertNew(ctx.store, nthIntent(n, { paymentHash, assetId: world.token, priceMsat: PRICE, ...times }));
    await reconciler.reconcile(id);
    whole += performance.now() - start;
    const swap = findSwap(ctx.store, id);
    expect(swap !== undefined && isFunded(swap)).toBe(true);
  }
  busy.disable();
  printFigure(
    'CreateSwap from its first commit to the broadcast funding',
    { value: whole / SWAPS, unit: 'ms' },
    { what: 'invoice, wallet look, fee rate, blinding, commits and broadcast', value: spent() / SWAPS },
  );
  printFigure(
    'event loop stall p99 during fundings',
    { value: busy.percentile(99) / NS_PER_MS, unit: 'ms' },
    { what: 'p99 of the idle process', value: idle.percentile(99) / NS_PER_MS },
  );
});
