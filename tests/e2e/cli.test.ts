/** The real `swap` program: wrong input, whole purchases in a world, and a kill in the middle. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';

import { eventually, startTestWorld, type TestWorld } from '../support/testWorld.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const REQUEST_ID = '8d6848c9-c2b3-451c-bc91-a2c858a6b4b6';

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
type Running = { readonly child: ChildProcess; readonly stderr: () => string; readonly ended: Promise<Ended> };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-cli-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...process.env, HOME: dir, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
  return { child, stderr: () => stderr, ended };
}

const swap = (...args: string[]): Promise<Ended> => start(args).ended;

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

describe('in a world', () => {
  let world: TestWorld;
  const args = (...more: string[]): string[] => [...more, '--world', join(world.dir, 'world.json'), '--json'];
  const ask = async (...more: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await swap(...args(...more));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return z.record(z.string(), z.unknown()).parse(JSON.parse(stdout));
  };

  beforeAll(async () => {
    world = await startTestWorld();
  });
  afterAll(async () => {
    await world.close();
  });

  /** Mines while a program runs, so that whatever it waits for happens. */
  async function whileMining({ ended }: Pick<Running, 'ended'>): Promise<Ended> {
    let isOver = false;
    const end = ended.finally(() => {
      isOver = true;
    });
    await eventually('the end of the program', async () => {
      if (!isOver) await world.mine(1);
      return isOver || undefined;
    });
    return await end;
  }

  const lastLine = (running: Running, text: string): Promise<true> =>
    eventually(`"${text}" on stderr`, async () => Promise.resolve(running.stderr().includes(text) || undefined));

  it('makes a mnemonic once', async () => {
    const dataDir = join(world.dir, 'another');
    const { mnemonic } = await ask('init', '--data-dir', dataDir);
    expect(String(mnemonic).split(' ')).toHaveLength(24);
    expect(readFileSync(join(dataDir, 'mnemonic'), 'utf8').trim()).toBe(mnemonic);
    expect(await swap(...args('init', '--data-dir', dataDir))).toMatchObject({ code: 2 });
  });

  it('buys in one go, and history, balance and the operator agree', async () => {
    const { code, stdout } = await whileMining(start(args('buy', '--asset', 'usdt', '--amount', '25')));
    expect(code).toBe(0);
    const bought: unknown = JSON.parse(stdout);
    expect(bought).toMatchObject({ step: 'claimed', asset_amount: '2500000000', ticker: 'USDT' });
    expect(await ask('history')).toMatchObject({ purchases: [bought] });
    expect(await ask('balance')).toMatchObject({
      balances: expect.arrayContaining([
        expect.objectContaining({ ticker: 'USDT', confirmed: '2500000000', unconfirmed: '0' }),
      ]) as unknown,
    });
    const { swaps } = await ask('admin', 'swaps');
    expect(swaps).toMatchObject([{ swap: { payment_status: 'SETTLED', asset_amount: '2500000000' } }]);
    const text = await swap('show', '0', '--world', join(world.dir, 'world.json'));
    expect(text.stdout).toMatch(/payment +SETTLED[^]*25.00000000 USDT \(2500000000\)/);
  });

  it('buys step by step', async () => {
    const { quote } = await ask('quote', '--asset', 'USDT', '--amount', '12.5');
    const { quote_id: quoteId } = z.object({ quote_id: z.string() }).parse(quote);
    expect(await ask('create', quoteId)).toMatchObject({ step: 'created', number: 1 });
    expect(await swap(...args('claim', '1'))).toMatchObject({ code: 1 });
    expect(await swap(...args('verify', '1'))).toMatchObject({ code: 3 });
    await world.mine(1);
    await eventually('a verification that passes', async () => {
      const verified = await swap(...args('verify', '1'));
      return verified.code === 0 ? true : undefined;
    });
    expect(await ask('verify', '1')).toMatchObject({ ok: true, max_total_cltv_delta: 60 });
    expect(await ask('pay', '1')).toMatchObject({ step: 'paid' });
    expect(await whileMining(start(args('claim', '1')))).toMatchObject({ code: 0 });
    const watched = await swap(...args('watch', '1'));
    expect(watched.code).toBe(0);
    expect(JSON.parse(watched.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ status: 'CLAIMED' });
  });

  it('resumes a purchase that was killed after paying had begun', async () => {
    const running = start(args('buy', '--asset', 'USDT', '--amount', '10'));
    await lastLine(running, 'step created');
    await world.mine(1);
    await lastLine(running, 'step paying');
    running.child.kill('SIGKILL');
    await running.ended;
    const { code, stdout } = await whileMining(start(args('buy', '--resume')));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ purchases: [{ number: 2, step: 'claimed' }] });
    expect(await ask('buy', '--resume')).toEqual({ purchases: [] });
  });

  it('ends with 4 when it is interrupted or out of time, and says how to go on', async () => {
    const running = start(args('buy', '--asset', 'USDT', '--amount', '10'));
    await lastLine(running, 'step created');
    running.child.kill('SIGINT');
    const interrupted = await running.ended;
    expect(interrupted).toMatchObject({ code: 4, stderr: expect.stringContaining('swap buy --resume 3') as string });
    const late = await swap(...args('buy', '--resume', '3', '--timeout', '1'));
    expect(late.code).toBe(4);
    await world.mine(62);
    const over = await whileMining(start(args('buy', '--resume', '3')));
    expect(over.code).toBe(5);
    expect(JSON.parse(over.stdout)).toMatchObject({ step: 'unpaid' });
  });

  it('refuses what is not for sale, and amounts that are not exact', async () => {
    const quote = (asset: string, amount: string): Promise<Ended> =>
      swap(...args('quote', '--asset', asset, '--amount', amount));
    expect(await quote('NOPE', '1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('unknown_asset') as string,
    });
    expect(await quote('USDT', '0.000000001')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('at most 8 decimals') as string,
    });
    const tooSmall = await quote('USDT', '0.1');
    expect(tooSmall).toMatchObject({ code: 2, stderr: expect.stringContaining('asset_amount') as string });
    const dear = ['--max-price-sat', '1', '--asset', 'USDT', '--amount', '10'];
    expect(await swap(...args('buy', ...dear))).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('expected a price of at most') as string,
    });
    expect(await swap(...args('buy', '--payout', 'bc1q', '--asset', 'USDT', '--amount', '10'))).toMatchObject({
      code: 2,
    });
  });

  it('serves the operator', async () => {
    expect(await ask('admin', 'status')).toMatchObject({ network: 'regtest', modes: [], is_lightning_ready: true });
    expect(await ask('admin', 'pause', '--reason', 'a test')).toEqual({ paused: true, reason: 'a test' });
    expect(await ask('admin', 'status')).toMatchObject({ modes: ['PAUSED'] });
    expect(await swap(...args('quote', '--asset', 'USDT', '--amount', '10'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('paused:') as string,
    });
    expect(await ask('admin', 'resume')).toEqual({ paused: false });
    const { address } = await ask('admin', 'address');
    expect(address).toMatch(/^el1/);
    const set = await ask('admin', 'offer', 'set', '--asset', 'USDT', '--spread-ppm', '10000', '--min-amount', '11');
    expect(set).toMatchObject({ offer: { spread_ppm: 10_000, min_asset_amount: '1100000000' } });
    expect(await ask('admin', 'offer', 'list')).toMatchObject({
      offers: expect.arrayContaining([expect.objectContaining({ ticker: 'USDT', spread_ppm: 10_000 })]) as unknown,
    });
    const own = z.object({ address: z.string() }).parse(await ask('balance'));
    const sent = ['--asset', 'USDT', '--amount', '3', '--address', own.address, '--request-id', REQUEST_ID];
    const first = await ask('admin', 'withdraw', ...sent);
    expect(await ask('admin', 'withdraw', ...sent)).toEqual(first);
    expect(first).toMatchObject({ request_id: REQUEST_ID, txid: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    const again = randomUUID();
    const split = await ask('admin', 'split', 'USDT', '3', '--request-id', again);
    expect(await ask('admin', 'split', 'USDT', '3', '--request-id', again)).toEqual(split);
    expect(await swap(...args('admin', 'split', 'USDT', '21'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('parts: expected an integer 2..20, found "21"') as string,
    });
    await world.mine(2);
  });

  it('shows the operator swaps, buyers and what is open, and gives out tokens and backups', async () => {
    const listed = z.object({ swaps: z.array(z.object({ swap: z.object({ swap_id: z.string() }) })) });
    const [newest] = listed.parse(await ask('admin', 'swaps', '--limit', '1')).swaps;
    const id = newest?.swap.swap_id ?? '';
    const shown = await ask('admin', 'show', id);
    expect(shown).toMatchObject({
      swap: { swap: { swap_id: id }, principal: 'local' },
      events: expect.arrayContaining([expect.objectContaining({ kind: 'invoice_created' })]) as unknown,
      transactions: expect.arrayContaining([expect.objectContaining({ kind: 'funding', version: 1 })]) as unknown,
    });
    expect(await swap(...args('admin', 'show', '00'.repeat(16)))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('swap_not_found') as string,
    });
    expect(await ask('admin', 'drain')).toMatchObject({
      paused: true,
      reason: expect.stringMatching(/drain/) as string,
    });
    expect(await ask('admin', 'resume')).toEqual({ paused: false });
    const { token } = z.object({ token: z.string() }).parse(await ask('admin', 'token', 'add', 'alice'));
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(await ask('admin', 'principals')).toMatchObject({
      principals: expect.arrayContaining([expect.objectContaining({ name: 'alice', has_token: true })]) as unknown,
    });
    expect(await ask('admin', 'token', 'revoke', 'alice')).toEqual({ name: 'alice', revoked: true });
    expect(await swap(...args('admin', 'token', 'revoke', 'alice'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('principal_not_found') as string,
    });
    const path = join(dir, 'copy.sqlite');
    expect(await ask('admin', 'backup', path)).toEqual({ path });
    expect(readFileSync(path).subarray(0, 15).toString()).toBe('SQLite format 3');
    expect(await swap(...args('admin', 'backup', path))).toMatchObject({ code: 2 });
    for (const text of [['show', id], ['drain'], ['principals'], ['swaps'], ['balance'], ['resume']]) {
      const { code, stdout } = await swap('admin', ...text, '--world', join(world.dir, 'world.json'));
      expect([code, stdout.includes('undefined')]).toEqual([0, false]);
    }
  });
});
