/** What a Lightning node costs: its cold start, a payment, and the memory that payments leave behind. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { msat } from '../../src/core/units.js';
import { startLightningWorld, type LightningWorld, type Peer } from '../support/lightningWorld.js';
import { medianOf, printFigure, timed } from './figure.js';

const STARTS = 5;
const CHANNELS = 10;
const CHANNEL_SATS = 1_000_000n;
const SEQUENTIAL = 100;
const PARALLEL = 8;
const MANY = 1_000;
const AMOUNT_MSAT = 100_000n;

let world: LightningWorld;
let payer: Peer;
let payee: Peer;
let emptyStartMs: number;
let emptyCallMs: number;

beforeAll(async () => {
  world = await startLightningWorld(['payer', 'payee']);
  payer = world.peer('payer');
  payee = world.peer('payee');
  emptyStartMs = await medianOf(STARTS, () => promisify(execFile)(process.execPath, ['-e', '0']));
  await medianOf(50, () => payer.client.getNodeInfo({}));
  emptyCallMs = await medianOf(400, () => payer.client.getNodeInfo({}));
});
afterAll(async () => {
  await world.close();
});

/** Median from the start of the process to its ready line, which comes when it answers calls. */
async function coldStart(name: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i += 1) {
    await world.halt(name, 'SIGTERM');
    times.push(await timed(() => world.resume(name)));
  }
  return times.sort((a, b) => a - b)[Math.floor(STARTS / 2)] ?? Number.NaN;
}

async function pay(): Promise<void> {
  const { bolt11 } = await payee.client.createInvoice({ amountMsat: AMOUNT_MSAT, description: 'x', expirySecs: 3600 });
  const limits = { maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 30 };
  expect((await payer.port.pay({ bolt11, ...limits })).state).toBe('SUCCEEDED');
}

/** Payments in parallel. @returns payments a second */
async function payMany(count: number): Promise<number> {
  let left = count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await pay();
    }
  };
  const ms = await timed(() => Promise.all(Array.from({ length: PARALLEL }, work)));
  return (count * 1_000) / ms;
}

type Size = { readonly rssMib: number; readonly heapMib: number; readonly diskMib: number };

async function sizeOf({ process: program, client }: Peer): Promise<Size> {
  const status = readFileSync(`/proc/${String(program.pid)}/status`, 'utf8');
  const { heapBytes } = await client.getNodeInfo({});
  return {
    rssMib: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    heapMib: Number(heapBytes) / 2 ** 20,
    diskMib: statSync(join(program.dataDir, 'lnnoded.sqlite')).size / 2 ** 20,
  };
}

it('cold start', async () => {
  const baseline = { what: 'an empty Node program', value: emptyStartMs };
  const bare = await coldStart('payee');
  printFigure('cold start of a Lightning node, no channels', { value: bare, unit: 'ms' }, baseline);
  for (let i = 0; i < CHANNELS; i += 1) {
    await world.openChannel({ from: 'payer', to: 'payee', capacitySats: CHANNEL_SATS });
  }
  const loaded = await coldStart('payee');
  printFigure(`cold start of a Lightning node, ${CHANNELS} channels`, { value: loaded, unit: 'ms' }, baseline);
  await world.allUsable();
});

it('payments', async () => {
  await payMany(20);
  const times: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i += 1) times.push(await timed(pay));
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(SEQUENTIAL * share)] ?? Number.NaN;
  const baseline = { what: 'an empty call', value: emptyCallMs };
  printFigure('a payment, invoice included, median', { value: at(0.5), unit: 'ms' }, baseline);
  printFigure('a payment, invoice included, 99th of 100', { value: at(0.99), unit: 'ms' }, baseline);
  const perSecond = await payMany(200);
  const alone = { what: 'one after the other', value: 1_000 / at(0.5) };
  printFigure(`payments a second, ${PARALLEL} at a time`, { value: perSecond, unit: '/s' }, alone);
});

it('memory', async () => {
  const before = { payer: await sizeOf(payer), payee: await sizeOf(payee) };
  await payMany(MANY);
  for (const name of ['payer', 'payee'] as const) {
    const after = await sizeOf(world.peer(name));
    const was = before[name];
    for (const [what, key] of [
      ['memory of LDK', 'heapMib'],
      ['resident memory', 'rssMib'],
      ['database', 'diskMib'],
    ] as const) {
      const value = after[key] - was[key];
      printFigure(
        `${what} that ${MANY} payments add, ${name}`,
        { value, unit: 'MiB' },
        { what: 'before, MiB', value: was[key] },
      );
    }
  }
});
