/** On programs that somebody brings, `BITCOIND_EXE` and `LDK_SERVER_EXE`: the life of a channel, and what ends on the chain. */
import { describe } from 'vitest';

import { portRestartScene, portRestartSuite } from '../contract/port/portSuite.js';
import type { Traits } from '../contract/port/portWorld.js';
import { describeChannelLife } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { blockSourceSuite } from '../support/daemons/blockSourceSuite.js';
import { bitcoindExe, startBitcoind } from '../support/daemons/bitcoind.js';
import { startBtcdPortWorld } from '../support/daemons/btcdPortWorld.js';
import { LND, startLndPortNode } from '../support/daemons/lndPortNode.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { startLnnodedPortNode } from '../support/daemons/lnnodedPortNode.js';
import type { PortStarter } from '../support/daemons/portProgram.js';
import { ldkServerExe, startLdkServer } from '../support/ldkServer/program.js';
import { LNNODED } from '../support/lnnodedPortWorld.js';
import { lnnodedOn } from '../support/lnnodedPrograms.js';

const lnnoded = lnnodedOn('bitcoind');
const hasBitcoind = bitcoindExe !== undefined;
const hasLnd = daemonBinary('lnd') !== undefined && daemonBinary('lncli') !== undefined;

/** Kills, reorganisations and forced closes, between two nodes of one kind. */
function contractOnBitcoind(traits: Traits, starter: PortStarter): void {
  const start = (names: readonly string[]) =>
    startBtcdPortWorld(Object.fromEntries(names.map((name) => [name, starter])), startBitcoind);
  const backend = { payer: traits, payee: traits, start };
  portRestartSuite(portRestartScene(backend), backend);
}

describe.skipIf(!hasBitcoind)('bitcoind that was brought, as a source of blocks', () => {
  blockSourceSuite(startBitcoind);
});

describe.skipIf(!hasBitcoind)('bitcoind that was brought', () => {
  describeChannelLife('bitcoind, lnnoded to lnnoded', { chain: startBitcoind, payer: lnnoded, payee: lnnoded });
});

describe.skipIf(!hasBitcoind || !hasLnd)('bitcoind that was brought, and lnd', () => {
  describeChannelLife('bitcoind, lnnoded to lnd', { chain: startBitcoind, payer: lnnoded, payee: startLnd });
});

describe.skipIf(!hasBitcoind)('lnnoded on bitcoind that was brought', () => {
  contractOnBitcoind(LNNODED, startLnnodedPortNode);
});

describe.skipIf(!hasBitcoind || !hasLnd)('lnd on bitcoind that was brought', () => {
  contractOnBitcoind(LND, startLndPortNode);
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
