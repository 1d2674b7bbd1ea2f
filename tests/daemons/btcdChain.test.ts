/** btcd as lnnoded's source of blocks. */
import { describe } from 'vitest';

import { daemonBinary } from '../support/daemons/binaries.js';
import { blockSourceSuite } from '../support/daemons/blockSourceSuite.js';
import { startBtcd } from '../support/daemons/btcd.js';

describe.skipIf(daemonBinary('btcd') === undefined)('btcd as a source of blocks', () => {
  blockSourceSuite(startBtcd);
});
