import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { displayHex, reversedBytes } from '../../src/core/units.js';
import { parseHeader } from '../../src/sandbox/liquid/header.js';
import { scripthashOf } from '../../src/sandbox/liquid/state.js';
import {
  listenElectrum,
  openLiquidChain,
  type ElectrumServer,
  type LiquidSandbox,
} from '../../src/sandbox/liquid/world.js';
import { fundKey, madeBy, OTHER_SCRIPT, P2WPKH, spendHex, spendTx } from '../unit/sandbox/liquidKit.js';

const DEADLINE_MS = 5_000;

type Message = {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly result?: unknown;
  readonly error?: unknown;
};

/** A bare client: sends lines, keeps every message. */
class Client {
  readonly messages: Message[] = [];
  readonly socket: Socket;
  #nextId = 1;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    let text = '';
    this.socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.messages.push(JSON.parse(line) as Message);
      this.socket.emit('lines');
    });
  }

  async find(isWanted: (message: Message) => boolean): Promise<Message> {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      const found = this.messages.find(isWanted);
      if (found !== undefined) return found;
      await once(this.socket, 'lines', { signal });
    }
  }

  async call(method: string, ...params: unknown[]): Promise<Message> {
    const id = this.#nextId++;
    this.socket.write(`${JSON.stringify({ id, method, params })}\n`);
    return this.find((message) => message.id === id);
  }

  async result(method: string, ...params: unknown[]): Promise<unknown> {
    const { result, error } = await this.call(method, ...params);
    expect(error).toBeUndefined();
    return result;
  }

  async error(method: string, ...params: unknown[]): Promise<unknown> {
    return (await this.call(method, ...params)).error;
  }
}

let chain: LiquidSandbox;
let server: ElectrumServer;
let client: Client;

beforeEach(async () => {
  chain = await openLiquidChain();
  server = await listenElectrum(chain, { host: '127.0.0.1', port: 0 });
  client = new Client(server.port);
});
afterEach(async () => {
  client.socket.destroy();
  await server.close();
});

const MINE = scripthashOf(P2WPKH);

describe('the Electrum server', () => {
  it('speaks protocol 1.4', async () => {
    expect(await client.result('server.version', 'test', '1.4')).toEqual([expect.any(String), '1.4']);
    expect(await client.result('server.version', 'test', ['1.4', '1.4.2'])).toEqual([expect.any(String), '1.4']);
    expect(await client.result('server.ping')).toBeNull();
    expect(await client.result('server.banner')).toEqual(expect.any(String));
  });
  it('shows the genesis block of regtest, and headers that parse and chain', async () => {
    chain.mine(3);
    const genesis = parseHeader(Buffer.from(String(await client.result('blockchain.block.header', 0)), 'hex'));
    expect(genesis.hash).toBe(chain.genesis);
    const tip = (await client.result('blockchain.headers.subscribe')) as { height: number; hex: string };
    expect(parseHeader(Buffer.from(tip.hex, 'hex'))).toMatchObject({ height: 4, hash: chain.tip().hash });
    const first = String(await client.result('blockchain.block.header', 1));
    expect(await client.result('blockchain.block.headers', 1, 2)).toEqual({
      count: 2,
      hex: first + String(await client.result('blockchain.block.header', 2)),
      max: 2016,
    });
    expect(await client.error('blockchain.block.header', 5)).toBe('missing header');
  });
  it('has no balances, no mempool of a script, no features and no verbose transactions, as electrs', async () => {
    const { txid } = fundKey(chain);
    for (const method of [
      'blockchain.scripthash.get_balance',
      'blockchain.scripthash.get_mempool',
      'server.features',
    ]) {
      expect(await client.error(method, MINE)).toEqual({ code: -32601, message: `unknown method ${method}` });
    }
    expect(await client.error('toString')).toMatchObject({ code: -32601 });
    expect(await client.error('blockchain.transaction.get', txid, true)).toBe(
      'verbose transactions are currently unsupported',
    );
  });
  it('tells fees in coins per 1000 virtual bytes', async () => {
    expect(await client.result('blockchain.relayfee')).toBe(0.000001);
    expect(await client.result('blockchain.estimatefee', 2)).toBe(0.000001);
    expect(await client.result('mempool.get_fee_histogram')).toEqual([]);
  });
  it('tells the history of a script: confirmed, unconfirmed, and unconfirmed on unconfirmed', async () => {
    expect(await client.result('blockchain.scripthash.get_history', MINE)).toEqual([]);
    const coin = fundKey(chain);
    chain.mine(1);
    const parent = spendTx({ coins: [coin] });
    const child = spendTx({ coins: [madeBy(parent)], feeSat: 500n });
    chain.broadcast(parent.toHex());
    chain.broadcast(child.toHex());
    const history = (await client.result('blockchain.scripthash.get_history', MINE)) as unknown[];
    expect(history[0]).toEqual({ tx_hash: coin.txid, height: 2 });
    expect(history).toHaveLength(3);
    expect(history).toContainEqual({ tx_hash: parent.getId(), height: 0, fee: 1_000 });
    expect(history).toContainEqual({ tx_hash: child.getId(), height: -1, fee: 500 });
    expect(await client.result('blockchain.transaction.get', parent.getId())).toBe(parent.toHex());
    expect(await client.error('blockchain.transaction.get', '00'.repeat(32))).toBe('missing transaction');
  });
  it('lists unspent outputs with byte-swapped values, until the mempool spends them', async () => {
    const coin = fundKey(chain, 1_000_000n);
    chain.mine(1);
    const swapped = Buffer.alloc(8);
    swapped.writeBigUInt64LE(1_000_000n);
    expect(await client.result('blockchain.scripthash.listunspent', MINE)).toEqual([
      {
        asset: [1, reversedBytes(chain.policyAsset).toString('hex')],
        height: 2,
        nonce: [0],
        tx_hash: coin.txid,
        tx_pos: 0,
        value: [1, Number(swapped.readBigUInt64BE())],
      },
    ]);
    chain.broadcast(spendHex({ coins: [coin], toScript: OTHER_SCRIPT }));
    expect(await client.result('blockchain.scripthash.listunspent', MINE)).toEqual([]);
  });
  it('stops serving a script with more than 500 transactions', async () => {
    const busy = scripthashOf(Buffer.of(0x51));
    for (let gifts = 0; gifts < 500; gifts += 1) {
      chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 1_000n });
      if (gifts % 20 === 19) chain.mine(1);
    }
    for (const method of ['get_history', 'subscribe', 'listunspent']) {
      expect(await client.error(`blockchain.scripthash.${method}`, busy)).toBe('Too many history entries');
    }
    expect(await client.result('blockchain.scripthash.get_history', MINE)).toEqual([]);
  });
});

