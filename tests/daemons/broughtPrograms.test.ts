/** The life of a channel on programs that somebody brings: `BITCOIND_EXE`, `LDK_SERVER_EXE`. */
import { describe } from 'vitest';

import { describeChannelLife } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { bitcoindExe, startBitcoind } from '../support/daemons/bitcoind.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { ldkServerExe, startLdkServer } from '../support/ldkServer/program.js';
import { startLnnoded } from '../support/lnnodedPrograms.js';
import { startStage } from '../support/stage.js';

const hasBitcoind = bitcoindExe !== undefined;

describe.skipIf(!hasBitcoind)('bitcoind that was brought', () => {
  describeChannelLife('bitcoind, lnnoded to lnnoded', () =>
    startStage({ chain: startBitcoind, payer: startLnnoded, payee: startLnnoded }),
  );
});

describe.skipIf(!hasBitcoind || daemonBinary('lnd') === undefined)('bitcoind that was brought, and lnd', () => {
  describeChannelLife('bitcoind, lnnoded to lnd', () =>
    startStage({ chain: startBitcoind, payer: startLnnoded, payee: startLnd }),
  );
});

describe.skipIf(!hasBitcoind || ldkServerExe === undefined)('ldk-server that was brought', () => {
  describeChannelLife('bitcoind, lnnoded to ldk-server', () =>
    startStage({ chain: startBitcoind, payer: startLnnoded, payee: startLdkServer }),
  );
  describeChannelLife('bitcoind, ldk-server to lnnoded', () =>
    startStage({ chain: startBitcoind, payer: startLdkServer, payee: startLnnoded }),
  );
});
