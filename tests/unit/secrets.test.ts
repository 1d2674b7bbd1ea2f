/** How secrets come in and how they are compared, over all programs: rules that one forgotten line would break. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const PAGE = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const SECRET = /mnemonic|token|secret|password|passphrase|preimage|seed|macaroon/i;

/** Every line of our own sources, with where it stands. */
const LINES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('gen/') && !name.startsWith('sandbox/'))
  .flatMap((name) =>
    readFileSync(join(SRC, name), 'utf8')
      .split('\n')
      .map((text, i) => ({ text, where: `${name}:${i + 1}` })),
  );

describe('a secret', () => {
  it('is no argument of any program: options and arguments name its file at most, or stdin', () => {
    const options = LINES.flatMap(({ text, where }) =>
      [...text.matchAll(/(?:[oO]ption|argument)\(\s*['"`]([^'"`]+)/g)].map(([, flags = '']) => ({ flags, where })),
    );
    expect(options.length).toBeGreaterThan(40);
    expect(options.filter(({ flags }) => SECRET.test(flags) && !/-file <file>$|-stdin$/.test(flags))).toEqual([]);
  });
  it('is no key of a configuration, and so of no environment: keys name its file', () => {
    const keys = [...PAGE.matchAll(/^\| `([^`]+)`/gm)].map(([, key = '']) => key);
    expect(keys.filter((key) => SECRET.test(key)).length).toBeGreaterThan(5);
    expect(keys.filter((key) => SECRET.test(key) && !key.endsWith('_file'))).toEqual([]);
  });
  it('is compared with what a caller sent in constant time only', () => {
    const harmless = /[!=]== (?:undefined|null)\b/g;
    const compared =
      /(?:token|secret|password|mnemonic|macaroon)\w*(?:\(\))? [!=]== |[!=]== [\w.]*(?:token|secret|password|mnemonic)/i;
    expect(LINES.filter(({ text }) => compared.test(text.replace(harmless, '')))).toEqual([]);
    const timed = LINES.filter(({ text }) => text.includes('timingSafeEqual(')).map(({ where }) => where.split(':')[0]);
    expect(timed).toEqual(expect.arrayContaining(['rpc/auth.ts', 'lnnode/rpc/server.ts']));
  });
});
