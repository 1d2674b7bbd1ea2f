/**
 * The contract of the Lightning port (src/lightning/node.ts), for every kind of node. What a backend does in its own way
 * is one of its traits, which are asserted here.
 */
import { beforeAll, describe } from 'vitest';

import { OURS, ranAgainst } from '../../support/interoperability.js';
import { frozenSuite } from './frozen.js';
import { invoiceSuite } from './invoices.js';
import { hopSuite, limitSuite } from './limits.js';
import { partsSuite, setSuite } from './parts.js';
import { paymentSuite, rivalSuite } from './payments.js';
import type { Backend, ChannelOptions } from './portWorld.js';
import { killSuite, restartSuite } from './restarts.js';
import { openScene, type Scene } from './scene.js';
import { timedOutSuite } from './timedOut.js';
import { vanishedPayerSuite } from './vanishedPayer.js';
import { watchSuite } from './watch.js';

const LONE_CHANNEL: ChannelOptions = {
  from: 'payer',
  to: 'payee',
  capacitySats: 5_000_000n,
  pushMsat: 1_000_000_000n,
};

/** A line of docs/interoperability.md for the group, or the file, that calls this. */
function record(scene: Scene, { payer, payee }: Backend, what: string): void {
  const ours = [payer, payee].map(({ backend }) => OURS[backend]);
  ranAgainst(async () => ({ ours, what, software: [...(await scene.world.software())] }));
}

/** Nodes and channels for `portSuite`. `other` stands beside payer and payee. */
export function portScene(backend: Backend): Scene {
  return openScene(backend, [
    { from: 'payer', to: 'payee', capacitySats: 2_000_000n, pushMsat: 500_000_000n },
    { from: 'other', to: 'payee', capacitySats: 1_000_000n },
    { from: 'payer', to: 'other', capacitySats: 1_000_000n },
  ]);
}

/** Promises about invoices and payments while the nodes run. */
export function portSuite(scene: Scene, backend: Backend): void {
  record(scene, backend, 'the contract of the port');
  invoiceSuite(scene, backend);
  paymentSuite(scene, backend);
  rivalSuite(scene);
  limitSuite(scene, backend);
  hopSuite(scene, backend);
  watchSuite(scene);
  partsSuite(scene);
}

/** Two nodes with one channel, for the promises that outlive their processes. */
export function portRestartScene(backend: Backend): Scene {
  return openScene(backend, [LONE_CHANNEL]);
}

/** Promises that outlive the nodes' processes, reorganisations and the channel itself; leaves no channel. */
export function portRestartSuite(scene: Scene, backend: Backend): void {
  record(scene, backend, 'the contract of the port: kills, reorganisations, frozen and vanished nodes');
  killSuite(scene, backend);
  restartSuite(scene, backend);
  frozenSuite(scene, backend);
  vanishedPayerSuite(scene, backend);
  describe('with a new channel', () => {
    beforeAll(() => scene.world.openChannels([LONE_CHANNEL]));
    timedOutSuite(scene, backend);
  });
}

/** What two nodes of different kinds promise each other, over two channels in which both have coins. */
export function portPairSuite(scene: Scene, backend: Backend): void {
  record(scene, backend, `the contract of the port: ${backend.payer.backend} pays ${backend.payee.backend}`);
  setSuite(scene);
  paymentSuite(scene, backend);
  limitSuite(scene, backend);
  watchSuite(scene);
  killSuite(scene, backend);
}