describe('a merkle proof', () => {
  const hash256 = (bytes: Buffer): Buffer => {
    const once256 = createHash('sha256').update(bytes).digest();
    return createHash('sha256').update(once256).digest();
  };
  const rootOf = (id: string, branch: readonly string[], position: number): string => {
    let node = reversedBytes(id);
    for (const [level, sibling] of branch.entries()) {
      const isRight = ((position >> level) & 1) === 1;
      const pair = [node, reversedBytes(sibling)];
      node = hash256(Buffer.concat(isRight ? pair.toReversed() : pair));
    }
    return displayHex(node);
  };

  it.each([1, 2, 5, 8])('leads to the header, for every transaction of a block of %i and a coinbase', async (count) => {
    for (let made = 0; made < count; made += 1) fundKey(chain, 1_000n + BigInt(made));
    const { height } = chain.mine(1);
    const block = chain.state.blocks[height];
    for (const [position, id] of (block?.txids ?? []).entries()) {
      const proof = await client.result('blockchain.transaction.get_merkle', id, height);
      const { merkle, pos } = proof as { merkle: string[]; pos: number };
      expect(proof).toMatchObject({ block_height: height, pos: position });
      expect(rootOf(id, merkle, pos)).toBe(block?.header.merkleRoot);
      expect(await client.result('blockchain.transaction.id_from_pos', height, position)).toBe(id);
      expect(await client.result('blockchain.transaction.id_from_pos', height, position, true)).toEqual({
        tx_hash: id,
        merkle,
      });
    }
  });
  it('is not given for another height, an unconfirmed transaction or an unknown one', async () => {
    const { txid } = fundKey(chain);
    expect(await client.error('blockchain.transaction.get_merkle', txid, 2)).toMatch(/unconfirmed/);
    chain.mine(1);
    expect(await client.error('blockchain.transaction.get_merkle', txid, 1)).toBe(
      'invalid confirmation height provided',
    );
    expect(await client.error('blockchain.transaction.get_merkle', '00'.repeat(32), 1)).toBe('missing transaction');
    expect(await client.error('blockchain.transaction.id_from_pos', 2, 9)).toMatch(/^No tx in position/);
  });
});

describe('a broadcast', () => {
  it('returns the txid, also the second time, and the daemon error once it is mined', async () => {
    const coin = fundKey(chain);
    chain.mine(1);
    const tx = spendTx({ coins: [coin] });
    expect(await client.result('blockchain.transaction.broadcast', tx.toHex())).toBe(tx.getId());
    expect(await client.result('blockchain.transaction.broadcast', tx.toHex())).toBe(tx.getId());
    chain.mine(1);
    expect(await client.error('blockchain.transaction.broadcast', tx.toHex())).toBe(
      'sendrawtransaction RPC error: {"code":-27,"message":"Transaction already in block chain"}',
    );
  });
  it('of garbage is refused in the words of the daemon', async () => {
    expect(await client.error('blockchain.transaction.broadcast', 'garbage')).toBe(
      'sendrawtransaction RPC error: {"code":-22,"message":"TX decode failed. Make sure the tx has at least one input."}',
    );
  });
});

