/** The contract of the Lightning port between lnd and lnnoded, in both directions over the same channels. */
import { afterAll, beforeAll, describe } from 'vitest';

import { portPairSuite } from '../contract/port/portSuite.js';
import type { Backend, PortWorld, Traits } from '../contract/port/portWorld.js';
import { openScene } from '../contract/port/scene.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcdPortWorld } from '../support/daemons/btcdPortWorld.js';
import { LND, startPrivateLndPortNode } from '../support/daemons/lndPortNode.js';
import { startLnnodedPortNode } from '../support/daemons/lnnodedPortNode.js';
import { LNNODED } from '../support/lnnodedPortWorld.js';

const isBuilt = ['btcd', 'lnd', 'lncli'].every((name) => daemonBinary(name as 'lnd') !== undefined);
/** Each side has a half of each. */
const CAPACITY = { capacitySats: 2_000_000n, pushMsat: 1_000_000_000n };

/** The same nodes with other names; its end is not theirs. */
function renamed(world: PortWorld, nameOf: (role: string) => string): PortWorld {
  return {
    ...world,
    node: (role) => world.node(nameOf(role)),
    halt: (role, signal) => world.halt(nameOf(role), signal),
    resume: (role) => world.resume(nameOf(role)),
    restart: (role, signal) => world.restart(nameOf(role), signal),
    freeze: (role, isFrozen) => {
      world.freeze(nameOf(role), isFrozen);
    },
    close: () => Promise.resolve(),
  };
}

describe.skipIf(!isBuilt)('on btcd', () => {
  let world: PortWorld | undefined;
  beforeAll(async () => {
    world = await startBtcdPortWorld({ lnd: startPrivateLndPortNode, lnnoded: startLnnodedPortNode });
    await world.openChannels([
      { from: 'lnd', to: 'lnnoded', ...CAPACITY },
      { from: 'lnnoded', to: 'lnd', ...CAPACITY },
    ]);
  });
  afterAll(async () => {
    await world?.close();
  });

  const between = (payer: Traits, payee: Traits): Backend => ({
    payer,
    payee,
    start: () => {
      if (world === undefined) throw new Error('the world is not open');
      return Promise.resolve(renamed(world, (role) => (role === 'payer' ? payer : payee).backend));
    },
  });
  for (const backend of [between(LND, LNNODED), between(LNNODED, LND)]) {
    describe(`${backend.payer.backend} pays ${backend.payee.backend}`, () => {
      portPairSuite(openScene(backend, []), backend);
    });
  }
});
