/** The real `swap` program: wrong input ends with one clear line, and help helps. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openShell } from '../support/shell.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-cli-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});
const { start, swap } = openShell(() => dir);

describe.concurrent('wrong input', () => {
  const file = (name: string, text: string, mode = 0o600): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  it.each<[string, () => string[], number, string]>([
    ['no command', () => [], 2, 'invalid_argument: expected a command, found none; see --help'],
    ['an unknown command', () => ['bye'], 2, "invalid_argument: unknown command 'bye'"],
    ['an unknown option', () => ['buy', '--wrong'], 2, "invalid_argument: unknown option '--wrong'"],
    ['a missing argument', () => ['pay'], 2, "invalid_argument: missing required argument 'swap'"],
    ['an argument too many', () => ['history', 'x'], 2, 'invalid_argument: too many arguments'],
    ['an option without its value', () => ['quote', '--asset'], 2, "option '--asset <name>' argument missing"],
    [
      'a timeout that is no number',
      () => ['buy', '--timeout', 'soon'],
      2,
      'invalid_argument: --timeout: expected an integer 1..86400, found "soon"',
    ],
    [
      'no seller',
      () => ['offers'],
      2,
      'bad_config: seller.address: expected host:port, found nothing; give --seller or --world FILE',
    ],
    [
      'no Electrum server',
      () => ['balance', '--data-dir', initialized()],
      2,
      'bad_config: electrum.servers: expected your own Electrum servers',
    ],
    [
      'a malformed server',
      () => ['balance', '--electrum', 'localhost:1'],
      2,
      'electrum.servers.0: expected ssl://host:port or tcp://host:port, found "localhost:1"',
    ],
    ['a malformed node id', () => ['offers', '--seller-node-id', '02ff'], 2, 'seller.node_id: expected 66 hex digits'],
    [
      'an unknown network',
      () => ['offers', '--network', 'mars'],
      2,
      'network.name: expected liquidv1, liquidtestnet or regtest, found "mars"',
    ],
    [
      'a buyer without mnemonic',
      () => ['balance', '--electrum', 'tcp://127.0.0.1:1'],
      2,
      'not_initialized: expected a mnemonic in',
    ],
    [
      'a world that is not there',
      () => ['offers', '--world', join(dir, 'none')],
      2,
      'expected a world.json, found ENOENT',
    ],
    [
      'a world that is no JSON',
      () => ['offers', '--world', file('world', '{')],
      2,
      'expected a world.json, found no JSON',
    ],
    [
      'a configuration that is no TOML',
      () => ['offers', '--config', file('bad.toml', '= 1')],
      2,
      'expected TOML, found',
    ],
    [
      'an unknown key',
      () => ['offers', '--config', file('key.toml', '[seller]\nadress = "a:1"')],
      2,
      'seller.adress: expected a known key, found an unknown one',
    ],
    [
      'a token that others can read',
      () => ['offers', '--seller', 'a:1', '--seller-token-file', file('token', 'x', 0o644)],
      2,
      'seller.token_file: expected mode 0600',
    ],
    ['an unknown purchase', () => ['verify', '99'], 1, 'unknown_swap: expected the number, swap id or request id'],
    ['a malformed quote id', () => ['create', 'zz'], 2, 'invalid_argument: quote id: expected 16 bytes'],
    [
      'a quote never asked for',
      () => ['create', '00'.repeat(16)],
      1,
      'unknown_quote: expected a quote asked for with: swap quote',
    ],
    ['a claim of nothing', () => ['claim'], 2, 'invalid_argument: expected a swap or --kit FILE'],
    [
      'a kit that is no JSON',
      () => ['claim', '--kit', file('kit', '{')],
      2,
      'expected a kit of version 1, found no JSON',
    ],
    [
      'a buy without amount',
      () => ['buy', '--asset', 'X', '--seller', 'a:1'],
      2,
      'invalid_argument: expected --asset NAME and --amount AMOUNT',
    ],
    [
      'a data directory that is a file',
      () => ['init', '--data-dir', join(file('plain', ''), 'x')],
      2,
      'bad_config: expected a place to write',
    ],
    [
      'a list of assets that is not there',
      () => ['offers', '--assets', join(dir, 'none.toml')],
      2,
      'bad_config: assets.file',
    ],
    [
      'a payer that is nobody',
      () => ['buy', '--pay', 'bank', '--asset', 'X', '--amount', '1'],
      2,
      'invalid_argument: --pay: expected node (your Lightning node) or external (any wallet), found "bank"',
    ],
    [
      'evidence that is not there',
      () => ['evidence', 'verify', join(dir, 'none')],
      2,
      'expected a readable file, found ENOENT',
    ],
    [
      'an unknown state',
      () => ['admin', 'swaps', '--state', 'lost', '--admin', 'a:1'],
      2,
      '--state: expected one of CREATED, FUNDED',
    ],
    [
      'a seller that is away',
      () => ['offers', '--seller', '127.0.0.1:1'],
      4,
      'unavailable: expected an answer from 127.0.0.1:1',
    ],
  ])('%s ends with one clear line', async (_, args, code, message) => {
    const ended = await swap(...args());
    expect(ended).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) as string });
    expect(ended.stderr).not.toMatch(/\n\s+at /);
    expect(ended.stderr.trimEnd().split('\n').at(-1)).toContain(message.slice(0, 20));
  });

  it('is listed at once when a configuration has several problems', async () => {
    const path = file('two.toml', 'colour = 1\n[electrum]\nservers = "x"');
    const { stderr } = await start(['offers', '--config', path], { SWAP_NETWORK__NAME: 'mars' }).ended;
    for (const key of ['colour: ', 'electrum.servers: ', 'network.name: ']) expect(stderr).toContain(key);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('is JSON on stdout too where JSON was asked for', async () => {
    const { code, stdout } = await swap('offers', '--json', '--seller', '127.0.0.1:1');
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'unavailable' } });
  });

  /** A data directory with a mnemonic. */
  function initialized(): string {
    const path = join(dir, 'initialized');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'mnemonic'), `${'abandon '.repeat(11)}about`, { mode: 0o600 });
    return path;
  }
});

describe('help', () => {
  it('of the program names every command and every exit code, and succeeds', async () => {
    const { code, stdout } = await swap('--help');
    expect(code).toBe(0);
    for (const name of [
      'init',
      'address',
      'balance',
      'evidence',
      'offers',
      'quote',
      'create',
      'show',
      'watch',
      'verify',
      'pay',
      'claim',
      'buy',
      'history',
      'admin',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    expect(stdout).toContain('Exit codes: 0 done');
  });
});
