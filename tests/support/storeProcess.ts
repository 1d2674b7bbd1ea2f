/** Scripts that use the built store in a process of their own: for locks, SIGKILL and full disks. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { MIGRATIONS } from './tempStore.js';

const dist = (module: string): string => new URL(`../../dist/${module}.js`, import.meta.url).href;

/** What every script has: its database `path`, `open()`, the accessors of `meta`, and `say(text)`, which never waits. */
const PRELUDE = `
  import { writeSync } from 'node:fs';
  import { Store } from '${dist('store/db')}';
  import * as meta from '${dist('store/meta')}';
  import { openGeneration } from '${dist('engine/generation')}';
  const [path, folder] = process.argv.slice(1);
  const open = () => Store.open({ path, migrationsDir: ${JSON.stringify(MIGRATIONS)} });
  const say = (text) => writeSync(1, text + '\\n');
`;

/** Program and arguments of a script (an ES module) on the database `path`. */
const commandLine = (script: string, args: readonly string[]): [string, ...string[]] => [
  process.execPath,
  '--input-type=module',
  '-e',
  PRELUDE + script,
  ...args,
];

/** Starts a script that does not end, and returns when it has said something. The caller kills it. */
export async function startScript(script: string, path: string): Promise<ChildProcess> {
  const [program, ...args] = commandLine(`${script}\nsetInterval(() => undefined, 1000);`, [path]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error('the script ended too early');
  return child;
}

export async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Runs a script to its end, inside of `shell` if given (`"$@"` is the command). @returns what it said; stderr if it failed. */
export function runScript(script: string, args: readonly string[], shell?: string): string {
  const command = commandLine(script, args);
  const line = shell === undefined ? command : (['sh', '-c', shell, 'sh', ...command] as const);
  const { status, stdout, stderr } = spawnSync(line[0], line.slice(1), { encoding: 'utf8', timeout: 30_000 });
  return status === 0 ? stdout : stderr;
}

/** Whether this user may do it here: some tests need the rights to mount something. */
export const isAllowed = (shell: string): boolean => spawnSync('sh', ['-c', shell], { timeout: 10_000 }).status === 0;
