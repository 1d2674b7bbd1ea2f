/** The programs of the suite on a real Liquid chain; nobody has them by accident, so the environment names them. */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';

export type RegtestPrograms = { readonly elementsd: string; readonly electrs: string };

const VARIABLES = { elementsd: 'ELEMENTSD_EXE', electrs: 'ELECTRS_EXE' } as const;

/** What is said when nothing runs. */
export const SKIPPED =
  'skipped: set ELEMENTSD_EXE and ELECTRS_EXE to an Elements node and an electrs built for Liquid to run on them';

function executable(variable: string, path: string): string {
  const absolute = resolve(path);
  try {
    accessSync(absolute, constants.X_OK);
  } catch (cause) {
    throw new Error(`${variable}: expected a program, found ${path}`, { cause });
  }
  return absolute;
}

/**
 * Where the programs are, or undefined if none is named.
 *
 * @throws Error if only one is named, if one cannot be run, or in CI if none is named: whoever starts the suite there
 * wants it to run.
 */
export function regtestPrograms(env: NodeJS.ProcessEnv = process.env): RegtestPrograms | undefined {
  const [elementsd, electrs] = [env[VARIABLES.elementsd] ?? '', env[VARIABLES.electrs] ?? ''];
  if (elementsd === '' && electrs === '') {
    if ((env['CI'] ?? '') !== '') throw new Error(`expected both programs in CI; ${SKIPPED}`);
    return undefined;
  }
  if (elementsd === '' || electrs === '') {
    const missing = elementsd === '' ? VARIABLES.elementsd : VARIABLES.electrs;
    throw new Error(`${missing}: expected a program beside the other one, found nothing`);
  }
  return {
    elementsd: executable(VARIABLES.elementsd, elementsd),
    electrs: executable(VARIABLES.electrs, electrs),
  };
}
