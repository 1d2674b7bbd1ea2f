/** The life of a channel on programs that somebody brings: `BITCOIND_EXE`, `LDK_SERVER_EXE`. */
import { describe } from 'vitest';

import { describeChannelLife } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { blockSourceSuite } from '../support/daemons/blockSourceSuite.js';
import { bitcoindExe, startBitcoind } from '../support/daemons/bitcoind.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { ldkServerExe, startLdkServer } from '../support/ldkServer/program.js';
import { lnnodedOn } from '../support/lnnodedPrograms.js';

const lnnoded = lnnodedOn('bitcoind');
const hasBitcoind = bitcoindExe !== undefined;

describe.skipIf(!hasBitcoind)('bitcoind that was brought, as a source of blocks', () => {
  blockSourceSuite(startBitcoind);
});

describe.skipIf(!hasBitcoind)('bitcoind that was brought', () => {
  describeChannelLife('bitcoind, lnnoded to lnnoded', { chain: startBitcoind, payer: lnnoded, payee: lnnoded });
});

describe.skipIf(!hasBitcoind || daemonBinary('lnd') === undefined)('bitcoind that was brought, and lnd', () => {
  describeChannelLife('bitcoind, lnnoded to lnd', { chain: startBitcoind, payer: lnnoded, payee: startLnd });
});

describe.skipIf(!hasBitcoind || ldkServerExe === undefined)('ldk-server that was brought', () => {
  describeChannelLife('bitcoind, lnnoded to ldk-server', {
    chain: startBitcoind,
    payer: lnnoded,
    payee: startLdkServer,
  });
  describeChannelLife('bitcoind, ldk-server to lnnoded', {
    chain: startBitcoind,
    payer: startLdkServer,
    payee: lnnoded,
  });
});
