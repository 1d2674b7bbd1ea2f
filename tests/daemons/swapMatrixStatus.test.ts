/** What the operator of a seller, and a buyer, are told about an lnd that cannot be used: the real programs in its states. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse, stringify } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { initDataDir } from '../../src/buyer/dataDir.js';
import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import { sellerProcess, type SellerProcess } from '../crash/sellerProcess.js';
import { bakeMacaroon, rightsOf } from '../support/daemons/bakedMacaroon.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd } from '../support/daemons/btcd.js';
import { tailOf } from '../support/daemons/child.js';
import { startFeeServer } from '../support/daemons/feeServer.js';
import { startLockedLnd, type LockedLnd } from '../support/daemons/lockedLnd.js';
import { configureSeller, type SellerPlace } from '../support/daemons/swapSeller.js';
import { startLiquid, type LiquidWorld } from '../support/daemons/swapWorld.js';
import { OURS, ranAgainst, type Software } from '../support/interoperability.js';
import { openProgramSet, type ProgramSet } from '../support/programStage.js';
import { startSwap } from '../support/swapProgram.js';

const isBuilt = (['btcd', 'lnd', 'lncli'] as const).every((name) => daemonBinary(name) !== undefined);
const SLOW_MS = 300_000;
const LACKING = 'uri:/invoicesrpc.Invoices/SettleInvoice';

describe.skipIf(!isBuilt)('an lnd that cannot be used', { timeout: SLOW_MS }, () => {
  let programs: ProgramSet;
  let liquid: LiquidWorld;
  let lnd: LockedLnd;
  let buyersMacaroon: string;
  let software: readonly Software[];
  let place: SellerPlace;
  let swapd: SellerProcess;
  let admin: RpcConnection<AdminClient>;

  beforeAll(async () => {
    programs = openProgramSet('swap-status-');
    const [bitcoin, opened] = await Promise.all([
      programs.start('btcd', startBtcd),
      programs.start('liquid', startLiquid),
    ]);
    liquid = opened;
    initDataDir(join(programs.dir, 'buyer'));
    software = bitcoin.software;
    lnd = await programs.start('lnd', async (at) => {
      const fees = await startFeeServer();
      at.started({ log: () => '', stop: () => fees.close() });
      return await startLockedLnd(at, bitcoin, fees.url);
    });
    buyersMacaroon = await bakeMacaroon(lnd, 'swap.macaroon');
    await programs.start('swapd', async ({ dir, started }) => {
      place = await configureSeller(dir, liquid, await section());
      const logFile = join(dir, 'swapd.log');
      const electrumUrl = `tcp://${liquid.electrum.host}:${liquid.electrum.port}`;
      swapd = sellerProcess({ config: place.files.config, electrumUrl, logFile });
      const token = readFileSync(place.files.tokenFile, 'utf8').trim();
      admin = openAdmin({ address: adminAddress(), token });
      started({
        log: () => tailOf(logFile),
        stop: async () => {
          admin.close();
          await swapd.down();
        },
      });
      await swapd.up();
    });
  }, SLOW_MS);
  afterAll(async () => {
    await programs.close();
  }, SLOW_MS);

  ranAgainst(() => ({
    ours: [OURS.swaps, OURS.lnd],
    what: 'what operator and buyer are told',
    software: [...software, lnd.software],
  }));

  const section = async (rights = rightsOf('swapd.macaroon')): Promise<Record<string, string>> => ({
    backend: 'lnd',
    address: lnd.rpcAddress,
    macaroon_file: await bakeMacaroon(lnd, 'swapd.macaroon', rights),
    tls_cert_file: lnd.tlsCertFile,
  });
  const adminAddress = (): string => `127.0.0.1:${place.ports.swapd_admin}`;
  /** `swap admin status`, once swapd has noticed. */
  const status = async (reason: string | undefined): Promise<string> => {
    await programs.until({ what: reason ?? 'a seller that is well' }, async () => {
      const { modeReasons } = await admin.client.getStatus({});
      return reason === undefined ? modeReasons.length === 0 : modeReasons.some((each) => each.includes(reason));
    });
    const login = ['--admin', adminAddress(), '--admin-token-file', place.files.tokenFile];
    const { code, stdout } = await startSwap(['admin', 'status', ...login]).ended;
    expect(code).toBe(0);
    return stdout;
  };
  /** `swap buy` of somebody whose own node it is. */
  const buy = async (macaroonFile: string): Promise<string> => {
    const { host, port } = liquid.electrum;
    const { code, stderr } = await startSwap([
      ...['buy', '--asset', liquid.asset, '--amount', '10', '--data-dir', join(programs.dir, 'buyer')],
      ...['--seller', `127.0.0.1:${place.ports.swapd_grpc}`, '--electrum', `tcp://${host}:${port}`],
      ...['--lightning-backend', 'lnd', '--lightning-address', lnd.rpcAddress],
      ...['--lightning-macaroon-file', macaroonFile, '--lightning-tls-cert', lnd.tlsCertFile],
    ]).ended;
    expect(code).toBe(4);
    return stderr;
  };

  it('has no channel: the node is ready, and nothing can be sold', async () => {
    const shown = await status(undefined);
    expect(shown).toMatch(/Lightning +ready/);
    expect(shown).toMatch(/can receive +0 sat.*: nothing can be sold; no usable channel can receive anything/);
  });
  it('has a macaroon that cannot pay: a buyer is told which right it lacks', async () => {
    const { macaroon_file: macaroon = '' } = await section();
    expect(await buy(macaroon)).toContain('the macaroon lacks the right to /routerrpc.Router/SendPaymentV2');
  });
  it('is stopped: operator and buyer are told that nobody listens', async () => {
    await lnd.kill();
    const shown = await status('no connection');
    expect(shown).toMatch(/modes +LIGHTNING\n.*no connection: is it running, is the address right/);
    expect(shown).toMatch(/Lightning +NOT ready/);
    expect(await buy(buyersMacaroon)).toContain('lnd: GetInfo failed: no connection: is it running');
  });
  it('is locked: operator and buyer are told to unlock it, and then all is well', async () => {
    await lnd.start();
    expect(await status('locked')).toMatch(/modes +LIGHTNING\n.*its wallet is locked: unlock it \(lncli unlock\)/);
    expect(await buy(buyersMacaroon)).toContain('its wallet is locked: unlock it (lncli unlock)');
    await lnd.unlock();
    expect(await status(undefined)).toMatch(/modes +all is well/);
  });
  it('has a macaroon that cannot settle: the operator is told so after the restart', async () => {
    const lightning = await section(rightsOf('swapd.macaroon').filter((right) => right !== LACKING));
    const { config } = place.files;
    writeFileSync(config, stringify({ ...parse(readFileSync(config, 'utf8')), lightning }), { mode: 0o600 });
    await swapd.down();
    await swapd.up();
    const shown = await status('the macaroon lacks');
    expect(shown).toMatch(/modes +LIGHTNING\n.*lacks the right to \/invoicesrpc.Invoices\/SettleInvoice; docs/);
  });
});
