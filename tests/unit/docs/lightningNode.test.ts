import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');
const PAGE = read('docs/lightning-node.md');
const UNIT = read('contrib/lnnoded.service');

const isFile = (name: string): boolean => name.endsWith('.ts');
const pathOf = (name: string): string => `src/lnnode/${name}`;

/** Rows of the tables of arrows: from, to, call. */
const ARROWS = (PAGE.split(/^## /m).find((part) => part.startsWith('Who calls whom')) ?? '')
  .split('\n')
  .map((line) => [...line.matchAll(/^\| `([^`]+)` +\| `([^`]+)` +\| `([^`]+)` +\|/g)][0] ?? [])
  .flatMap(([, from = '', to = '', call = '']) => (from === '' ? [] : [[from, to, call] as const]));

describe('docs/lightning-node.md', () => {
  it('has arrows into LDK, out of it and around it', () => {
    expect(ARROWS.filter(([from, to]) => isFile(from) && !isFile(to)).length).toBeGreaterThan(15);
    expect(ARROWS.filter(([from, to]) => !isFile(from) && isFile(to)).length).toBeGreaterThan(4);
    expect(ARROWS.filter(([from, to]) => isFile(from) && isFile(to)).length).toBeGreaterThan(15);
  });
  it.each(ARROWS)('the arrow from %s to %s (%s) is in the code', (from, to, call) => {
    const files = [from, to].filter(isFile);
    expect(files).not.toEqual([]);
    for (const name of files) expect(existsSync(`${ROOT}/${pathOf(name)}`), name).toBe(true);
    const [caller = ''] = files; // the one file there is, or the one that calls
    expect(read(pathOf(caller))).toMatch(new RegExp(`\\b${call.replace('.', '\\.')}\\b`));
  });
  it('names only files that exist', () => {
    const names = [...PAGE.matchAll(/`((?:[\w]+\/)*\w+\.ts)`/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(60);
    const missing = names.filter((name) => !existsSync(`${ROOT}/${name.startsWith('src/') ? name : pathOf(name)}`));
    expect(missing).toEqual([]);
  });
  it('names every part of LDK with the file that makes it', () => {
    const rows = PAGE.split('\n').filter((line) =>
      /^\| (?:`[A-Z]\w+`(?:, )?)+ +\|[^|`]+\| `[^`]+\.ts` +\|$/.test(line),
    );
    expect(rows.length).toBeGreaterThan(8);
    for (const row of rows) {
      const words = [...row.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
      const source = read(pathOf(words.at(-1) ?? ''));
      for (const part of words.slice(0, -1)) expect(source, part).toContain(`ldk.${part}.`);
    }
  });
  it('has every exit code of the program, and the unit starts it again after the right ones', () => {
    const codes = [...`${read('src/lnnode/main.ts')}${read('src/lnnode/ldk/turn.ts')}`.matchAll(/EXIT_\w+ = (\d+)/g)]
      .map(([, code = '']) => code)
      .sort();
    expect(codes).toEqual(['2', '3', '70', '75']);
    for (const code of codes) expect(PAGE).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
    const never = codes.filter((code) => new RegExp(`^\\| ${code} +\\|[^|]+\\| nothing`, 'm').test(PAGE));
    expect(UNIT).toContain(`RestartPreventExitStatus=${never.join(' ')}\n`);
    expect(UNIT).toContain('Restart=always\n');
  });
  it('has a unit that may write where the guide for operators has its files', () => {
    const [, folder = ''] = /^StateDirectory=(.+)$/m.exec(UNIT) ?? [];
    const guide =
      read('docs/operations.md')
        .split(/^## /m)
        .find((part) => part.startsWith('lnnoded\n')) ?? '';
    const written = [...guide.matchAll(/^(?:data_dir|token_file|generation_file) = "(.+)"$/gm)].map(([, path]) => path);
    expect(written.length).toBeGreaterThan(1);
    for (const path of written) expect(path).toMatch(new RegExp(`^/var/lib/${folder}/`));
  });
  it('has a unit that starts what the build makes', () => {
    expect(UNIT).toContain('ExecStart=/usr/bin/node dist/lnnode/main.js ');
    expect(existsSync(`${ROOT}/src/lnnode/main.ts`)).toBe(true);
    expect(UNIT).not.toMatch(/^MemoryDenyWriteExecute=(?:yes|true)/m); // WebAssembly needs it off
  });
});
