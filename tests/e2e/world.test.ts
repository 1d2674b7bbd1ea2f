import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../dist/sandbox/main.js', import.meta.url));
const BITCOIN_ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const LIQUID_ADDRESS = 'ert1qw508d6qejxtdg4y5r3zarvary0c5xw7kuu73e0';

type Finished = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

function finished(child: ChildProcess): Promise<Finished> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => {
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

const sandbox = (...args: string[]): Promise<Finished> => finished(spawn(process.execPath, [PROGRAM, ...args]));

type RunningWorld = { readonly child: ChildProcess; readonly end: Promise<Finished> };

async function startWorld(dir: string): Promise<RunningWorld> {
  const args = ['run', '--dir', dir, '--json', '--liquid-block-secs', '0', '--bitcoin-block-secs', '0'];
  const child = spawn(process.execPath, [PROGRAM, ...args]);
  const end = finished(child);
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('close', () => {
      reject(new Error('the world ended before it was ready'));
    });
  });
  expect(JSON.parse(line)).toMatchObject({ ready: true, world: join(dir, 'world.json') });
  return { child, end };
}

type Entry = { readonly pid: number; readonly address: string; readonly node_id: string };
type WorldJson = {
  readonly pid: number;
  readonly control: string;
  readonly assets: Record<string, { id: string; precision: number }>;
  readonly electrum: { readonly port: number };
  readonly swapd: Entry;
  readonly lnnoded: { readonly seller: Entry; readonly buyer: Entry };
};

let dir: string;
let running: RunningWorld;
const worldJson = (): WorldJson => JSON.parse(readFileSync(join(dir, 'world.json'), 'utf8')) as WorldJson;
const pids = (world: WorldJson): number[] => [world.swapd.pid, world.lnnoded.seller.pid, world.lnnoded.buyer.pid];

/** Performs a control command and returns its result. */
async function control(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await sandbox(...args, '--dir', dir, '--json');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`expected ${what} within 10 s`);
    await delay(20);
  }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'world-'));
  running = await startWorld(dir);
});
afterAll(async () => {
  running.child.kill('SIGTERM');
  await running.end;
  rmSync(dir, { recursive: true });
});

describe('a world', () => {
  it('tells everything in a private world.json', () => {
    expect(statSync(join(dir, 'world.json')).mode & 0o777).toBe(0o600);
    const world = worldJson();
    expect(world).toMatchObject({ version: 1, network: 'regtest', assets: { USDT: { precision: 8 } } });
    expect(pids(world).every(isAlive)).toBe(true);
  });

  it('mines, reorganizes and paces its chains on command', async () => {
    const before = (await control('status')) as { liquid: { height: number }; bitcoin: { height: number } };
    expect(await control('mine', 'liquid', '2')).toMatchObject({ height: before.liquid.height + 2 });
    expect(await control('mine', 'bitcoin', '1')).toMatchObject({ height: before.bitcoin.height + 1 });
    expect(await control('reorg', 'liquid', '2')).toMatchObject({ height: before.liquid.height + 3 });
    expect(await control('reorg', 'bitcoin', '1')).toMatchObject({ height: before.bitcoin.height + 2 });
    expect(await control('reorg', 'liquid', '1', '--drop')).toMatchObject({ height: before.liquid.height + 4 });
    expect(await control('floor', '250')).toEqual({ floor_sat_per_kvb: '250' });
    expect(await control('floor', '100')).toEqual({ floor_sat_per_kvb: '100' });
    await control('auto', 'liquid', '1');
    await delay(0);
    const height = async (): Promise<number> =>
      ((await control('status')) as { liquid: { height: number } }).liquid.height;
    const deadline = Date.now() + 30_000;
    while ((await height()) < before.liquid.height + 5) expect(Date.now()).toBeLessThan(deadline);
    await control('auto', 'liquid', '0');
  });

  it('pays any address in any asset', async () => {
    expect(await control('faucet', BITCOIN_ADDRESS, '0.5')).toMatchObject({
      chain: 'bitcoin',
      ticker: 'BTC',
      amount: '50000000',
      amount_units: '0.50000000',
    });
    expect(await control('faucet', LIQUID_ADDRESS, '1')).toMatchObject({ chain: 'liquid', ticker: 'L-BTC' });
    expect(await control('faucet', LIQUID_ADDRESS, '25', 'USDT')).toMatchObject({ amount: '2500000000' });
    const gold = await control('issue', 'GOLD', '1000', '2');
    expect(await control('faucet', LIQUID_ADDRESS, '1.5', String(gold['asset_id']))).toMatchObject({
      ticker: 'GOLD',
      amount: '150',
    });
    expect(worldJson().assets).toHaveProperty('GOLD', { id: gold['asset_id'], precision: 2 });
  });

  it('stops, kills and starts its programs by name, and keeps world.json right', async () => {
    const before = worldJson();
    expect(await control('stop', 'lnnoded-buyer')).toMatchObject({ state: 'stopped', pid: null });
    expect(worldJson().lnnoded.buyer.pid).toBeNull();
    expect(isAlive(before.lnnoded.buyer.pid)).toBe(false);
    expect(await control('kill', 'swapd')).toMatchObject({ state: 'stopped' });
    expect(await control('start', 'lnnoded-buyer')).toMatchObject({ state: 'running' });
    expect(await control('start', 'swapd')).toMatchObject({ state: 'running' });
    const after = worldJson();
    expect(after.lnnoded.buyer.node_id).toBe(before.lnnoded.buyer.node_id);
    expect(pids(after).every(isAlive)).toBe(true);
    expect((await sandbox('start', 'swapd', '--dir', dir)).stderr).toContain('expected a stopped process');
  });

  it('tells of a program that dies by itself, and goes on', async () => {
    let stderr = '';
    running.child.stderr?.on('data', (text: string) => (stderr += text));
    process.kill(worldJson().lnnoded.seller.pid, 'SIGKILL');
    await until('the news', () => stderr.includes('lnnoded-seller ended unexpectedly (SIGKILL)'));
    expect(await control('status')).toMatchObject({ processes: { 'lnnoded-seller': { state: 'died', pid: null } } });
    expect(await control('start', 'lnnoded-seller')).toMatchObject({ state: 'running' });
  });

  it('refuses a second run in its folder', async () => {
    const { code, stdout, stderr } = await sandbox('run', '--dir', dir);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^world_already_running: a world runs in .* already/m);
  });
});

