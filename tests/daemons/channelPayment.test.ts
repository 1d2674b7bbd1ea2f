/** The life of a channel on daemons that nobody here wrote: btcd as the chain, lnd at one end or at both. */
import { describe } from 'vitest';

import { describeChannelLife } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd } from '../support/daemons/btcd.js';
import type { FullNode } from '../support/daemons/fullNode.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { lnnodedOn } from '../support/lnnodedPrograms.js';
import type { Starters } from '../support/programStage.js';

const isBuilt = daemonBinary('btcd') !== undefined && daemonBinary('lnd') !== undefined;
const lnnoded = lnnodedOn('bitcoind');

/** Every combination of programs that the scenario is played with. */
const KINDS: Readonly<Record<string, Starters<FullNode>>> = {
  'btcd, lnnoded to lnnoded': { chain: startBtcd, payer: lnnoded, payee: lnnoded },
  'btcd, lnd to lnd': { chain: startBtcd, payer: startLnd, payee: startLnd },
  'btcd, lnnoded opens and pays to lnd': { chain: startBtcd, payer: lnnoded, payee: startLnd },
  'btcd, lnd opens and pays to lnnoded': { chain: startBtcd, payer: startLnd, payee: lnnoded },
};

describe.skipIf(!isBuilt)('on real daemons', () => {
  for (const [title, starters] of Object.entries(KINDS)) describeChannelLife(title, starters);
});
