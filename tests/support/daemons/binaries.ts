/** Where the built daemons are. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOOL = fileURLToPath(new URL('../../tools/daemons.mjs', import.meta.url));

let folder: string | undefined;

/** The program's path, or undefined if it was not built (`npx just daemons`): then a suite must be skipped. */
export function daemonBinary(name: 'btcd' | 'lnd' | 'lncli'): string | undefined {
  folder ??= execFileSync(process.execPath, [TOOL, '--where'], { encoding: 'utf8' });
  const path = join(folder, name);
  return folder !== '' && existsSync(path) ? path : undefined;
}

/** The same where a suite that runs at all must have it. @throws Error */
export function builtDaemon(name: 'btcd' | 'lnd' | 'lncli'): string {
  const path = daemonBinary(name);
  if (path === undefined) throw new Error(`${name} is not built: npx just daemons`);
  return path;
}
