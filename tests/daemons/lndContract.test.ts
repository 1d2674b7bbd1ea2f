/** The contract of the Lightning port on lnd and btcd. */
import { describe } from 'vitest';

import { portScene, portSuite } from '../contract/port/portSuite.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { LND_BACKEND } from '../support/daemons/lndPortWorld.js';

const isBuilt = daemonBinary('btcd') !== undefined && daemonBinary('lnd') !== undefined;

describe.skipIf(!isBuilt)('lnd', () => {
  portSuite(portScene(LND_BACKEND), LND_BACKEND);
});
