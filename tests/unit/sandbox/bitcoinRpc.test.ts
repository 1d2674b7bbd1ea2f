import { connect } from 'node:net';

import { Block } from 'bitcoinjs-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type BitcoinChain, openBitcoinChain } from '../../../src/sandbox/bitcoin/chain.js';
import type { HttpServer } from '../../../src/sandbox/bitcoin/httpServer.js';
import { listenBitcoinRpc } from '../../../src/sandbox/bitcoin/rpcServer.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const USER = 'sandbox';
const PASSWORD = 'secret';

let chain: BitcoinChain;
let server: HttpServer;
beforeAll(async () => {
  chain = openBitcoinChain();
  server = await listenBitcoinRpc(chain, { host: '127.0.0.1', port: 0, user: USER, password: PASSWORD });
});
afterAll(() => server.close());

async function post(body: string, password = PASSWORD): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${server.port}/`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}` },
    body,
  });
  return { status: response.status, text: await response.text() };
}

async function rpc(method: string, ...params: unknown[]): Promise<{ status: number; result: unknown; error: unknown }> {
  const { status, text } = await post(JSON.stringify({ jsonrpc: '1.0', id: 7, method, params }));
  const answer = JSON.parse(text) as { result: unknown; error: unknown; id: unknown };
  expect(answer.id).toBe(7);
  return { status, result: answer.result, error: answer.error };
}

describe('the JSON-RPC', () => {
  it('tells the tip in all its forms', async () => {
    const { tip } = chain;
    expect((await rpc('getblockcount')).result).toBe(tip.height);
    expect((await rpc('getbestblockhash')).result).toBe(tip.hash);
    expect((await rpc('getblockhash', tip.height)).result).toBe(tip.hash);
    expect((await rpc('getblockchaininfo')).result).toMatchObject({
      chain: 'regtest',
      blocks: tip.height,
      headers: tip.height,
      bestblockhash: tip.hash,
      initialblockdownload: false,
    });
  });

  it('serves a header as bytes and as fields', async () => {
    const { tip } = chain;
    const raw = (await rpc('getblockheader', tip.hash, false)).result;
    expect(raw).toBe(Buffer.from(tip.block.toBuffer(true)).toString('hex'));
    expect((await rpc('getblockheader', tip.hash)).result).toMatchObject({
      hash: tip.hash,
      height: tip.height,
      confirmations: 1,
      previousblockhash: chain.blockAt(tip.height - 1)?.hash,
      time: tip.time,
      bits: '207fffff',
    });
  });

  it('serves a block as bytes and with its txids', async () => {
    const txid = chain.faucet(ADDRESS, 10_000n);
    chain.mine(1);
    const raw = (await rpc('getblock', chain.tip.hash, 0)).result as string;
    expect(Block.fromHex(raw).getId()).toBe(chain.tip.hash);
    const { result } = await rpc('getblock', chain.tip.hash);
    expect(result).toMatchObject({ tx: chain.tip.txids, nTx: 2, size: raw.length / 2 });
    expect((await rpc('getrawtransaction', txid)).result).toBe(chain.transaction(txid)?.toHex());
  });

  it('gives a block that a reorg took off the chain -1 confirmations', async () => {
    chain.mine(2);
    const stale = chain.tip.hash;
    chain.reorg(1);
    expect((await rpc('getblockheader', stale)).result).toMatchObject({ hash: stale, confirmations: -1 });
    expect((await rpc('getblockhash', chain.tip.height)).result).toBe(chain.tip.hash);
  });

  it('takes a transaction that it has already, and knows nothing of fees', async () => {
    const raw = chain.transaction(chain.faucet(ADDRESS, 20_000n))?.toHex();
    expect((await rpc('sendrawtransaction', raw)).error).toBeNull();
    expect((await rpc('getrawmempool')).result).toHaveLength(1);
    chain.mine(1);
    expect((await rpc('sendrawtransaction', raw)).error).toMatchObject({ code: -27 });
    expect((await rpc('estimatesmartfee', 6)).result).toEqual({
      errors: ['Insufficient data or no feerate found'],
      blocks: 6,
    });
  });
});

describe('bad input', () => {
  it.each([
    ['getblockhash', [1_000_000], 500, -8],
    ['getblockhash', ['12'], 500, -3],
    ['getblockhash', [-1], 500, -8],
    ['getblockhash', [], 500, -3],
    ['getblockheader', ['00'.repeat(32)], 500, -5],
    ['getblockheader', ['xyz'], 500, -8],
    ['getblockheader', [{}], 500, -3],
    ['getblock', ['00'.repeat(32), 0], 500, -5],
    ['getrawtransaction', ['00'.repeat(32)], 500, -5],
    ['sendrawtransaction', ['zz'], 500, -22],
    ['sendrawtransaction', ['00'], 500, -22],
    ['sendrawtransaction', [7], 500, -3],
    ['generatetoaddress', [1], 404, -32601],
    ['__proto__', [], 404, -32601],
  ])('%s %j answers HTTP %i with %i', async (method, params, status, code) => {
    expect(await rpc(method, ...params)).toMatchObject({ status, result: null, error: { code } });
  });

  it.each([
    ['{"method":', 500, -32700],
    ['', 500, -32700],
    ['"text"', 400, -32600],
    ['{"method":7}', 400, -32600],
    ['{"method":"getblockcount","params":{"a":1}}', 400, -32600],
  ])('the body %s answers HTTP %i', async (body, status, code) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code } });
  });

  it('answers every call of a batch by itself', async () => {
    const { text } = await post('[{"id":1,"method":"getblockcount"},{"id":2,"method":"nope"},3]');
    expect(JSON.parse(text)).toMatchObject([
      { id: 1, result: chain.tip.height },
      { id: 2, error: { code: -32601 } },
      { error: { code: -32600 } },
    ]);
  });

  it('refuses a wrong password and methods other than POST', async () => {
    expect((await post('{"method":"getblockcount"}', 'wrong')).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(405);
  });

  it('cuts off a body that is too big, and lives on', async () => {
    const outcome = await post('x'.repeat(5 * 1024 * 1024)).then(
      ({ status }) => status,
      () => 413, // the server may close before the client has read the answer
    );
    expect(outcome).toBe(413);
    expect((await rpc('getblockcount')).result).toBe(chain.tip.height);
  });

  it('survives a client that talks nonsense and leaves', async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.end('\0\xff nonsense\r\n\r\n');
      });
      socket.resume();
      socket.on('error', () => {
        resolve();
      });
      socket.on('close', () => {
        resolve();
      });
    });
    expect((await rpc('getblockcount')).result).toBe(chain.tip.height);
  });
});
