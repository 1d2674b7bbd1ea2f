/** The contract of the Lightning port on lnd and btcd: what outlives their processes. */
import { describe } from 'vitest';

import { portRestartScene, portRestartSuite } from '../contract/port/portSuite.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { LND_BACKEND } from '../support/daemons/lndPortWorld.js';

const isBuilt = daemonBinary('btcd') !== undefined && daemonBinary('lnd') !== undefined;

describe.skipIf(!isBuilt)('lnd', () => {
  portRestartSuite(portRestartScene(LND_BACKEND), LND_BACKEND);
});
