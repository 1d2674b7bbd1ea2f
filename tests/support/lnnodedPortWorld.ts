/** lnnoded as a backend of the port's contract, on the sandbox's Bitcoin chain. */
import { existsSync, readFileSync } from 'node:fs';

import { pubkey } from '../../src/core/units.js';
import type { Backend, PortNode, PortWorld, Traits } from '../contract/port/portWorld.js';
import type { Software } from './interoperability.js';
import { amountOf, putTogether, takeApart } from './bolt11Parts.js';
import { startLightningWorld, type LightningWorld, type Peer } from './lightningWorld.js';
import { lnnodedKey } from './lnnodedKey.js';
import type { LnnodedProcess } from './lnnodedProcess.js';

const TAIL_LINES = 20;

export const LNNODED: Traits = {
  backend: 'lnnoded',
  finalCltv: { taken: [24, 42, 144], refused: [23, 145] },
  givesBackBlocksEarly: 21,
  closesBlocksEarly: 18,
  leastCap: (finalCltv, hops) => finalCltv + Math.max(hops, 1),
  blocksAdded: 2,
  blocksOverCap: 1,
  hop: { cltvDelta: 72, baseFeeMsat: 1000n, feeMsat: () => 1000n },
  belowFee: ['FAILED'],
  reasons: {
    rejected: 'RECIPIENT_REJECTED',
    afterTimeout: ['USER_ABANDONED'],
    afterRestart: 'USER_ABANDONED',
    noRoute: 'ROUTE_NOT_FOUND',
  },
  cancelReasons: {
    byUser: 'CANCELED_BY_USER',
    whileHeld: 'CANCELED_BY_USER',
    expired: 'EXPIRED',
    deadline: 'DEADLINE',
  },
  lateArrivals: ['CANCELED'],
  resolvedAfterBlocks: { least: 1, most: 12 },
  callMs: 10_000,
};

/** What a test does with lnnoded beside the port. @param client of its present life. */
export const lnnodedExtras = (
  { dataDir, ready }: LnnodedProcess,
  client: () => Peer['client'],
): Pick<PortNode, 'signAnew' | 'pendingHtlcs'> => ({
  signAnew: (bolt11, amountMsat) => {
    const parts = { ...takeApart(bolt11), amount: amountOf(amountMsat) };
    return Promise.resolve(putTogether(parts, lnnodedKey(dataDir, ready.node_id)));
  },
  pendingHtlcs: async () => {
    const { channels } = await client().listChannels({});
    return channels.reduce((sum, { pendingHtlcs }) => sum + pendingHtlcs, 0);
  },
});

const portNode = (peer: Peer): PortNode => ({
  traits: LNNODED,
  nodeId: pubkey(peer.process.ready.node_id),
  port: peer.port,
  ...lnnodedExtras(peer.process, () => peer.client),
});

/** LDK as the nodes name it. */
const ldkOf = (world: LightningWorld, names: readonly string[]): Promise<Software[]> =>
  Promise.all(
    names.map(async (name) => {
      const { ldkVersion: version } = await world.peer(name).client.getNodeInfo({});
      return { program: 'LDK', version };
    }),
  );

/** A world of the port on nodes that a test may also use in lnnoded's own way. */
function portWorldOf(world: LightningWorld, names: readonly string[]): PortWorld {
  const { chain } = world;
  return {
    ...world,
    software: () => ldkOf(world, names),
    node: (name) => portNode(world.peer(name)),
    tipHeight: () => Promise.resolve(chain.tip.height),
    mempoolSize: () => Promise.resolve(chain.mempoolTxids().length),
    openChannels: async (channels) => {
      for (const channel of channels) await world.openChannel(channel);
    },
    reorg: async (depth) => {
      chain.reorg(depth);
      await world.caughtUp();
    },
    freeze: (name, isFrozen) => {
      world.peer(name).process.freeze(isFrozen);
    },
    tails: () =>
      names
        .map((name) => {
          const { logFile } = world.peer(name).process;
          const lines = existsSync(logFile) ? readFileSync(logFile, 'utf8').trimEnd().split('\n') : [];
          return `--- the end of the log of ${name} ---\n${lines.slice(-TAIL_LINES).join('\n')}`;
        })
        .join('\n'),
  };
}

type Hooks = {
  /** Hears of the world behind the port, once the channels are open. */
  readonly ready?: (world: LightningWorld) => void;
};

/** lnnoded pays lnnoded. */
export function lnnodedBackend({ ready }: Hooks = {}): Backend {
  let world: LightningWorld | undefined;
  return {
    payer: LNNODED,
    payee: LNNODED,
    start: async (names) => {
      world = await startLightningWorld(names);
      return portWorldOf(world, names);
    },
    ready: () => {
      if (world !== undefined) ready?.(world);
    },
  };
}
