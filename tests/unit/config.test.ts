import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import {
  loadConfig,
  readOrCreateSecretFile,
  readSecretFile,
  type ConfigSources,
  type ConfigTree,
} from '../../src/config.js';
import { tempDir } from '../support/tempStore.js';
import { refusal } from './core/zkp.js';

const dir = tempDir();
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

let files = 0;
function fileWith(text: string, mode = 0o600): string {
  const path = join(dir, `file${(files += 1)}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const schema = z.strictObject({
  grpc: z.strictObject({ listen: z.string().default('127.0.0.1:1'), is_open: z.boolean().default(false) }).prefault({}),
  limits: z
    .strictObject({ swaps: z.int().positive('at least 1').default(3), amount: z.bigint().optional() })
    .prefault({}),
  servers: z.array(z.string()).default([]),
  wallet: z.strictObject({ name: z.string(), password: z.string().optional() }).optional(),
});

type Sources = { toml?: string; env?: ConfigSources<typeof schema>['env']; overrides?: ConfigTree };
const load = ({ toml, env = {}, overrides }: Sources = {}): z.output<typeof schema> =>
  loadConfig({ schema, envPrefix: 'T', env, overrides, file: toml === undefined ? undefined : fileWith(toml) });
function problemsOf(sources: Sources): string[] {
  try {
    load(sources);
  } catch (error) {
    return error instanceof Error ? error.message.split('\n').map((line) => line.trim()) : [];
  }
  return [];
}

describe('a configuration', () => {
  it('has defaults for what nobody sets', () => {
    expect(load()).toEqual({ grpc: { listen: '127.0.0.1:1', is_open: false }, limits: { swaps: 3 }, servers: [] });
  });
  it('takes flags over environment over file over defaults, key by key', () => {
    const toml = '[grpc]\nlisten = "file"\nis_open = true\n[limits]\nswaps = 5';
    expect(load({ toml }).grpc).toEqual({ listen: 'file', is_open: true });
    const env = { T_GRPC__LISTEN: 'env', T_LIMITS__SWAPS: '7' };
    expect(load({ toml, env })).toMatchObject({ grpc: { listen: 'env', is_open: true }, limits: { swaps: 7 } });
    const overrides = { grpc: { listen: 'flag' }, limits: { swaps: undefined } };
    expect(load({ toml, env, overrides })).toMatchObject({
      grpc: { listen: 'flag', is_open: true },
      limits: { swaps: 7 },
    });
  });
  it('keeps integers above 2^53 exact', () => {
    expect(load({ toml: '[limits]\namount = 9007199254740993' }).limits.amount).toBe(9_007_199_254_740_993n);
    expect(load({ env: { T_LIMITS__AMOUNT: '9007199254740993' } }).limits.amount).toBe(9_007_199_254_740_993n);
  });
  it('lists every problem at once, with key, expected and found', () => {
    const toml = 'colour = 1\n[grpc]\nlisten = 5\nport = 1\n[limits]\nswaps = 0\n[wallet]\nnane = "x"';
    expect(problemsOf({ toml })).toEqual([
      'configuration refused:',
      'grpc.listen: expected text, found 5',
      'grpc.port: expected a known key, found an unknown one',
      'limits.swaps: expected at least 1, found 0',
      'wallet.name: expected text, found nothing',
      'wallet.nane: expected a known key, found an unknown one',
      'colour: expected a known key, found an unknown one',
    ]);
  });
  it('shows no secret and no endless value', () => {
    const lines = problemsOf({ overrides: { wallet: { name: 1, password: 12_345 }, servers: 'x'.repeat(500) } });
    expect(lines).toContain('wallet.password: expected text, found a number');
    expect(lines.join('\n')).not.toContain('12345');
    expect(lines.find((line) => line.startsWith('servers'))).toMatch(/^servers: expected array, found "x{99}\.\.\.$/);
  });
  it('names a file that is missing or no TOML', () => {
    expect(() => loadConfig({ schema, envPrefix: 'T', env: {}, file: join(dir, 'missing.toml') })).toThrow(
      refusal('missing.toml: expected a readable file, found ENOENT', 'bad_config'),
    );
    expect(() => load({ toml: '[grpc\nlisten = ' })).toThrow(refusal('expected TOML, found: ', 'bad_config'));
    expect(() => load({ toml: 'a = 1\na = 2' })).toThrow(refusal('expected TOML, found: ', 'bad_config'));
  });
});

describe('the environment', () => {
  it.each<[string, Record<string, string>, unknown]>([
    ['a number', { T_LIMITS__SWAPS: '12' }, { limits: { swaps: 12 } }],
    ['a boolean', { T_GRPC__IS_OPEN: 'true' }, { grpc: { is_open: true } }],
    ['an array', { T_SERVERS: 'ignored', T_X: 'no section' }, { servers: [] }],
    ['text', { T_GRPC__LISTEN: '127.0.0.1:9735' }, { grpc: { listen: '127.0.0.1:9735' } }],
    ['quoted text', { T_GRPC__LISTEN: '"1"' }, { grpc: { listen: '1' } }],
    ['digits where text is wanted', { T_WALLET__NAME: '007' }, { wallet: { name: '007' } }],
    ['a date where text is wanted', { T_WALLET__NAME: '2026-01-01' }, { wallet: { name: '2026-01-01' } }],
    ['what belongs to another program', { U_LIMITS__SWAPS: '0', TT_LIMITS__SWAPS: '0' }, { limits: { swaps: 3 } }],
  ])('gives %s', (_name, env, expected) => {
    expect(load({ env })).toMatchObject(expected as object);
  });
  it('gives an array in TOML notation', () => {
    const nested = z.strictObject({ electrum: z.strictObject({ servers: z.array(z.string()) }) });
    const env = { T_ELECTRUM__SERVERS: '["tcp://a:1", "tcp://b:2"]' };
    expect(loadConfig({ schema: nested, envPrefix: 'T', env })).toEqual({
      electrum: { servers: ['tcp://a:1', 'tcp://b:2'] },
    });
  });
  it('is refused with an unknown key, and with a value of the wrong kind', () => {
    expect(problemsOf({ env: { T_LIMITS__SWAP: '1', T_LIMITS__SWAPS: 'many' } })).toEqual([
      'configuration refused:',
      'limits.swaps: expected number, found "many"',
      'limits.swap: expected a known key, found an unknown one',
    ]);
  });
  it('cannot reach the prototype of anything', () => {
    problemsOf({ env: { T___PROTO____SWAPS: '1', T_CONSTRUCTOR__PROTOTYPE__SWAPS: '1' } });
    expect(({} as Record<string, unknown>)['swaps']).toBeUndefined();
  });
});

describe('a secret file', () => {
  it('is read without the white space around the secret', () => {
    expect(readSecretFile('token_file', fileWith('  secret\n'))).toBe('secret');
    expect(readSecretFile('token_file', fileWith('secret', 0o400))).toBe('secret');
  });
  it.each([0o640, 0o604, 0o620, 0o601])('is refused when others may use it: mode %o', (mode) => {
    expect(() => readSecretFile('token_file', fileWith('secret', mode))).toThrow(
      refusal(`token_file: expected mode 0600 on ${dir}`, 'bad_config'),
    );
  });
  it('is refused when it is missing, empty or a folder', () => {
    expect(() => readSecretFile('token_file', join(dir, 'none'))).toThrow(refusal('found ENOENT', 'bad_config'));
    expect(() => readSecretFile('token_file', fileWith(' \n'))).toThrow(refusal('found an empty file', 'bad_config'));
    expect(() => readSecretFile('token_file', dir)).toThrow(refusal('found EISDIR', 'bad_config'));
  });
  it('is made once, for its owner only, whatever the umask', () => {
    const path = join(dir, 'made');
    const umask = process.umask(0);
    try {
      expect(readOrCreateSecretFile('token_file', path, () => 'first')).toBe('first');
    } finally {
      process.umask(umask);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toBe('first\n');
    expect(readOrCreateSecretFile('token_file', path, () => 'second')).toBe('first');
  });
  it('that exists is not made safe silently', () => {
    const path = fileWith('secret', 0o644);
    expect(() => readOrCreateSecretFile('token_file', path, () => 'new')).toThrow(
      refusal('expected mode 0600', 'bad_config'),
    );
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });
  it('is refused where nothing can be written', () => {
    const closed = join(dir, 'closed');
    mkdirSync(closed);
    const path = join(closed, 'deeper', 'token');
    expect(() => readOrCreateSecretFile('token_file', path, () => 'new')).toThrow(
      refusal('expected a writable place', 'bad_config'),
    );
  });
});

describe('a problem', () => {
  const numbers = z.strictObject({ rate: z.number().min(5).max(9), name: z.enum(['a', 'b']), at: z.url() });
  it.each([
    [{ rate: 4, name: 'a', at: 'http://x' }, 'rate: expected at least 5, found 4'],
    [{ rate: 10, name: 'a', at: 'http://x' }, 'rate: expected at most 9, found 10'],
    [{ rate: 5, name: 'c', at: 'http://x' }, 'name: expected one of "a", "b", found "c"'],
    [{ rate: 5, name: 'a', at: 'x' }, 'at: expected a URL, found "x"'],
  ])('is told in words for people: %j', (overrides, sentence) => {
    const read = () => loadConfig({ schema: numbers, envPrefix: 'T', env: {}, overrides });
    expect(read).toThrow(`configuration refused:\n  ${sentence}`);
  });
});
