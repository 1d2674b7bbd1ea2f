/** A node on an older copy of its database: it must not run its channels, and gets its coins back all the same. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ChannelState, InvoiceState, PaymentState } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
import { newSecret, startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';

const PROGRAM = fileURLToPath(new URL('../../dist/lnnode/main.js', import.meta.url));
const LATE_MS = 60_000;

let world: LightningWorld;
let dir: string;

beforeAll(async () => {
  world = await startLightningWorld(['alice', 'bob']);
  dir = dirname(world.peer('alice').process.tokenFile);
}, 120_000);

afterAll(async () => {
  await world.close();
});

/** Runs alice's program to its end. */
function lnnoded(...words: readonly string[]): { code: number | null; text: string } {
  const run = spawnSync(process.execPath, [PROGRAM, ...words, '--config', join(dir, 'lnnoded.toml')], {
    encoding: 'utf8',
    timeout: LATE_MS,
  });
  return { code: run.status, text: run.stdout + run.stderr };
}

const database = (name: string): string => join(dir, 'data', name);

async function pay(bolt11: string, timeoutSecs = 30): Promise<PaymentState | undefined> {
  const request = { bolt11, maxFeeMsat: 10_000n, maxTotalCltvDelta: 1000, timeoutSecs };
  return (await world.peer('alice').client.payInvoice(request)).payment?.state;
}

const confirmed = async (): Promise<bigint> => (await world.peer('alice').client.walletBalance({})).confirmedSats;

describe('an older copy of the database', () => {
  const copy = (): string => join(dir, 'copy.sqlite');

  it('is made while the node runs, with a payment under way that ends later', { timeout: LATE_MS }, async () => {
    await world.openChannel({ from: 'alice', to: 'bob', capacitySats: 1_000_000n, pushMsat: 300_000_000n });
    const { client: bob } = world.peer('bob');
    const held = Buffer.from(newSecret().paymentHash, 'hex');
    const terms = { amountMsat: 50_000_000n, descriptionHash: Buffer.alloc(32, 7), expirySecs: 600 };
    const { bolt11 } = await bob.createHoldInvoice({ paymentHash: held, ...terms });
    expect(await pay(bolt11, 1)).toBe(PaymentState.IN_FLIGHT);
    const state = async () => (await bob.lookupInvoice({ paymentHash: held })).invoice?.state;
    await eventually('the held payment', async () => (await state()) === InvoiceState.HELD);

    expect(lnnoded('backup', copy())).toMatchObject({ code: 0 });
    expect(lnnoded('backup', copy())).toMatchObject({ code: 2, text: expect.stringContaining('nothing is') as string });

    await bob.cancelInvoice({ paymentHash: held });
    const open = await bob.createInvoice({ amountMsat: 100_000_000n, description: 'after the copy', expirySecs: 600 });
    expect(await pay(open.bolt11)).toBe(PaymentState.SUCCEEDED);
  });

  it('is refused at the start, and so is a database without its file', { timeout: LATE_MS }, async () => {
    expect(await world.halt('alice', 'SIGTERM')).toBe(0);
    expect(lnnoded('accept-restore')).toMatchObject({ code: 3, text: expect.stringContaining('newest') as string });
    copyFileSync(database('generation'), join(dir, 'generation.kept'));
    rmSync(database('generation'));
    expect(lnnoded()).toMatchObject({
      code: 3,
      text: expect.stringMatching(/file .*generation .* is missing/) as string,
    });
    copyFileSync(join(dir, 'generation.kept'), database('generation'));

    for (const end of ['', '-wal', '-shm']) rmSync(database(`lnnoded.sqlite${end}`), { force: true });
    copyFileSync(copy(), database('lnnoded.sqlite'));
    const refused = lnnoded();
    expect(refused).toMatchObject({
      code: 3,
      text: expect.stringContaining('an older database was put back') as string,
    });
    expect(refused.text).toContain('accept-restore');
    expect(world.chain.mempoolTxids()).toEqual([]);
  });

  it('gives its channels up once it is accepted, and never sends what is revoked', { timeout: LATE_MS }, async () => {
    expect(lnnoded('accept-restore')).toMatchObject({ code: 0 });
    await world.halt('bob', 'SIGTERM'); // nobody is there to close the channel
    await world.resume('alice');
    await world.mine(400); // the payment of the copy is long over: LDK would take it from its own old state
    const { channels } = await world.peer('alice').client.listChannels({});
    expect(channels.map(({ state, isUsable }) => [state, isUsable])).toEqual([[ChannelState.SWEEPING, false]]);
    expect(world.chain.mempoolTxids()).toEqual([]);
    await world.restart('alice', 'SIGKILL');
    await world.mine(1);
    expect(world.chain.mempoolTxids()).toEqual([]);
  });

  it('gets its coins back from the state that the peer closes', { timeout: 2 * LATE_MS }, async () => {
    const before = await confirmed();
    await world.resume('bob');
    await eventually("the peer's closing", () => world.chain.mempoolTxids().length > 0, LATE_MS);
    await eventually(
      'the coins',
      async () => {
        await world.mine(1);
        return (await confirmed()) > before;
      },
      LATE_MS,
    );
    const back = (await confirmed()) - before; // 1,000,000 less 300,000 pushed and 100,000 paid, less fees
    expect(back).toBeLessThan(600_000n);
    expect(back).toBeGreaterThan(590_000n);
    await world.openChannel({ from: 'alice', to: 'bob', capacitySats: 200_000n });
    const { client: bob } = world.peer('bob');
    const { bolt11 } = await bob.createInvoice({ amountMsat: 1_000_000n, description: 'goes on', expirySecs: 600 });
    expect(await pay(bolt11)).toBe(PaymentState.SUCCEEDED);
  });
});
