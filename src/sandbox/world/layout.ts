/** Where everything of a world lies on disk and on the network. */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { ProcessName } from '../control.js';

export const HOST = '127.0.0.1';
/** Longest path of a unix socket on Linux less its end mark; shorter elsewhere. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** How the Lightning nodes follow the Bitcoin chain: blocks of a full node, or proofs of an Esplora server. */
export const LIGHTNING_CHAINS = ['bitcoind', 'esplora'] as const;
export type LightningChain = (typeof LIGHTNING_CHAINS)[number];

/** Folders and files of a world. */
export type Layout = {
  readonly dir: string;
  readonly chains: string;
  readonly logs: string;
  readonly worldFile: string;
  readonly stateFile: string;
  readonly rpcPasswordFile: string;
  readonly controlSocket: string;
};

/** @param dir absolute path of the world's folder. */
export function layoutOf(dir: string): Layout {
  const socket = join(dir, 'control.sock');
  const shortName = `ln-liquid-swap-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}.sock`;
  return {
    dir,
    chains: join(dir, 'chains'),
    logs: join(dir, 'logs'),
    worldFile: join(dir, 'world.json'),
    stateFile: join(dir, 'state.json'),
    rpcPasswordFile: join(dir, 'bitcoin-rpc.password'),
    controlSocket: Buffer.byteLength(socket) <= MAX_SOCKET_PATH ? socket : join(tmpdir(), shortName),
  };
}

/** Folder of one program's config and data. */
export const programDir = (layout: Layout, name: ProcessName): string => join(layout.dir, name);
export const logFileOf = (layout: Layout, name: ProcessName): string => join(layout.logs, `${name}.log`);
/** JavaScript file of a program, beside this one in the build. */
export const entryOf = (name: ProcessName): string =>
  fileURLToPath(new URL(name === 'swapd' ? '../../main.js' : '../../lnnode/main.js', import.meta.url));

/** Everything that listens. */
export const PORT_NAMES = [
  'electrum',
  'bitcoin_rpc',
  'bitcoin_esplora',
  'seller_grpc',
  'seller_p2p',
  'buyer_grpc',
  'buyer_p2p',
  'swapd_grpc',
  'swapd_admin',
] as const;
export type Ports = Readonly<Record<(typeof PORT_NAMES)[number], number>>;
