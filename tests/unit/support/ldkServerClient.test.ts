/** The client of ldk-server against a server that speaks as its sources say: frames, signature, status, events. */
import { createHmac } from 'node:crypto';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { makeCertificate } from '../../../src/lnnode/tls.js';
import { eventually } from '../../support/eventually.js';
import {
  connectLdkServer,
  decode,
  encode,
  messagesOf,
  numberOf,
  textOf,
  type Field,
  type LdkServerClient,
  type Message,
} from '../../support/ldkServer/client.js';

const API_KEY = 'ab'.repeat(32);
let server: Http2SecureServer;
let client: LdkServerClient;
let certificate: string;

const framed = (fields: readonly Field[]): Buffer => {
  const body = encode(fields);
  const length = Buffer.alloc(5);
  length.writeUInt32BE(body.length, 1);
  return Buffer.concat([length, body]);
};

function answer(stream: ServerHttp2Stream, path: string, isSigned: boolean, request: Message): void {
  if (!isSigned) {
    stream.respond({ ':status': 200, 'grpc-status': '16', 'grpc-message': 'who?' }, { endStream: true });
    return;
  }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': '0' });
  });
  if (path.endsWith('SubscribeEvents')) {
    const event = framed([[7, [[1, [[1, 'held']]]]]]);
    stream.write(event.subarray(0, 3)); // a frame in two pieces
    stream.write(Buffer.concat([event.subarray(3), event]));
    return;
  }
  stream.end(
    framed([
      [1, `${textOf(request, 1)} paid`],
      [2, numberOf(request, 3) + 1n],
    ]),
  );
}

beforeAll(async () => {
  const { cert, key } = makeCertificate(['localhost']);
  server = createSecureServer({ cert, key });
  server.on('stream', (stream, headers) => {
    let body = Buffer.alloc(0);
    stream.on('data', (part: Buffer) => (body = Buffer.concat([body, part])));
    stream.on('end', () => {
      const [, seconds = '', code = ''] = /^HMAC (\d+):([0-9a-f]{64})$/.exec(String(headers['x-auth'])) ?? [];
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(BigInt(seconds));
      const expected = createHmac('sha256', API_KEY)
        .update(Buffer.concat([time, body]))
        .digest('hex');
      const isWhole = body.length === 5 + body.readUInt32BE(1);
      answer(stream, headers[':path'] ?? '', isWhole && code === expected, decode(body.subarray(5)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  certificate = cert;
  client = connectTo(API_KEY);
});
const connectTo = (key: string): LdkServerClient =>
  connectLdkServer(`localhost:${(server.address() as AddressInfo).port}`, Buffer.from(certificate), key);
afterAll(() => {
  client.close();
  server.close();
});

it('a call is one signed frame, and its answer is read', async () => {
  const paid = await client.call('Bolt11Send', [
    [1, 'lnbcrt1'],
    [3, 18_446_744_073_709_551_614n],
  ]);
  expect([textOf(paid, 1), numberOf(paid, 2)]).toEqual(['lnbcrt1 paid', 18_446_744_073_709_551_615n]);
});
it('events are read whole, however they arrive', async () => {
  const held: string[] = [];
  client.events((event) => {
    for (const claimable of messagesOf(event, 7)) held.push(...messagesOf(claimable, 1).map((one) => textOf(one, 1)));
  });
  await eventually('two events', () => held.length === 2);
  expect(held).toEqual(['held', 'held']);
});
it('a wrong key is refused with the words of the server', async () => {
  const stranger = connectTo('cd'.repeat(32));
  await expect(stranger.call('GetNodeInfo', [])).rejects.toThrow('GetNodeInfo: who? (16)');
  stranger.close();
});
