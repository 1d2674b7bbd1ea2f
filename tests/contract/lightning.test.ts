/** The contract of the port on lnnoded, and what the connections of its nodes did meanwhile. */
import { afterAll, describe, expect, it } from 'vitest';

import { eventually } from '../support/eventually.js';
import type { LightningWorld } from '../support/lightningWorld.js';
import { lnnodedBackend } from '../support/lnnodedPortWorld.js';
import { portScene, portSuite } from './port/portSuite.js';

/** Times when the payer could not use its channels. */
const lost: number[] = [];
let connectedAt = 0;
let watcher: NodeJS.Timeout;

/** Looks at the payer's channels again and again, once all of them can be used. */
function watch(world: LightningWorld): void {
  connectedAt = Date.now();
  watcher = setInterval(() => {
    world
      .peer('payer')
      .client.listChannels({})
      .then(({ channels }) => {
        if (!channels.every(({ isUsable }) => isUsable)) lost.push(Date.now() - connectedAt);
      })
      .catch(() => lost.push(-1));
  }, 100);
}

const backend = lnnodedBackend({ ready: watch });
portSuite(portScene(backend), backend);

afterAll(() => {
  clearInterval(watcher);
});

describe('a connection', () => {
  it('never broke meanwhile, also beyond the time limit of connecting', async () => {
    await eventually('12 seconds', () => Date.now() - connectedAt > 12_000);
    expect(lost).toEqual([]);
  });
});
