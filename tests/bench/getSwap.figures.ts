/** What GetSwap costs over an empty call on the same stack: a real seller of a real world. */
import { HealthDefinition } from 'nice-grpc-server-health';
import { createChannel, createClient } from 'nice-grpc';
import { expect, it } from 'vitest';

import { SwapServiceDefinition } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { driveTo, openBuyer, startTestPurchase, startTestWorld } from '../support/testWorld.js';
import { medianOf, printFigure } from './figure.js';

const CALLS = 400;

it('GetSwap of a funded swap', async () => {
  const world = await startTestWorld();
  const buyer = await openBuyer(world);
  const record = await driveTo(buyer, await startTestPurchase(world, buyer), 'created');
  await world.mine(1);
  const channel = createChannel(world.file().swapd.address);
  const [swaps, health] = [createClient(SwapServiceDefinition, channel), createClient(HealthDefinition, channel)];
  if (!('swapId' in record.progress)) throw new Error(`the purchase is ${record.progress.step}`);
  const swapId = Buffer.from(record.progress.swapId, 'hex');
  expect((await swaps.getSwap({ swapId })).swap?.fundingTxid).toHaveLength(32);
  await medianOf(50, () => health.check({ service: '' }));
  const empty = await medianOf(CALLS, () => health.check({ service: '' }));
  const full = await medianOf(CALLS, () => swaps.getSwap({ swapId }));
  printFigure('GetSwap of a funded swap', { value: full, unit: 'ms' }, { what: 'an empty call', value: empty });
  channel.close();
  buyer.close();
  await world.close();
});