describe('bad input', () => {
  it.each([
    [['mine', 'moon', '1'], 2, 'Allowed choices are liquid, bitcoin'],
    [['mine', 'liquid', '0'], 2, 'expected an integer 1..10000, found "0"'],
    [['mine', 'liquid', '1e3'], 2, 'expected an integer'],
    [['reorg', 'bitcoin', '9999'], 2, 'found 9999'],
    [['reorg', 'bitcoin', '1', '--drop'], 2, 'drop'],
    [['faucet', 'nowhere', '1'], 2, 'address'],
    [['faucet', LIQUID_ADDRESS, '-1'], 2, 'expected whole units'],
    [['faucet', LIQUID_ADDRESS, '0'], 2, 'more than 0'],
    [['faucet', LIQUID_ADDRESS, '0.123456789'], 2, 'at most 8 decimals'],
    [['faucet', LIQUID_ADDRESS, '1', 'NOPE'], 2, 'expected one of L-BTC, USDT'],
    [['faucet', LIQUID_ADDRESS, '2000000', 'USDT'], 1, 'faucet'],
    [['faucet', BITCOIN_ADDRESS, '1', 'USDT'], 2, 'for a Bitcoin address'],
    [['issue', 'USDT', '1'], 2, 'which exists'],
    [['issue', 'lower', '1'], 2, 'ticker'],
    [['stop', 'nobody'], 2, 'Allowed choices'],
    [['floor', 'x'], 2, 'expected an integer'],
    [['dance'], 2, 'unknown command'],
    [['status', '--wrong'], 2, 'unknown option'],
  ])('%j exits with %i and one line: %s', async (args, code, text) => {
    const known = args[0] === 'dance' ? [] : ['--dir', dir];
    const result = await sandbox(...args, ...known);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain(text);
    expect(result).toMatchObject({ code, stdout: '' });
  });

  it('tells that no world runs, with the code for "try again"', async () => {
    const { code, stderr } = await sandbox('status', '--dir', join(dir, 'nothing'));
    expect(code).toBe(4);
    expect(stderr).toMatch(/^world_unavailable: no world runs in/);
  });

  it('on the control socket gets an error answer for every line, and the world lives on', async () => {
    const lines = [
      '{',
      '7',
      'null',
      '{}',
      '{"command":"mine"}',
      '{"command":"status","x":1}',
      '{"command":"__proto__"}',
    ];
    const answers = await new Promise<string[]>((resolve, reject) => {
      const found: string[] = [];
      const socket = connect(worldJson().control, () => socket.write(`${lines.join('\n')}\n`));
      socket.on('error', reject);
      createInterface({ input: socket }).on('line', (line) => {
        if (found.push(line) === lines.length) {
          socket.destroy();
          resolve(found);
        }
      });
    });
    for (const answer of answers)
      expect(JSON.parse(answer)).toMatchObject({ ok: false, error: { code: 'invalid_argument' } });
    expect(await control('status')).toHaveProperty('pid', running.child.pid);
  });
});

describe('the end of a world', () => {
  it('ends every program on SIGINT with exit 0, and a second run continues it', async () => {
    const [before, status] = [worldJson(), await control('status')];
    running.child.kill('SIGINT');
    expect((await running.end).code).toBe(0);
    expect(pids(before).some(isAlive)).toBe(false);
    running = await startWorld(dir);
    const after = worldJson();
    expect(after.electrum).toEqual(before.electrum);
    expect(after.assets).toEqual(before.assets);
    expect(after.lnnoded.seller).toMatchObject({
      node_id: before.lnnoded.seller.node_id,
      address: before.lnnoded.seller.address,
    });
    expect(await control('status')).toMatchObject({
      liquid: { hash: (status['liquid'] as { hash: string }).hash },
      bitcoin: { hash: (status['bitcoin'] as { hash: string }).hash },
    });
  });

  it('takes its programs along when it is killed', async () => {
    const before = worldJson();
    running.child.kill('SIGKILL');
    await running.end;
    await until('no program to be left', () => !pids(before).some(isAlive));
    running = await startWorld(dir);
  });
});
