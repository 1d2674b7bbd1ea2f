import { createServer, type AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  ElectrumConnection,
  ElectrumError,
  parseElectrumServer,
  type ElectrumErrorKind,
} from '../../../src/liquid/electrumConnection.js';
import { ServerFault, SILENCE, startHostileElectrum, type HostileElectrum } from '../../support/hostileElectrum.js';

let server: HostileElectrum;
let connection: ElectrumConnection;

beforeEach(async () => {
  server = await startHostileElectrum();
  server.methods.set('echo', ([value]) => value);
  connection = new ElectrumConnection({
    server: parseElectrumServer(server.url),
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 2_000,
    maxLineBytes: 100_000,
  });
});

afterEach(async () => {
  connection.close();
  await server.close();
});

async function failure(promise: Promise<unknown>): Promise<{ kind: ElectrumErrorKind; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ElectrumError) return { kind: error.kind, message: error.message };
    throw error;
  }
  throw new Error('expected a rejection');
}

/** What the server writes instead of an answer. */
const sends = (text: string): void => {
  server.methods.set('poke', (_params, { socket }) => {
    socket.write(text);
    return SILENCE;
  });
};

describe('answers', () => {
  it.each([[null], [0], [''], [false], [[]], [{ a: 'é€' }], ['x'.repeat(90_000)]])(
    'of %j arrive as sent',
    async (value) => {
      await connection.connect();
      expect(await connection.request('echo', [value])).toEqual(value);
    },
  );

  it('to 5000 pipelined requests find their way', async () => {
    await connection.connect();
    const values = Array.from({ length: 5_000 }, (_, i) => i);
    expect(await Promise.all(values.map((value) => connection.request('echo', [value])))).toEqual(values);
  });

  it('that are errors become typed errors, as text and as object', async () => {
    await connection.connect();
    const faults: [unknown, string][] = [
      ['missing transaction', 'missing transaction'],
      [{ code: -32601, message: 'unknown method' }, 'unknown method'],
      [42, 'an error without a text'],
      [{ message: ['?'] }, 'an error without a text'],
      ['x'.repeat(50_000), 'x'.repeat(2_000)],
    ];
    for (const [fault, message] of faults) {
      server.methods.set('fail', () => {
        throw new ServerFault(fault);
      });
      expect(await failure(connection.request('fail', []))).toEqual({ kind: 'server', message });
    }
    expect(await connection.request('echo', [1])).toBe(1);
  });

  it.each([
    ['an unknown id', '{"id":99999,"result":1}\n'],
    ['a null id', '{"id":null,"error":{"code":-32700}}\n'],
    ['an id of Object.prototype', '{"id":"constructor","result":1}\n{"id":"__proto__","result":1}\n'],
    ['a fractional id', '{"id":1.5,"result":1}\n'],
    ['a notification nobody asked for', '{"method":"error","params":null}\n'],
    ['an object without anything', '{}\n'],
  ])('with %s are ignored', async (_what, text) => {
    await connection.connect();
    server.methods.set('echo', ([value], { socket }) => {
      socket.write(text);
      return value;
    });
    expect(await connection.request('echo', [7])).toBe(7);
  });
});

describe('a server that breaks the protocol loses the connection', () => {
  it.each([
    ['bad JSON', '{oops\n', 'a line that is not JSON'],
    ['an empty line', '\n', 'a line that is not JSON'],
    ['JSON null', 'null\n', 'a message that is not a JSON-RPC object'],
    ['a batch', '[{"id":1,"result":1}]\n', 'a message that is not a JSON-RPC object'],
    ['binary garbage', '\u0000\u0001\ufffd\n', 'a line that is not JSON'],
    ['a line without end', 'x'.repeat(200_000), 'a line of more than 100000 bytes'],
  ])('by %s', async (_what, text, message) => {
    await connection.connect();
    sends(text);
    expect(await failure(connection.request('poke', []))).toEqual({ kind: 'lie', message });
    expect((await connection.closed).kind).toBe('lie');
    expect((await failure(connection.request('echo', [1]))).kind).toBe('lie');
  });

  it('by an answer that cannot be read', async () => {
    await connection.connect();
    const read = (answer: unknown): never => {
      throw new Error(`no use for ${String(answer)}`);
    };
    expect((await failure(connection.ask('echo', [1], read))).kind).toBe('lie');
    expect((await connection.closed).kind).toBe('lie');
  });
});

describe('a request', () => {
  it('without an answer in time fails, and the connection with it', async () => {
    await connection.connect();
    server.methods.set('hang', () => SILENCE);
    const other = failure(connection.request('hang', []));
    expect(await failure(connection.request('hang', []))).toEqual({
      kind: 'timeout',
      message: 'hang: no answer within 2000 ms',
    });
    expect((await other).kind).toBe('timeout');
  });

  it('fails when the server drops it', async () => {
    await connection.connect();
    server.methods.set('drop', (_params, { socket }) => {
      socket.destroy();
      return SILENCE;
    });
    expect((await failure(connection.request('drop', []))).kind).toBe('closed');
    expect((await failure(connection.request('echo', [1]))).kind).toBe('closed');
  });

  it('fails when we close', async () => {
    await connection.connect();
    server.methods.set('hang', () => SILENCE);
    const open = failure(connection.request('hang', []));
    connection.close();
    expect(await open).toEqual({ kind: 'closed', message: 'closed by this program' });
  });
});

it('passes notifications on', async () => {
  await connection.connect();
  const seen: unknown[] = [];
  connection.setNotificationListener((method, params) => seen.push([method, params]));
  for (const peer of server.connections) peer.notify('news', [1, null]);
  await connection.request('echo', [1]);
  expect(seen).toEqual([['news', [1, null]]]);
});

it('cannot connect where nobody listens', async () => {
  await server.close();
  expect((await failure(connection.connect())).kind).toBe('closed');
  server = await startHostileElectrum();
});

it('gives up on a server that accepts and never speaks TLS', async () => {
  const mute = createServer();
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as AddressInfo;
  const secure = new ElectrumConnection({
    server: { protocol: 'ssl', host: '127.0.0.1', port },
    connectTimeoutMs: 200,
    requestTimeoutMs: 200,
  });
  expect(await failure(secure.connect())).toEqual({ kind: 'timeout', message: 'no connection within 200 ms' });
  mute.close();
});

describe('server addresses', () => {
  it.each([
    ['ssl://electrum.example:50002', { protocol: 'ssl', host: 'electrum.example', port: 50_002 }],
    ['tcp://127.0.0.1:1', { protocol: 'tcp', host: '127.0.0.1', port: 1 }],
    ['ssl://[::1]:65535', { protocol: 'ssl', host: '::1', port: 65_535 }],
  ])('%s', (text, expected) => {
    expect(parseElectrumServer(text)).toEqual(expected);
  });

  it.each([
    'electrum.example:50002',
    'http://h:1',
    'ssl://h',
    'ssl://h:0',
    'ssl://h:65536',
    'ssl://h:1/x',
    'ssl://u@h:1',
    '',
  ])('"%s" is refused', (text) => {
    expect(() => parseElectrumServer(text)).toThrow('Electrum server: expected');
  });
});
