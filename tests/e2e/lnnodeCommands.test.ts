/** `swap lnnode ...` as its operator uses it: real programs, two nodes, one channel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { txid } from '../../src/core/units.js';
import { eventually as eventuallySoon } from '../support/eventually.js';
import { startLightningWorld, type LightningWorld } from '../support/lightningWorld.js';
import { startSwap, type SwapEnd, type SwapRun } from '../support/swapProgram.js';

const MESSAGE_TYPE = '32769';
/** A point that is no node's key: the generator of secp256k1. */
const STRANGER = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
/** Every look is a process of its own. */
const eventually = <T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> =>
  eventuallySoon(what, probe, 60_000);

let world: LightningWorld;

beforeAll(async () => {
  world = await startLightningWorld(['alice', 'bob']);
}, 120_000);

afterAll(async () => {
  await world.close();
});

function start(name: string, ...words: readonly string[]): SwapRun {
  const { process: node } = world.peer(name);
  const access = ['--lightning-address', node.ready.grpc, '--lightning-token-file', node.tokenFile];
  return startSwap(['lnnode', ...words, ...access]);
}

const swap = (name: string, ...words: readonly string[]): Promise<SwapEnd> => start(name, ...words).ended;

/** One run with --json; its one object. */
async function json<S extends z.ZodType>(schema: S, name: string, ...words: readonly string[]): Promise<z.output<S>> {
  const { code, stdout, stderr } = await swap(name, ...words, '--json');
  expect([code, stderr.split('\n').filter((line) => /error|refused/i.test(line))]).toEqual([0, []]);
  return schema.parse(JSON.parse(stdout));
}

const idOf = (name: string): string => world.peer(name).process.ready.node_id;
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

describe('the operator of a Lightning node', () => {
  it('opens a channel, is paid, pays, and closes, with commands only', { timeout: 180_000 }, async () => {
    const info = z.object({ node_id: z.string(), network: z.literal('regtest'), is_synced: z.literal(true) });
    expect((await json(info, 'alice', 'info')).node_id).toBe(idOf('alice'));

    const { address } = await json(z.object({ address: z.string() }), 'alice', 'address');
    world.chain.faucet(address, 2_000_000n);
    await world.mine(1);
    const balance = z.object({ confirmed_sats: z.string() });
    await eventually('coins', async () => (await json(balance, 'alice', 'balance')).confirmed_sats === '2000000');

    const bob = `${idOf('bob')}@${world.peer('bob').process.ready.p2p}`;
    expect(await swap('alice', 'connect', bob)).toMatchObject({ code: 0, stdout: `connected to ${idOf('bob')}\n` });
    const peers = await swap('alice', 'peers');
    expect(peers.stdout).toMatch(new RegExp(`${idOf('bob')} +connected +127\\.0\\.0\\.1:`));

    const opening = z.object({ channel_id: hex64, funding_txid: hex64 });
    const opened = await json(opening, 'alice', 'open', idOf('bob'), '1000000', '--push-sats', '400000');
    expect(world.chain.transaction(txid(opened.funding_txid))).toBeDefined(); // the id is in display order
    await world.mine(6);
    const channel = z.object({ state: z.string(), is_usable: z.boolean(), capacity_msat: z.string() });
    const channels = z.object({ channels: z.array(channel) });
    await eventually('a usable channel', async () => {
      const [first] = (await json(channels, 'alice', 'channels')).channels;
      return first?.is_usable === true && first.state === 'READY' && first.capacity_msat === '1000000000';
    });

    const waiting = start('bob', 'invoice', '25000', '--label', 'rent', '--wait', '--json');
    let line = '';
    await eventually('an invoice', async () => {
      const list = z.object({ invoices: z.array(z.object({ bolt11: z.string(), state: z.string() })) });
      const [first] = (await json(list, 'bob', 'invoices', '--label', 'ren')).invoices;
      line = first?.bolt11 ?? '';
      return first?.state === 'OPEN';
    });
    expect((await swap('alice', 'decode', line)).stdout).toContain('25000 sat (25000000 msat)');
    const payment = z.object({ state: z.literal('SUCCEEDED'), preimage: hex64, amount_msat: z.literal('25000000') });
    await json(payment, 'alice', 'pay', line);
    const paid = await waiting.ended;
    expect([paid.code, paid.stdout.trim().split('\n').length]).toEqual([0, 2]);
    expect(JSON.parse(paid.stdout.trim().split('\n')[1] ?? '')).toMatchObject({ state: 'SETTLED', label: 'rent' });
    expect((await swap('alice', 'pay', line)).code).toBe(0); // the same payment again, not another one
    const payments = z.object({ payments: z.array(payment) });
    expect((await json(payments, 'alice', 'payments')).payments).toHaveLength(1);

    const sent = z.object({ txid: hex64, idempotency_key: z.string() });
    const first = await json(sent, 'alice', 'send', address, '100000', '--idempotency-key', 'move-1');
    const again = await json(sent, 'alice', 'send', address, '100000', '--idempotency-key', 'move-1');
    expect(again.txid).toBe(first.txid);
    const bumped = await json(z.object({ txid: hex64 }), 'alice', 'bump', first.txid, '--sat-per-kvb', '20000');
    expect(bumped.txid).not.toBe(first.txid);

    expect((await swap('alice', 'close', opened.channel_id)).code).toBe(0);
    await eventually('the closing', async () => {
      const [left] = (await json(channels, 'alice', 'channels')).channels;
      return left?.state !== 'READY';
    });
    expect(await swap('alice', 'disconnect', idOf('bob'), '--force')).toMatchObject({ code: 0 });
  });

  it('sees messages of peers as they come, until Ctrl-C', { timeout: 60_000 }, async () => {
    const { process: bob } = world.peer('bob');
    await swap('alice', 'connect', `${idOf('bob')}@${bob.ready.p2p}`);
    const tail = start('bob', 'messages', 'tail', '--type', MESSAGE_TYPE, '--json');
    let stdout = '';
    tail.child.stdout?.on('data', (text: string) => (stdout += text));
    await eventually('the subscription', () => Promise.resolve(tail.stderr().includes('listening')));
    expect(await swap('alice', 'messages', 'send', idOf('bob'), MESSAGE_TYPE, '68656c6c6f')).toMatchObject({ code: 0 });
    await eventually('the message', () => Promise.resolve(stdout.includes('\n')));
    expect(JSON.parse(stdout)).toMatchObject({ node_id: idOf('alice'), type: 32_769, payload: '68656c6c6f' });
    tail.child.kill('SIGINT');
    expect((await tail.ended).code).toBe(0);
  });
});

