/** The Esplora server of the sandbox, over real HTTP. */
import { createHash } from 'node:crypto';

import { address as addresses, networks } from 'bitcoinjs-lib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { reversedBytes } from '../../../src/core/units.js';
import { openBitcoinChain, type BitcoinChain } from '../../../src/sandbox/bitcoin/chain.js';
import { listenEsplora } from '../../../src/sandbox/bitcoin/esploraServer.js';
import type { HttpServer } from '../../../src/sandbox/bitcoin/httpServer.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const UNKNOWN = '00'.repeat(32);

let chain: BitcoinChain;
let server: HttpServer;

beforeEach(async () => {
  chain = openBitcoinChain();
  server = await listenEsplora(chain, { host: '127.0.0.1', port: 0, feeEstimates: () => ({ 6: 1.5 }) });
});

afterEach(async () => {
  await server.close();
  chain.close();
});

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();
const get = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${server.port}${path}`, init);
const text = async (path: string): Promise<string> => (await get(path)).text();
const json = async (path: string): Promise<unknown> => (await get(path)).json();

describe('blocks', () => {
  it('are found by height and hash', async () => {
    expect(await text('/blocks/tip/hash')).toBe(chain.tip.hash);
    expect(await text('/blocks/tip/height')).toBe('120');
    expect(await text('/block-height/0')).toBe('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206');
    const header = Buffer.from(await text(`/block/${chain.tip.hash}/header`), 'hex');
    expect(header).toHaveLength(80);
    expect(sha256(sha256(header)).reverse().toString('hex')).toBe(chain.tip.hash);
    const raw = Buffer.from(await (await get(`/block/${chain.tip.hash}/raw`)).arrayBuffer());
    expect(raw.subarray(0, 80).equals(header)).toBe(true);
  });
  it('that a reorg took off the chain say so', async () => {
    const { hash } = chain.mine(1).map((mined) => ({ hash: mined }))[0] ?? { hash: '' };
    expect(await json(`/block/${hash}/status`)).toEqual({ in_best_chain: true, height: 121 });
    chain.reorg(1);
    expect(await json(`/block/${hash}/status`)).toEqual({ in_best_chain: false });
    expect(await json(`/block/${chain.blockAt(121)?.hash ?? ''}/status`)).toMatchObject({ next_best: chain.tip.hash });
  });
});

describe('a transaction', () => {
  it('is proven by its merkle branch, also after a reorg', async () => {
    const ids = Array.from({ length: 5 }, (_, index) => chain.faucet(ADDRESS, 10_000n + BigInt(index)));
    const [first = ''] = ids;
    expect(await json(`/tx/${first}/status`)).toEqual({ confirmed: false });
    expect((await get(`/tx/${first}/merkle-proof`)).status).toBe(404);
    chain.mine(1);
    chain.reorg(1);
    for (const id of ids) {
      const block = chain.blockAt(121);
      expect(await json(`/tx/${id}/status`)).toMatchObject({
        confirmed: true,
        block_hash: block?.hash,
        block_height: 121,
      });
      const proof = z
        .object({ block_height: z.literal(121), merkle: z.array(z.string()), pos: z.int() })
        .parse(await json(`/tx/${id}/merkle-proof`));
      const root = proof.merkle.reduce((node, sibling, level) => {
        const other = reversedBytes(sibling);
        const isRight = (proof.pos >> level) % 2 === 1;
        return sha256(sha256(Buffer.concat(isRight ? [other, node] : [node, other])));
      }, reversedBytes(id));
      expect(root.equals(Buffer.from(block?.block.merkleRoot ?? []))).toBe(true);
    }
  });
  it('is found in the history of its script, page by page, and so is its spender', async () => {
    const ids = Array.from({ length: 30 }, () => {
      const id = chain.faucet(ADDRESS, 10_000n);
      chain.mine(1);
      return id;
    });
    const waiting = chain.faucet(ADDRESS, 10_000n);
    const scriptHash = sha256(addresses.toOutputScript(ADDRESS, networks.regtest)).toString('hex');
    const page = z.array(z.object({ txid: z.string(), status: z.object({ confirmed: z.boolean() }) }));
    const first = page.parse(await json(`/scripthash/${scriptHash}/txs`)).map(({ txid }) => txid);
    const newestFirst = ids.toReversed();
    expect(first).toEqual([waiting, ...newestFirst.slice(0, 25)]);
    const second = page.parse(await json(`/scripthash/${scriptHash}/txs/chain/${first.at(-1) ?? ''}`));
    expect(second.map(({ txid }) => txid)).toEqual(newestFirst.slice(25));
  });
  it('shows which input spends an output, in the mempool and in a block', async () => {
    const id = chain.faucet(ADDRESS, 10_000n);
    const input = chain.transaction(id)?.ins[0];
    const path = `/tx/${reversedBytes(Buffer.from(input?.hash ?? []).toString('hex')).toString('hex')}/outspend/${input?.index ?? 0}`;
    expect(await json(path)).toEqual({ spent: true, txid: id, vin: 0, status: { confirmed: false } });
    chain.mine(1);
    expect(await json(path)).toMatchObject({ spent: true, txid: id, vin: 0, status: { block_hash: chain.tip.hash } });
    expect(await json(`/tx/${id}/outspend/0`)).toEqual({ spent: false });
  });
  it('is taken, once or twice, and refused with the reason of the full node', async () => {
    const post = async (body: string) => {
      const response = await get('/tx', { method: 'POST', body });
      return { status: response.status, body: await response.text() };
    };
    const id = chain.faucet(ADDRESS, 10_000n);
    const raw = await text(`/tx/${id}/hex`);
    expect(Buffer.from(await (await get(`/tx/${id}/raw`)).arrayBuffer()).toString('hex')).toBe(raw);
    expect(await post(raw)).toEqual({ status: 200, body: id });
    chain.mine(1);
    expect(await post(raw)).toMatchObject({ status: 400, body: expect.stringContaining('"code":-27') as string });
    expect(await post('zz')).toMatchObject({ status: 400 });
    expect(await post(raw.slice(2))).toMatchObject({ status: 400, body: expect.stringContaining('-22') as string });
  });
});

describe('other questions', () => {
  it('have fee estimates', async () => {
    expect(await json('/fee-estimates')).toEqual({ 6: 1.5 });
  });
  it.each([
    ['GET', `/tx/${UNKNOWN}/status`, 404],
    ['GET', `/tx/${UNKNOWN}/outspend/0`, 404],
    ['GET', `/block/${UNKNOWN}/header`, 404],
    ['GET', '/block-height/9999', 404],
    ['GET', '/block/x/header', 404],
    ['GET', '/nothing', 404],
    ['PUT', '/tx', 405],
  ])('%s %s has status %i', async (method, path, status) => {
    expect((await get(path, { method })).status).toBe(status);
  });
});
