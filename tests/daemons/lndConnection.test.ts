/** What keeps lnd from serving, and the one sentence that says so. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createSeed, createWallet, unauthenticatedLndGrpc, unlockWallet } from 'lightning';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkAtStart } from '../../src/lightning/fitness.js';
import { connectLnd } from '../../src/lightning/lnd.js';
import type { BitcoinNetwork, LightningNode, NodeRole } from '../../src/lightning/node.js';
import { createLogger } from '../../src/log.js';
import { bakeMacaroon, rightsOf } from '../support/daemons/bakedMacaroon.js';
import { builtDaemon, daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd, startEmptyBtcd } from '../support/daemons/btcd.js';
import { isPortTaken, startChild } from '../support/daemons/child.js';
import { startFeeServer, type FeeServer } from '../support/daemons/feeServer.js';
import type { FullNode } from '../support/daemons/fullNode.js';
import { LndProcess } from '../support/daemons/lnd.js';
import { eventually } from '../support/eventually.js';
import { onFreePorts } from '../support/freePort.js';
import { OURS, ranAgainst } from '../support/interoperability.js';
import { newSecret } from '../support/lightningWorld.js';
import { makeTempDir } from '../support/tempDir.js';

const isBuilt = ['btcd', 'lnd', 'lncli'].every((name) => daemonBinary(name as 'lnd') !== undefined);
const SLOW = 180_000;
const log = createLogger('test', 'silent');

describe.skipIf(!isBuilt)('a start-up check of lnd', { timeout: SLOW }, () => {
  const dir = makeTempDir('lnd-connection-');
  let fees: FeeServer;
  let chain: FullNode;
  let node: LndProcess;
  beforeAll(async () => {
    fees = await startFeeServer();
    chain = await startBtcd({ dir: join(dir, 'btcd') });
    node = new LndProcess({ dir, name: 'node', chain, feeUrl: fees.url });
    await node.start();
  }, SLOW);
  afterAll(async () => {
    await node.stop('SIGKILL');
    await chain.stop();
    await fees.close();
    if (process.env['KEEP_E2E'] !== '1') rmSync(dir, { recursive: true, force: true });
  }, SLOW);
  ranAgainst(() => ({
    ours: [OURS.lnd],
    what: 'what keeps lnd from serving, told at the start',
    software: [...chain.software, node.software],
  }));

  type Change = { readonly address?: string; readonly tlsCertFile?: string; readonly macaroonFile?: string };
  const macaroons = new Map<NodeRole, string>();
  const portOf = async (role: NodeRole, change: Change = {}): Promise<LightningNode> => {
    const macaroonFile =
      macaroons.get(role) ?? (await bakeMacaroon(node, role === 'seller' ? 'swapd.macaroon' : 'swap.macaroon'));
    macaroons.set(role, macaroonFile);
    return connectLnd({ address: node.rpcAddress, tlsCertFile: node.tlsCertFile, macaroonFile, log, ...change });
  };
  const check = async (
    change: Change = {},
    role: NodeRole = 'seller',
    network: BitcoinNetwork = 'regtest',
  ): Promise<string | undefined> => {
    const port = await portOf(role, change);
    try {
      return await checkAtStart(port, { role, network });
    } finally {
      port.close();
    }
  };
  const file = (name: string, content: Buffer | string): string => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };

  it('finds nothing wrong for a buyer, and for a seller only that nobody opened a channel to it', async () => {
    expect(await check({}, 'buyer')).toBeUndefined();
    expect(await check()).toBe(
      'no usable channel of the Lightning node can receive anything: somebody has to open one to it',
    );
  });
  it('names another network', async () => {
    expect(await check({}, 'seller', 'bitcoin')).toBe('the Lightning node is on regtest, expected one on bitcoin');
  });
  it('reaches lnd by the address of its certificate, without a warning of Node', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on('warning', note);
    expect(await check({ address: node.rpcAddress.replace('localhost', '127.0.0.1') }, 'buyer')).toBeUndefined();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
  it('refuses the certificate of another lnd', async () => {
    const other = new LndProcess({ dir, name: 'other', chain, feeUrl: fees.url });
    await other.start();
    await other.stop('SIGKILL');
    expect(await check({ tlsCertFile: other.tlsCertFile })).toContain('lnd: GetInfo failed: no connection');
    expect(await check({ macaroonFile: other.adminMacaroonFile })).toContain('the macaroon is of another lnd');
  });
  it('says that nobody listens', async () => {
    expect(await check({ address: 'localhost:1' })).toContain('no connection: is it running');
  });
  it('refuses a file that holds no macaroon, or nothing, or is not there', async () => {
    const macaroonFile = file('no.macaroon', 'not a macaroon');
    expect(await check({ macaroonFile })).toContain('the macaroon file holds no macaroon');
    for (const missing of [file('empty.macaroon', ''), join(dir, 'none')]) {
      await expect(check({ macaroonFile: missing })).rejects.toMatchObject({ code: 'bad_config' });
    }
  });
  it('refuses a macaroon that everybody can read', async () => {
    const macaroonFile = file('open.macaroon', readFileSync(node.adminMacaroonFile));
    expect(await check({ macaroonFile }, 'buyer')).toBeUndefined();
    chmodSync(macaroonFile, 0o644);
    await expect(check({ macaroonFile })).rejects.toThrow(/expected mode 0600 on .*open.macaroon, found 0644/);
  });
  it.each([
    ['seller', 'swapd.macaroon'],
    ['buyer', 'swap.macaroon'],
  ] as const)('names each right that the macaroon of a %s lacks', async (role, name) => {
    const rights = rightsOf(name);
    for (const right of rights.filter((each) => !each.endsWith('/GetInfo'))) {
      const macaroonFile = await bakeMacaroon(
        node,
        name,
        rights.filter((each) => each !== right),
      );
      expect(await check({ macaroonFile }, role)).toContain(
        `the macaroon lacks the right to ${right.slice('uri:'.length)};`,
      );
    }
  });
  it("allows a seller's macaroon no payment, and a buyer's no invoice", async () => {
    const seller = await portOf('seller');
    const buyer = await portOf('buyer');
    try {
      expect(await seller.missingRights?.('buyer')).toEqual([
        '/routerrpc.Router/SendPaymentV2',
        '/routerrpc.Router/TrackPaymentV2',
      ]);
      const { preimage, paymentHash } = newSecret();
      await expect(buyer.settleInvoice(preimage)).rejects.toThrow('the macaroon lacks the right');
      await expect(buyer.cancelInvoice(paymentHash)).rejects.toThrow('the macaroon lacks the right');
    } finally {
      seller.close();
      buyer.close();
    }
  });
  it('never shows macaroon or certificate', async () => {
    const macaroonFile = await bakeMacaroon(node, 'swap.macaroon');
    const secret = readFileSync(macaroonFile).toString('hex');
    const port = await portOf('seller', { macaroonFile });
    try {
      const error: unknown = await port.listHoldInvoices('').catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: 'lightning_unavailable' });
      const { inspect } = await import('node:util');
      expect(inspect(error, { depth: 20, showHidden: true }).toLowerCase()).not.toContain(secret);
    } finally {
      port.close();
    }
  });
  /** Another lnd, as far as it comes by itself. */
  const startBare = async (home: string, on: FullNode, rpc: number, p2p: number) => {
    mkdirSync(home, { recursive: true });
    const args = [
      `--lnddir=${home}`,
      '--bitcoin.regtest',
      ...on.lndFlags,
      `--fee.url=${fees.url}`,
      `--rpclisten=127.0.0.1:${rpc}`,
      `--listen=127.0.0.1:${p2p}`,
      '--norest',
      '--nobootstrap',
    ];
    const program = builtDaemon('lnd');
    const child = await startChild({ name: 'a bare lnd', program, dir: home, logFile: join(home, 'log'), args });
    const tlsCertFile = join(home, 'tls.cert');
    /** Its own macaroon once there is one; before that lnd looks at none. */
    const look = async (): Promise<string | undefined> => {
      const own = join(home, 'data/chain/bitcoin/regtest/admin.macaroon');
      const macaroonFile = existsSync(own) && statSync(own).size > 0 ? own : node.adminMacaroonFile;
      return await check({ address: `localhost:${rpc}`, tlsCertFile, macaroonFile });
    };
    const says = (sentence: string): Promise<string | undefined> => {
      let heard: string | undefined;
      return child
        .until(sentence, async () => (heard = await look())?.includes(sentence) === true && heard, SLOW)
        .catch((cause: unknown) => {
          throw new Error(`the last sentence: ${heard ?? 'none'}`, { cause });
        });
    };
    return { child, says, rpc, p2p, tlsCertFile };
  };
  it.concurrent(
    'says that its wallet is not there, that it is not synced, that it is locked, and that it is starting',
    async () => {
      const home = join(dir, 'bare');
      const empty = await startEmptyBtcd({ dir: join(dir, 'empty') });
      try {
        const first = await onFreePorts(async (rpc, p2p) => {
          const started = await startBare(home, empty, rpc, p2p);
          await started.says('it has no wallet yet');
          return started;
        }, isPortTaken);
        const cert = readFileSync(first.tlsCertFile).toString('base64');
        const { lnd } = unauthenticatedLndGrpc({ cert, socket: `localhost:${first.rpc}` });
        const password = Buffer.from('password').toString('hex');
        await createWallet({ lnd, password, seed: (await createSeed({ lnd })).seed });
        const lagging = 'the Lightning node is not synced to its chain; it is at block 0';
        expect(await first.says('not synced')).toBe(lagging);
        await first.child.stop('SIGKILL');

        const second = await startBare(home, empty, first.rpc, first.p2p);
        try {
          await second.says('its wallet is locked');
          empty.freeze(true); // it waits for its chain
          await unlockWallet({ lnd, password });
          expect(await second.says('starting')).toBe('lnd: GetInfo failed: it is starting');
        } finally {
          empty.freeze(false);
          await second.child.stop('SIGKILL');
        }
      } finally {
        await empty.stop();
      }
    },
  );
  it.concurrent('says that nothing was answered in time while its chain is frozen', async () => {
    chain.freeze(true); // lnd asks it for everything that it tells of itself
    try {
      expect(await check({}, 'buyer')).toBe('lnd: GetInfo failed: no answer in time');
    } finally {
      chain.freeze(false);
    }
    await eventually('synced again', async () => (await check({}, 'buyer')) === undefined, SLOW);
  });
});
