/** `sandbox run`: keeps a world up until a signal, and tells a person what to do with it. */
import { relative } from 'node:path';

import { errorChain } from '../errors.js';
import type { LightningChain } from './world/layout.js';
import { openWorld } from './world/open.js';
import type { World } from './world/world.js';

export type RunOptions = {
  /** Absolute path of the folder. */
  readonly dir: string;
  readonly liquidBlockSecs: number;
  readonly bitcoinBlockSecs: number;
  readonly withSwapd: boolean;
  readonly lightningChain: LightningChain;
  /** One ready line in JSON on stdout instead of text for people. */
  readonly isJson: boolean;
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Resolves when the world has ended in order.
 *
 * @throws WorldError if it cannot start, or Error if it had to end because its chains could not be stored.
 */
export async function runWorld(options: RunOptions): Promise<void> {
  const startedAt = Date.now();
  const report = (message: string): void => {
    process.stderr.write(`${message}\n`);
  };
  const end = endOfWorld();
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined); // nobody reads any more
  process.on('uncaughtException', end.fail);
  const { complete, close } = openWorld({ ...options, report, onFatal: end.fail });
  try {
    const world = await Promise.race([complete, end.reached]);
    if (world) {
      announce(world, options.isJson, Date.now() - startedAt);
      await end.reached;
    }
  } finally {
    complete.catch(() => undefined); // closing a half-built world makes it fail
    report('ending every process of the world');
    await close();
  }
}

function announce(world: World, isJson: boolean, startupMs: number): void {
  const { worldFile, controlSocket } = world.layout;
  const line = { ready: true, world: worldFile, control: controlSocket, pid: process.pid, startup_ms: startupMs };
  process.stdout.write(isJson ? `${JSON.stringify(line)}\n` : `${welcome(world, startupMs)}\n`);
}

/** The wish to end: a signal, the end of the program that started us, or a failure that cannot be survived. */
function endOfWorld(): { readonly reached: Promise<void>; readonly fail: (error: unknown) => void } {
  let fail: (error: unknown) => void = () => undefined;
  const reached = new Promise<void>((resolve, reject) => {
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        resolve();
      });
    }
    process.on('disconnect', resolve);
    fail = (error) => {
      reject(new Error(`the world had to end: ${errorChain(error)}`, { cause: error }));
    };
  });
  reached.catch(() => undefined); // it may fail before anyone waits for it
  return { reached, fail };
}

function welcome(world: World, startupMs: number): string {
  const { layout, ports, state } = world;
  const [file, dir] = [shown(layout.worldFile), shown(layout.dir)];
  const dirFlag = dir === '.world' ? '' : ` --dir ${dir}`;
  return `
The world is up (${(startupMs / 1000).toFixed(1)} s). It lives in ${dir}; Ctrl-C ends it, the same command continues it.

  seller, gRPC        127.0.0.1:${ports.swapd_grpc}
  seller's node       ${state.nodeIds.seller}
  buyer's node        ${state.nodeIds.buyer}
  Liquid, Electrum    tcp://127.0.0.1:${ports.electrum}
  Bitcoin, JSON-RPC   http://127.0.0.1:${ports.bitcoin_rpc}
  Bitcoin, Esplora    http://127.0.0.1:${ports.bitcoin_esplora}
  everything else     ${file}, logs in ${dir}/logs

Try, in another terminal:

  npx --no swap offers --world ${file}
  npx --no swap buy --asset USDT --amount 25 --world ${file}
  npx --no swap admin status --world ${file}
  grpcurl -plaintext 127.0.0.1:${ports.swapd_grpc} list
  npx --no sandbox status${dirFlag}
  npx --no sandbox mine liquid 1${dirFlag}`;
}

/** A path as short as it can be said here. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' ? '.' : short.startsWith('..') ? path : short;
}
