/** Macaroons as docs/lightning-backends.md tells an operator to bake them: the page's own lines, run by lnd's own program. */
import { execFile } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { builtDaemon } from './binaries.js';
import type { LndProcess } from './lnd.js';

const PAGE = readFileSync(new URL('../../../docs/lightning-backends.md', import.meta.url), 'utf8');
const BAKE_MS = 60_000;

/** The rights in the line of the page that bakes this file: `uri:/lnrpc.Lightning/GetInfo` and so on. */
export function rightsOf(file: 'swapd.macaroon' | 'swap.macaroon'): readonly string[] {
  const start = `lncli bakemacaroon --save_to ${file} `;
  const line = PAGE.split('\n').find((each) => each.startsWith(start));
  if (line === undefined) throw new Error(`docs/lightning-backends.md: no line that bakes ${file}`);
  return line.slice(start.length).split(' ');
}

/** Runs the line and the `chmod` after it. @param rights instead of those of the page. @returns the macaroon's file */
export async function bakeMacaroon(
  node: Pick<LndProcess, 'rpcAddress' | 'tlsCertFile' | 'adminMacaroonFile'>,
  file: 'swapd.macaroon' | 'swap.macaroon',
  rights: readonly string[] = rightsOf(file),
): Promise<string> {
  const path = join(dirname(node.tlsCertFile), `${rights.length}-${file}`);
  await promisify(execFile)(
    builtDaemon('lncli'),
    [
      '--network=regtest',
      `--rpcserver=${node.rpcAddress}`,
      `--tlscertpath=${node.tlsCertFile}`,
      `--macaroonpath=${node.adminMacaroonFile}`,
      'bakemacaroon',
      '--save_to',
      path,
      ...rights,
    ],
    { timeout: BAKE_MS },
  );
  chmodSync(path, 0o600);
  return path;
}