describe('a wrong word', () => {
  it.each([
    [['send', 'x', '1000', '--idempotency-key', ''], /--idempotency-key: expected at least 1 characters, found ""/],
    [['open', 'zz', '1000'], /node id: expected 66 hex digits, found "zz"/],
    [['open', '02'.repeat(33), 'many'], /sats: expected an integer/],
    [['connect', '02'.repeat(33)], /peer: expected NODE_ID@HOST:PORT/],
    [['close', '00'], /channel id: expected 64 hex digits/],
    [['messages', 'tail', '--type', '17'], /--type: expected a type 32768\.\.65535/],
    [['messages', 'send', '02'.repeat(33), '32769', 'xyz'], /hex: expected an even number of hex digits/],
  ])('is refused before the node is asked: %j', async (words, message) => {
    const { code, stderr } = await swap('alice', ...words);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
  it('that only the node can judge is refused with its own code', async () => {
    const close = await swap('alice', 'close', '00'.repeat(32));
    expect([close.code, close.stderr.trim()]).toEqual([1, expect.stringMatching(/^channel_not_found: /)]);
    const invoice = await swap('alice', 'pay', 'lnbcrt1nonsense');
    expect([invoice.code, invoice.stderr.trim()]).toEqual([2, expect.stringMatching(/^invalid_argument: /)]);
  });
  it('is told in words for people', async () => {
    const invoice = await swap('alice', 'invoice', '0');
    expect([invoice.code, invoice.stderr]).toEqual([2, 'invalid_argument: amount_msat: expected more than 0\n']);
    const away = await swap('alice', 'connect', `${STRANGER}@127.0.0.1:1`);
    expect([away.code, away.stderr]).toEqual([4, expect.stringMatching(/^peer_unreachable: .*; try again\n$/)]);
    const small = await swap('alice', 'open', idOf('bob'), '10');
    expect([small.code, small.stderr]).toEqual([1, expect.not.stringContaining('APIError')]);
  });
  it('of access is refused', async () => {
    const { process: bob } = world.peer('bob');
    const access = ['--lightning-address', world.peer('alice').process.ready.grpc];
    const nowhere = await startSwap(['lnnode', 'info', '--lightning-address', 'nowhere']).ended;
    expect([nowhere.code, nowhere.stderr]).toEqual([
      2,
      expect.stringContaining('lightning.address: expected host:port'),
    ]);
    const without = await startSwap(['lnnode', 'info', ...access]).ended;
    const foreign = await startSwap(['lnnode', 'info', ...access, '--lightning-token-file', bob.tokenFile]).ended;
    expect([without.code, foreign.code]).toEqual([2, 2]);
    expect(without.stderr + foreign.stderr).toMatch(/unauthenticated: .*\n.*unauthenticated: /);
  });
});
