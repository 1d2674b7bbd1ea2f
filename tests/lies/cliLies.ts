/** Lies that are told to the real `swap buy` as a process of its own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Stage } from './stage.js';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** How the process ended. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** `swap buy` with the lying seller and a data directory of the stage. */
export async function swapBuy(stage: Stage, dir: string, args: readonly string[]): Promise<Ended> {
  const { world, liar } = stage.parts;
  const where = ['--data-dir', dir, '--world', join(world.dir, 'world.json'), '--seller', liar.address, '--json'];
  const child = spawn(process.execPath, [PROGRAM, 'buy', ...args, ...where], { env: { ...process.env, HOME: dir } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  return { code, stdout, stderr };
}
