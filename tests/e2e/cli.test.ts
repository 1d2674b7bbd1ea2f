/** The real `swap` program: whole purchases in a world, a kill in the middle, and the operator's commands. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { hex, msat } from '../../src/core/units.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import { openShell, type TypedRun as Running } from '../support/shell.js';
import type { SwapEnd as Ended } from '../support/swapProgram.js';
import { eventually, liquidMempool, mempoolFilled, startTestWorld, type TestWorld } from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';

const REQUEST_ID = '8d6848c9-c2b3-451c-bc91-a2c858a6b4b6';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-cli-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});
const { start, swap, swapTyping } = openShell(() => dir);

/** Every file below a folder with its content. */
function filesIn(folder: string): Record<string, string> {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

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

  const lastLine = (running: Running, text: string): Promise<true> =>
    eventually(`"${text}" on stderr`, async () => Promise.resolve(running.stderr().includes(text) || undefined));

  /** The same, and whatever is sent meanwhile gets into a block. */
  const lastLineMining = (running: Running, text: string): Promise<true> =>
    eventually(`"${text}" on stderr`, async () => {
      if ((await liquidMempool(world)) > 0) await world.mine(1);
      return running.stderr().includes(text) || undefined;
    });

  it('makes a mnemonic once', async () => {
    const dataDir = join(world.dir, 'another');
    const { mnemonic } = await ask('init', '--data-dir', dataDir);
    expect(String(mnemonic).split(' ')).toHaveLength(24);
    expect(readFileSync(join(dataDir, 'mnemonic'), 'utf8').trim()).toBe(mnemonic);
    expect(await swap(...args('init', '--data-dir', dataDir))).toMatchObject({ code: 2 });
  });

  it('changes nothing in a dry run, neither on disk nor at the seller', async () => {
    const dataDir = join(world.dir, 'dry');
    const swapsBefore = await ask('admin', 'swaps');
    const dry = ['buy', '--asset', 'USDT', '--amount', '25', '--dry-run', '--data-dir', dataDir];
    expect(await ask(...dry)).toMatchObject({ dry_run: true, ok: true, quote: { price_msat: '26125000' } });
    expect(existsSync(dataDir)).toBe(false);
    expect((await swap(...args('init', '--data-dir', dataDir))).code).toBe(0);
    const before = filesIn(dataDir);
    const tried = [[], ['--pay', 'external'], ['--payout', 'bc1q'], ['--max-price-sat', '1']];
    const ends = await Promise.all(tried.map(async (more) => await swap(...args(...dry, ...more))));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 3, 3]);
    expect(ends.map(({ stdout }) => (JSON.parse(stdout) as { ok: boolean }).ok)).toEqual([true, true, false, false]);
    expect(filesIn(dataDir)).toEqual(before);
    expect(await ask('admin', 'swaps')).toEqual(swapsBefore);
  });

  it("refuses a seller that contradicts the buyer's own list of assets", async () => {
    const { USDT } = world.file().assets;
    const list = (name: string, ticker: string, id: string, precision: number): string => {
      const path = join(dir, name);
      writeFileSync(path, JSON.stringify([{ ticker, asset_id: id, precision }]));
      return path;
    };
    const id = USDT?.id ?? '';
    const quote = (path: string, asset: string): Promise<Ended> =>
      swap(...args('quote', '--assets', path, '--asset', asset, '--amount', '10'));
    expect(await quote(list('good.json', 'usdt', id, 8), 'USDT')).toMatchObject({ code: 0 });
    expect(await quote(list('two.json', 'USDT', id, 2), 'USDT')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('seller_answer_invalid: expected 2 decimals of USDT') as string,
    });
    expect(await quote(list('name.json', 'DOLLAR', id, 8), 'dollar')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('to be called DOLLAR, found that the seller calls it USDT') as string,
    });
    expect(await quote(list('other.json', 'USDT', '11'.repeat(32), 8), 'USDT')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`your own list of assets says is ${'11'.repeat(32)}`) as string,
    });
  });

  it('buys in one go, and history, balance and the operator agree', async () => {
    const running = start(args('buy', '--asset', 'usdt', '--amount', '25'));
    await lastLineMining(running, 'step paid');
    const { code, stdout } = await whileMining(world, running.ended);
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

  it('checks the evidence of what was bought offline, and a changed one proves nothing', async () => {
    const path = join(world.dir, 'buyer', 'swaps', '0000', 'evidence.json');
    const shown = await swap(...args('evidence', 'show', '0'));
    expect(shown).toMatchObject({ code: 0, stdout: readFileSync(path, 'utf8') });
    const { ended } = start(['evidence', 'verify', path, '--json']);
    expect(JSON.parse((await ended).stdout)).toMatchObject({ ok: true });
    const changed = join(dir, 'changed.json');
    writeFileSync(changed, shown.stdout.replace('2500000000', '2500000001'));
    const { code, stdout } = await swap('evidence', 'verify', changed);
    expect([code, stdout.includes('this evidence proves nothing')]).toEqual([3, true]);
  });

  it('brings coins back on another machine from the words', async () => {
    const words = readFileSync(join(world.dir, 'buyer', 'mnemonic'), 'utf8');
    const dataDir = join(world.dir, 'restored');
    const wrong = await swapTyping('abandon abandon\n', ...args('init', '--restore', '--data-dir', dataDir));
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('found 2') as string });
    const restored = await swapTyping(words, ...args('init', '--restore', '--data-dir', dataDir));
    expect(restored.code).toBe(0);
    expect(restored.stdout + restored.stderr).not.toContain(words.trim().split(' ')[3]);
    expect(await ask('balance', '--data-dir', dataDir)).toEqual(await ask('balance'));
  });

  it('buys step by step', async () => {
    const { quote } = await ask('quote', '--asset', 'USDT', '--amount', '12.5');
    const { quote_id: quoteId } = z.object({ quote_id: z.string() }).parse(quote);
    expect(await ask('create', quoteId)).toMatchObject({ step: 'created', number: 1 });
    expect(await swap(...args('claim', '1'))).toMatchObject({ code: 1 });
    expect(await swap(...args('verify', '1'))).toMatchObject({ code: 3 });
    await mempoolFilled(world, 'the funding');
    await world.mine(1);
    await eventually('a verification that passes', async () => {
      const verified = await swap(...args('verify', '1'));
      return verified.code === 0 ? true : undefined;
    });
    expect(await ask('verify', '1')).toMatchObject({ ok: true, max_total_cltv_delta: 60 });
    expect(await ask('pay', '1')).toMatchObject({ step: 'paid' });
    const kit = join(dir, 'kit.json');
    const written = readFileSync(join(world.dir, 'buyer', 'swaps', '0001', 'claim-kit.json'), 'utf8');
    const { preimage } = z.object({ preimage: z.string() }).parse(JSON.parse(written));
    writeFileSync(kit, written.replace(`"${preimage}"`, 'null'), { mode: 0o600 });
    const fromKit = (text: string): Promise<Ended> =>
      swapTyping(text, ...args('claim', '--kit', kit, '--preimage-stdin'));
    expect(await fromKit('11'.repeat(32))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('preimage: expected') as string,
    });
    const claimed = await whileMining(world, fromKit(`${preimage}\n`));
    expect(claimed).toMatchObject({ code: 0, stdout: expect.stringContaining('"kind":"claimed"') as string });
    expect(claimed.stderr).not.toContain(preimage);
    expect(await whileMining(world, start(args('claim', '1')).ended)).toMatchObject({ code: 0 });
    const watched = await swap(...args('watch', '1'));
    expect(watched.code).toBe(0);
    expect(JSON.parse(watched.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ status: 'CLAIMED' });
  });

  it('resumes a purchase that was killed after paying had begun', async () => {
    const running = start(args('buy', '--asset', 'USDT', '--amount', '10'));
    await lastLineMining(running, 'step paying');
    running.child.kill('SIGKILL');
    await running.ended;
    const again = start(args('buy', '--resume'));
    await lastLine(again, '#2 step paid');
    const { code, stdout } = await whileMining(world, again.ended);
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
    expect(interrupted.stderr).toContain('stopping. #3: Nothing was paid, and nothing will be while this is stopped');
    expect(interrupted.stderr).toContain('Ctrl-C again stops at once.');
    const late = await swap(...args('buy', '--resume', '3', '--timeout', '1'));
    expect(late.code).toBe(4);
    await world.mine(62);
    const over = await whileMining(world, start(args('buy', '--resume', '3')).ended);
    expect(over.code).toBe(5);
    expect(JSON.parse(over.stdout)).toMatchObject({ step: 'unpaid' });
  });

  it('pays from any wallet: shows the invoice, survives Ctrl-C and takes the preimage from stdin', async () => {
    const { address } = z.object({ address: z.string() }).parse(await ask('address'));
    const order = ['--asset', 'USDT', '--amount', '10', '--pay', 'external', '--payout', address];
    const running = start(args('buy', ...order));
    await lastLineMining(running, 'protected only against an honest seller');
    running.child.kill('SIGINT');
    const interrupted = await running.ended;
    expect(interrupted.code).toBe(4);
    expect(interrupted.stderr).toContain('stopping. #4: The payment may be on its way or done');

    const again = start(args('buy', '--resume', '4'));
    await lastLine(again, 'protected only against an honest seller');
    const [bolt11 = ''] = /^lnbcrt\w+$/m.exec(again.stderr()) ?? [];
    expect(again.stderr()).toMatch(/limit of the total CLTV delta \(timelock\) to 60 Bitcoin blocks/);
    expect(again.stderr()).not.toContain('▀');
    again.type('a secret that is none');
    await lastLine(again, 'expected the preimage (64 hex digits) or the word failed, found 21 other characters');
    again.type('11'.repeat(32));
    await lastLine(again, 'expected the preimage of payment hash');
    // Neither the seller nor the chain can tell the preimage then: the typed one alone goes on.
    again.child.kill('SIGSTOP');
    const secret = await payElsewhere(bolt11);
    await world.ask({ command: 'kill', name: 'swapd' });
    again.child.kill('SIGCONT');
    again.type(secret.toUpperCase());
    await lastLine(again, 'step paid');
    await world.ask({ command: 'start', name: 'swapd' });
    const ended = await whileMining(world, again.ended);
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ number: 4, step: 'claimed', payout_address: address });
    expect((ended.stdout + ended.stderr).toLowerCase()).not.toContain(secret);
    expect(ended.stderr).not.toMatch(/a secret that|1111111111/);
  });

  it('ends a purchase unpaid when the person says that the payment failed', async () => {
    const running = start(args('buy', '--asset', 'USDT', '--amount', '10', '--pay', 'external'));
    await lastLineMining(running, 'protected only against an honest seller');
    running.type('failed');
    const ended = await running.ended;
    expect(ended.code).toBe(5);
    expect(JSON.parse(ended.stdout)).toMatchObject({ number: 5, step: 'unpaid' });
    expect(await ask('history', '--open')).toEqual({ purchases: [], totals: [] });
  });

  /** Pays with the buyer's node, behind the back of the program. @returns the preimage. */
  async function payElsewhere(bolt11: string): Promise<string> {
    const { address, token_file: tokenFile } = world.file().lnnoded.buyer;
    const node = connectLnnoded({ address, tokenFile, log: createLogger('wallet', 'silent') });
    try {
      const paid = await node.pay({ bolt11, maxFeeMsat: msat(100_000n), maxTotalCltvDelta: 60, timeoutSecs: 60 });
      if (paid.state !== 'SUCCEEDED') throw new Error(`expected a payment that arrives, found ${paid.state}`);
      return hex(paid.preimage);
    } finally {
      node.close();
    }
  }

  it('puts no colours into a pipe', async () => {
    const { stdout, stderr } = await start(['verify', '0', '--world', join(world.dir, 'world.json')], {
      FORCE_COLOR: '1',
    }).ended;
    expect(stdout).toContain('FAIL outpoint_spent');
    expect(stdout + stderr).not.toContain('\x1b');
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
    const payouts = [
      ['bc1q', 'payout address: expected a Liquid address like ert1... or el1..., found a Bitcoin address'],
      [
        'ex1qw508d6qejxtdg4y5r3zarvary0c5xw7kxw5fx4',
        'payout address: expected an address of regtest, found one of liquidv1',
      ],
      [
        'ert1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
        'payout address: expected a valid checksum, found a typing error',
      ],
    ] as const;
    await Promise.all(
      payouts.map(async ([payout, problem]) => {
        const ended = await swap(...args('buy', '--payout', payout, '--asset', 'USDT', '--amount', '10'));
        expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining(problem) as string });
      }),
    );
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
    const texts = [['show', id], ['drain'], ['principals'], ['swaps'], ['balance']];
    const ends = await Promise.all(
      texts.map(async (text) => await swap('admin', ...text, '--world', join(world.dir, 'world.json'))),
    );
    for (const { code, stdout } of ends) expect([code, stdout.includes('undefined')]).toEqual([0, false]);
    expect(await ask('admin', 'resume')).toEqual({ paused: false });
  });
});
