/** Starts the sandbox as the program it is, in a temporary folder, and takes every address from its world.json. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { z } from 'zod';

import { assetId, pubkey } from '../core/units.js';
import { askWorld } from '../sandbox/controlClient.js';

const SANDBOX = fileURLToPath(new URL('../sandbox/main.js', import.meta.url));

const nodeSchema = z.object({ address: z.string(), token_file: z.string(), node_id: z.string().transform(pubkey) });
const worldSchema = z.object({
  policy_asset: z.string().transform(assetId),
  assets: z.record(z.string(), z.object({ id: z.string().transform(assetId), precision: z.int() })),
  electrum: z.object({ host: z.string(), port: z.int() }),
  swapd: z.object({ address: z.string(), admin: z.string(), admin_token_file: z.string() }),
  lnnoded: z.object({ seller: nodeSchema, buyer: nodeSchema }),
});

export type DemoWorld = {
  readonly dir: string;
  readonly json: z.output<typeof worldSchema>;
  /** Mines Liquid blocks. @returns the new height. */
  readonly mineLiquid: (blocks: number) => Promise<number>;
  /** Ends every process, and forgets the folder unless somebody has to look at the logs. */
  readonly close: (options: { readonly isKept: boolean }) => Promise<void>;
};

/** A fresh world in which blocks come on command only. */
export async function startWorld(onProgress: (line: string) => void): Promise<DemoWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'ln-liquid-swap-demo-'));
  const args = [SANDBOX, 'run', '--dir', dir, '--json', '--liquid-block-secs', '0', '--bitcoin-block-secs', '0'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
  });
  const close: DemoWorld['close'] = async ({ isKept }) => {
    child.kill('SIGTERM');
    await ended;
    if (isKept) onProgress(`everything of this world is kept in ${dir}, its logs in ${join(dir, 'logs')}`);
    else rmSync(dir, { recursive: true, force: true });
  };
  const lines: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      onProgress(line);
    });
  }
  const ready = new Promise<void>((resolve, reject) => {
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).once('line', () => {
        resolve();
      });
    child.once('close', () => {
      reject(new Error(`the sandbox ended before it was ready: ${lines.slice(-5).join(' | ')}`));
    });
  });
  try {
    await ready;
    const json = worldSchema.parse(JSON.parse(readFileSync(join(dir, 'world.json'), 'utf8')));
    const mineLiquid = async (blocks: number): Promise<number> =>
      z.object({ height: z.int() }).parse(await askWorld(dir, { command: 'mine', chain: 'liquid', blocks })).height;
    return { dir, json, mineLiquid, close };
  } catch (error) {
    await close({ isKept: true });
    throw error;
  }
}
