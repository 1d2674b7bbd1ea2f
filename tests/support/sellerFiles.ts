/** The files of a world's seller while it is stopped, and its programs run by the test itself. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import BetterSqlite3 from 'better-sqlite3';

import type { TestWorld } from './testWorld.js';

const DAEMON = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PRELOAD = new URL('../../dist/sandbox/world/exitWithParent.js', import.meta.url).href;

export type Run = { readonly status: number | null; readonly out: string; readonly err: string };

/** Runs a command of swapd with the configuration of the world's seller. */
export async function swapd(
  world: TestWorld,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const child = spawn(process.execPath, [DAEMON, ...args, '--config', world.file().swapd.config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  return { status, out, err };
}

export type Daemon = {
  /** How it ended: a signal or an exit code. */
  readonly gone: Promise<string>;
  readonly stop: () => Promise<void>;
};

/** The daemon with further variables in its environment, in the place of the world's own. Resolves when it serves or is gone. */
export async function startDaemon(world: TestWorld, env: Readonly<Record<string, string>>): Promise<Daemon> {
  const args = ['--import', PRELOAD, DAEMON, 'run', '--config', world.file().swapd.config];
  const stdio = ['ignore', 'pipe', 'ignore', 'ipc'] as const;
  const child = spawn(process.execPath, args, { stdio: [...stdio], env: { ...process.env, ...env } });
  const gone = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(signal ?? String(code));
    });
  });
  const ready = new Promise<void>((resolve) => {
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).once('line', () => {
        resolve();
      });
  });
  await Promise.race([ready, gone]);
  return {
    gone,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

const bundleDir = (world: TestWorld): string => join(dirname(world.file().swapd.database), 'bundles');

/** A copy of what the stopped seller has on disk. */
export type Kept = {
  /** The folder of the bundles, with the generation's file. */
  readonly bundles: string;
  /** Puts the database back as it was, and with `andBundles` the folder of the bundles, too. */
  readonly putBack: (options?: { readonly andBundles: boolean }) => void;
};

export function keepFiles(world: TestWorld): Kept {
  const copy = mkdtempSync(join(world.dir, 'kept-'));
  const { database } = world.file().swapd;
  const filesOf = (dir: string): string[] =>
    readdirSync(dir).filter((name) => name.startsWith(basename(database)) && !name.endsWith('.lock'));
  for (const name of filesOf(dirname(database))) cpSync(join(dirname(database), name), join(copy, name));
  cpSync(bundleDir(world), join(copy, 'bundles'), { recursive: true });
  return {
    bundles: join(copy, 'bundles'),
    putBack: ({ andBundles } = { andBundles: false }) => {
      dropDatabase(world);
      for (const name of filesOf(copy)) cpSync(join(copy, name), join(dirname(database), name));
      if (!andBundles) return;
      rmSync(bundleDir(world), { recursive: true });
      cpSync(join(copy, 'bundles'), bundleDir(world), { recursive: true });
    },
  };
}

/** The database is gone; the bundles are not. */
export function dropDatabase(world: TestWorld): void {
  const { database } = world.file().swapd;
  for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true });
}

/** Rows of the seller's database. */
export function query(world: TestWorld, sql: string, ...parameters: unknown[]): Record<string, unknown>[] {
  const database = new BetterSqlite3(world.file().swapd.database, { readonly: true });
  try {
    return database.prepare<unknown[], Record<string, unknown>>(sql).all(...parameters);
  } finally {
    database.close();
  }
}
