/** The life of a channel on daemons that nobody here wrote: btcd as the chain, lnd at one end or at both. */
import { describe } from 'vitest';

import { describeChannelLife } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd } from '../support/daemons/btcd.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { startLnnoded } from '../support/lnnodedPrograms.js';
import { startStage } from '../support/stage.js';

const isBuilt = daemonBinary('btcd') !== undefined && daemonBinary('lnd') !== undefined;

describe.skipIf(!isBuilt)('on real daemons', () => {
  describeChannelLife('btcd, lnnoded to lnnoded', () =>
    startStage({ chain: startBtcd, payer: startLnnoded, payee: startLnnoded }),
  );
  describeChannelLife('btcd, lnd to lnd', () => startStage({ chain: startBtcd, payer: startLnd, payee: startLnd }));
  describeChannelLife('btcd, lnnoded opens and pays to lnd', () =>
    startStage({ chain: startBtcd, payer: startLnnoded, payee: startLnd }),
  );
  describeChannelLife('btcd, lnd opens and pays to lnnoded', () =>
    startStage({ chain: startBtcd, payer: startLnd, payee: startLnnoded }),
  );
});