describe('a subscriber', () => {
  const headerNotices = (): Message[] =>
    client.messages.filter(({ id, method }) => id === undefined && method === 'blockchain.headers.subscribe');
  const scriptNotice = (status: (value: unknown) => boolean): Promise<Message> =>
    client.find(({ method, params }) => method === 'blockchain.scripthash.subscribe' && status(params?.[1]));

  it('is told a new tip, once for several blocks at a time', async () => {
    await client.result('blockchain.headers.subscribe');
    chain.mine(5);
    await client.find(({ method }) => method === 'blockchain.headers.subscribe');
    await client.result('server.ping');
    expect(headerNotices().map(({ params }) => params)).toEqual([
      [{ height: 6, hex: chain.state.blocks[6]?.rawHeader.toString('hex') }],
    ]);
  });
  it('is told the other chain after a reorganization of the same length', async () => {
    chain.mine(2);
    await client.result('blockchain.headers.subscribe');
    chain.reorg(2);
    chain.mine(2);
    const notice = await client.find(({ method }) => method === 'blockchain.headers.subscribe');
    expect(notice.params).toEqual([{ height: 3, hex: chain.state.blocks[3]?.rawHeader.toString('hex') }]);
  });
  it('is told each status of its script, and null when the script has no history any more', async () => {
    const other = scripthashOf(OTHER_SCRIPT);
    expect(await client.result('blockchain.scripthash.subscribe', other)).toBeNull();
    const coin = fundKey(chain);
    chain.mine(1);
    const spent = await client.result(
      'blockchain.transaction.broadcast',
      spendHex({ coins: [coin], toScript: OTHER_SCRIPT }),
    );
    const expected = createHash('sha256')
      .update(`${String(spent)}:0:`)
      .digest('hex');
    expect((await scriptNotice((status) => status === expected)).params).toEqual([other, expected]);
    await client.result('blockchain.transaction.broadcast', spendHex({ coins: [coin], feeSat: 90_000n }));
    await scriptNotice((status) => status === null);
  });
  it('is not told of scripts that it did not ask for', async () => {
    await client.result('blockchain.scripthash.subscribe', scripthashOf(OTHER_SCRIPT));
    fundKey(chain);
    chain.mine(1);
    await client.result('server.ping');
    await client.result('server.ping');
    expect(client.messages.every(({ id }) => id !== undefined)).toBe(true);
  });
});

describe('a client that sends garbage', () => {
  const untilClosed = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        reject(new Error('the connection is still open'));
      }, DEADLINE_MS);
      client.socket.once('close', () => {
        clearTimeout(deadline);
        resolve();
      });
    });
  const stillServes = async (): Promise<void> => {
    const second = new Client(server.port);
    expect(await second.result('server.ping')).toBeNull();
    second.socket.destroy();
  };

  it.each(['not json\n', '{"id":1\n', '\n', '\u0000\n', 'GET / HTTP/1.1\r\n\r\n'])(
    'is cut off (%j), and the others are served on',
    async (garbage) => {
      client.socket.write(garbage);
      await untilClosed();
      await stillServes();
    },
  );
  it('is cut off when a line grows without end', async () => {
    client.socket.write('x'.repeat(3 * 1024 * 1024));
    await untilClosed();
    await stillServes();
  });
  it.each(['[]', '1', 'null', '{}', '{"id":{},"method":"server.ping"}', '{"id":1,"method":"server.ping","params":{}}'])(
    'in valid JSON (%s) is told that it is no request',
    async (line) => {
      client.socket.write(`${line}\n`);
      expect(await client.find(({ error }) => error !== undefined)).toMatchObject({
        id: null,
        error: { code: -32600 },
      });
      expect(await client.result('server.ping')).toBeNull();
    },
  );
  it.each([
    ['blockchain.block.header', []],
    ['blockchain.block.header', [-1]],
    ['blockchain.block.header', ['0']],
    ['blockchain.block.headers', [0]],
    ['blockchain.scripthash.subscribe', ['00']],
    ['blockchain.scripthash.get_history', [null]],
    ['blockchain.transaction.get', ['__proto__']],
    ['blockchain.transaction.get_merkle', ['00'.repeat(32)]],
    ['blockchain.transaction.broadcast', [1]],
  ])('as parameters of %s (%j) is told so', async (method, params) => {
    expect(await client.error(method, ...params)).toMatchObject({ code: -32602 });
  });
  it('may send requests in pieces and many at once', async () => {
    client.socket.write('{"id":"a","meth');
    await new Promise((resolve) => setImmediate(resolve));
    client.socket.write('od":"server.ping"}\n{"id":"b","method":"server.ping"}\n{"id":"c"');
    client.socket.write(',"method":"server.ping","params":[]}\n');
    for (const id of ['a', 'b', 'c']) expect((await client.find((message) => message.id === id)).result).toBeNull();
  });
});
