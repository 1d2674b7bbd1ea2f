/** lnd as an operator starts it: its wallet has a password, and is locked after every start. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  authenticatedLndGrpc,
  createSeed,
  createWallet,
  getWalletInfo,
  unauthenticatedLndGrpc,
  unlockWallet,
  type GetWalletInfoResult,
} from 'lightning';

import { lastingPort } from '../freePort.js';
import type { Place } from '../programStage.js';
import { builtDaemon } from './binaries.js';
import { startChild, tailOf, type DaemonChild } from './child.js';
import type { Software } from '../interoperability.js';
import type { FullNode } from './fullNode.js';
import { softwareOf } from './lnd.js';

const PASSWORD = Buffer.from('password').toString('hex');
const READY_MS = 120_000;

/** As much of it as a client needs. */
export type LockedLnd = {
  readonly rpcAddress: string;
  readonly tlsCertFile: string;
  readonly adminMacaroonFile: string;
  readonly software: Software;
  /** Until it is there and locked. */
  readonly start: () => Promise<void>;
  readonly unlock: () => Promise<void>;
  readonly kill: () => Promise<void>;
};

/** Starts it for the first time, with a new wallet, which is unlocked. */
export async function startLockedLnd({ dir, started }: Place, chain: FullNode, feeUrl: string): Promise<LockedLnd> {
  const [rpc, p2p] = [await lastingPort(), await lastingPort()];
  const [logFile, tlsCertFile] = [join(dir, 'lnd.log'), join(dir, 'tls.cert')];
  const adminMacaroonFile = join(dir, 'data/chain/bitcoin/regtest/admin.macaroon');
  const socket = `localhost:${rpc}`;
  const args = [
    `--lnddir=${dir}`,
    '--bitcoin.regtest',
    ...chain.lndFlags,
    `--fee.url=${feeUrl}`,
    `--rpclisten=127.0.0.1:${rpc}`,
    `--listen=127.0.0.1:${p2p}`,
    '--norest',
    '--nobootstrap',
  ];
  let child: DaemonChild | undefined;
  const kill = async (): Promise<void> => {
    await child?.stop('SIGKILL');
  };
  started({ log: () => tailOf(logFile), stop: kill });
  const unlocker = () => unauthenticatedLndGrpc({ cert: readFileSync(tlsCertFile).toString('base64'), socket });
  const launch = async (): Promise<DaemonChild> => {
    child = await startChild({ name: 'lnd', program: builtDaemon('lnd'), dir, logFile, args });
    return child;
  };
  const ready = (running: DaemonChild): Promise<GetWalletInfoResult> =>
    running.until(
      'its RPC at the tip of the chain',
      async () => {
        const [cert, macaroon] = [tlsCertFile, adminMacaroonFile].map((file) => readFileSync(file).toString('base64'));
        const { lnd } = authenticatedLndGrpc({ cert: cert ?? '', macaroon: macaroon ?? '', socket });
        const info = await getWalletInfo({ lnd });
        return info.is_synced_to_chain && info;
      },
      READY_MS,
    );
  const first = await launch();
  await first.until('its wallet', async () => {
    const { lnd } = unlocker();
    await createWallet({ lnd, password: PASSWORD, seed: (await createSeed({ lnd })).seed });
    return true;
  });
  const { version } = await ready(first);
  return {
    rpcAddress: socket,
    tlsCertFile,
    adminMacaroonFile,
    software: softwareOf(version),
    kill,
    start: async () => {
      await launch();
    },
    unlock: async () => {
      if (child === undefined) throw new Error('lnd is not running');
      await child.until('the unlocking', async () => {
        await unlockWallet({ ...unlocker(), password: PASSWORD });
        return true;
      });
      await ready(child);
    },
  };
}
