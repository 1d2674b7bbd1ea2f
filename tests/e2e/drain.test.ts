/** SIGTERM: what is under way is answered, nothing new is taken, and the next start goes on. */
import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClient, type Channel } from 'nice-grpc';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { createSwapRequest } from '../../src/buyer/purchase.js';
import { SwapServiceDefinition } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { query, startDaemon } from '../support/sellerFiles.js';
import { eventually, openBuyer, startTestPurchase, startTestWorld, type TestWorld } from '../support/testWorld.js';

const MOST_MS = 15_000;

let world: TestWorld;
let channel: Channel;

beforeAll(async () => {
  world = await startTestWorld();
  await world.ask({ command: 'stop', name: 'swapd' });
  channel = createChannel(world.file().swapd.address, ChannelCredentials.createInsecure());
});
afterAll(async () => {
  channel.close();
  await world.close();
});

it('answers the CreateSwap that is under way, refuses others, ends with 0, and the swap goes on after the next start', async () => {
  const first = await startDaemon(world, {});
  const buyer = await openBuyer(world);
  const client = createClient(SwapServiceDefinition, channel);
  const request = createSwapRequest(buyer.buyer, await startTestPurchase(world, buyer));
  const answer = client.createSwap(request);
  await eventually('the swap is stored', () => Promise.resolve(query(world, 'SELECT 1 FROM swaps')[0]));
  const since = performance.now();
  const stopped = first.stop();
  const { swap } = await answer;
  expect(swap?.fundingTxid).toHaveLength(32);
  await stopped;
  expect(await first.gone).toBe('0');
  expect(performance.now() - since).toBeLessThan(MOST_MS);
  await expect(client.listOffers({})).rejects.toThrow('UNAVAILABLE');

  const second = await startDaemon(world, {});
  const again = await eventually('the same answer', async () => (await client.createSwap(request)).swap);
  expect(again.fundingTxid).toEqual(swap?.fundingTxid);
  buyer.close();
  await second.stop();
});
