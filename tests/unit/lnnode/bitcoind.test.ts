/** The JSON-RPC client against answers recorded from btcd 0.24.2, over https with the server's own certificate. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { connectBitcoind, type ChainSource } from '../../../src/lnnode/chain/bitcoind.js';
import { makeCertificate } from '../../../src/lnnode/tls.js';

type Answer = { readonly result: unknown; readonly error?: { readonly code: number; readonly message: string } };

const NOT_FOUND: Answer = { result: null, error: { code: -32601, message: 'Method not found' } };
const MALFORMED: Answer = { result: -1, error: { code: -32600, message: 'Invalid request: malformed' } };
const callSchema = z.object({ method: z.string(), params: z.array(z.unknown()) });

const dir = mkdtempSync(join(tmpdir(), 'bitcoind-'));
const caFile = join(dir, 'rpc.cert');
const answers = new Map<string, Answer>();
const asked: unknown[] = [];
let server: Server;
let url: string;
let source: ChainSource;

beforeAll(async () => {
  const { cert, key } = makeCertificate(['127.0.0.1']);
  writeFileSync(caFile, cert);
  server = createServer({ cert, key }, (request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      const { method, params } = callSchema.parse(JSON.parse(text));
      asked.push([method, ...params]);
      response.end(JSON.stringify(answers.get(method) ?? NOT_FOUND));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  source = connectBitcoind({ url, user: 'user', password: 'password', caFile });
});
afterAll(() => {
  source.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

describe('a full node without estimatesmartfee', () => {
  it.each([
    ['its own estimate', { result: 0.0011625 }, 116_250n],
    ['nothing, while it has seen no blocks', MALFORMED, undefined],
    ['nothing, while it has seen no transactions', { result: 0 }, undefined],
    ['nothing, if it has no estimates at all', NOT_FOUND, undefined],
  ])('gives %s', async (_, answer, rate) => {
    answers.set('estimatefee', answer);
    expect(await source.feeRate(6)).toBe(rate);
  });
  it('is not asked for more blocks than it knows', async () => {
    asked.length = 0;
    await source.feeRate(1008);
    expect(asked).toEqual([
      ['estimatesmartfee', 1008],
      ['estimatefee', 25],
    ]);
  });
});

describe('a transaction that the full node', () => {
  it.each([
    ['has in its mempool', -26, 'TX rejected: already have transaction in mempool 00'],
    ['has in a block', -27, 'TX rejected: transaction already exists in blockchain'],
  ])('%s is broadcast', async (_, code, message) => {
    answers.set('sendrawtransaction', { result: null, error: { code, message } });
    await source.broadcast(Buffer.alloc(10));
  });
  it('refuses is an error', async () => {
    answers.set('sendrawtransaction', {
      result: null,
      error: { code: -25, message: 'TX rejected: orphan transaction' },
    });
    await expect(source.broadcast(Buffer.alloc(10))).rejects.toThrow('orphan transaction (-25)');
  });
});

it('a certificate that is not trusted ends the call', async () => {
  const stranger = connectBitcoind({ url, user: 'user', password: 'password' });
  await expect(stranger.feeRate(6)).rejects.toThrow('self-signed certificate');
  stranger.close();
});
