import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { explicitInput, buildTransaction, rawOf, txidOf } from '../../../src/core/tx.js';
import type { Zkp } from '../../../src/core/blind.js';
import { assetAmount, assetId, blockHash, blockHeight, hex, outpoint, txid } from '../../../src/core/units.js';
import { errorChain, SwapError } from '../../../src/errors.js';
import type { ChainChange, LiquidChain } from '../../../src/liquid/chain.js';
import { connectElectrum, type ElectrumOptions } from '../../../src/liquid/electrum.js';
import { scripthash } from '../../../src/liquid/electrumAnswers.js';
import { createLogger } from '../../../src/log.js';
import {
  headerVector,
  ServerFault,
  SILENCE,
  startHostileElectrum,
  type HostileElectrum,
} from '../../support/hostileElectrum.js';

const log = createLogger('test', 'silent');
const SCRIPT = Buffer.from(`0014${'11'.repeat(20)}`, 'hex');
const GENESIS = blockHash(headerVector(0).hash);

// An explicit transaction needs no blinding, so the library is never called.
const noZkp = {} as Zkp;
const tx = buildTransaction(noZkp, {
  inputs: [
    explicitInput(
      { outpoint: outpoint('22'.repeat(32), 0), assetId: assetId('33'.repeat(32)), value: assetAmount(1_000n) },
      0xffff_fffd,
    ),
  ],
  outputs: [{ scriptPubKey: SCRIPT, assetId: assetId('33'.repeat(32)), value: assetAmount(1_000n) }],
  locktime: 0,
  randomBytes: () => Buffer.alloc(32),
});
const RAW = rawOf(tx);
const ID = txidOf(tx);

let server: HostileElectrum;
let chain: LiquidChain;
let changes: ChainChange[];

function connect(servers: readonly string[], options: Partial<ElectrumOptions> = {}): LiquidChain {
  const timeouts = {
    connectMs: 1_000,
    requestMs: 1_500,
    reconnectWaitMs: 5_000,
    retryMinMs: 10,
    retryMaxMs: 40,
    pingMs: 60_000,
    ...options.timeouts,
  };
  const opened = connectElectrum({ servers, log, ...options, timeouts });
  changes = [];
  opened.onChange((change) => changes.push(change));
  return opened;
}

const changesOf = (kind: ChainChange['kind']): ChainChange[] => changes.filter((change) => change.kind === kind);
const until = async (condition: () => boolean): Promise<void> => {
  await vi.waitFor(() => {
    expect(condition()).toBe(true);
  }, 30_000);
};
const notifyAll = (method: string, params: unknown): void => {
  for (const connection of server.connections) connection.notify(method, params);
};

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(SwapError);
    expect(error).toHaveProperty('code', 'chain_unavailable');
    return errorChain(error);
  }
  throw new Error('expected a rejection');
}

beforeEach(async () => {
  server = await startHostileElectrum();
  chain = connect([server.url]);
});
afterEach(async () => {
  chain.close();
  await server.close();
});

describe('the tip', () => {
  it('comes from the subscription, and new ones are announced once', async () => {
    expect(await chain.tip()).toMatchObject({ height: 433, hash: headerVector(433).hash });
    notifyAll('blockchain.headers.subscribe', [headerVector(433)]);
    notifyAll('blockchain.headers.subscribe', [headerVector(432)]);
    await until(() => changesOf('block').length === 2);
    expect(changesOf('block')).toMatchObject([{ tip: { height: 433 } }, { tip: { height: 432 } }]);
    expect((await chain.tip()).height).toBe(432);
  });

  it.each([
    ['another height than its header', [{ ...headerVector(432), height: 434 }]],
    ['a header with trailing bytes', [{ hex: `${headerVector(432).hex}00`, height: 432 }]],
    ['no header', [{ height: 432 }]],
    ['no parameter', []],
    ['nothing', null],
  ])('with %s costs the server its connection', async (_what, params) => {
    await chain.tip();
    notifyAll('blockchain.headers.subscribe', params);
    await until(() => changesOf('connected').length === 2);
    expect((await chain.tip()).height).toBe(433);
  });

  it('is asked for again by the keepalive, in case a notification was lost', async () => {
    chain.close();
    chain = connect([server.url], { timeouts: { pingMs: 30 } });
    await chain.tip();
    server.methods.set('blockchain.headers.subscribe', () => headerVector(432));
    await until(() => changesOf('block').length === 2);
    expect((await chain.tip()).height).toBe(432);
  });

  it('that is wrong in the handshake keeps the server out', async () => {
    chain.close();
    server.methods.set('blockchain.headers.subscribe', () => ({ ...headerVector(433), height: 999 }));
    chain = connect([server.url], { timeouts: { reconnectWaitMs: 100 } });
    expect(await refusal(chain.tip())).toContain('carries height 433');
    expect(changesOf('connected')).toEqual([]);
  });
});

describe('the genesis block', () => {
  it('is block 0 as served', async () => {
    expect(await chain.genesisHash()).toBe(GENESIS);
  });

  it('of another chain keeps the server out, and the next one is used', async () => {
    chain.close();
    const stranger = await startHostileElectrum();
    stranger.methods.set('blockchain.block.header', () => headerVector(1).hex);
    chain = connect([stranger.url, server.url], { expectedGenesis: GENESIS });
    expect((await chain.tip()).height).toBe(433);
    expect(stranger.connections.size).toBe(0);
    expect(server.connections.size).toBe(1);
    await stranger.close();
  });
});

describe('a transaction', () => {
  it('is given with bytes that hash to its id', async () => {
    server.methods.set('blockchain.transaction.get', () => hex(RAW));
    expect(await chain.transaction(ID)).toEqual(RAW);
  });

  it('is undefined only when the server says that it is missing', async () => {
    server.methods.set('blockchain.transaction.get', () => {
      throw new ServerFault('missing transaction');
    });
    expect(await chain.transaction(ID)).toBeUndefined();
    server.methods.set('blockchain.transaction.get', () => {
      throw new ServerFault('server busy');
    });
    expect(await refusal(chain.transaction(ID))).toContain('server busy');
  });

  it.each([
    ['bytes of another transaction', () => hex(RAW), txid('44'.repeat(32))],
    ['trailing bytes', () => `${hex(RAW)}00`, ID],
    ['a changed byte', () => hex(RAW).replace(/00$/, '01'), ID],
    ['half of it', () => hex(RAW).slice(0, 60), ID],
    ['no hex', () => 'zz', ID],
    ['an object', () => ({ hex: hex(RAW) }), ID],
    ['null', () => null, ID],
  ])('answered with %s costs the server its connection', async (_what, behaviour, id) => {
    server.methods.set('blockchain.transaction.get', behaviour);
    expect(await refusal(chain.transaction(id))).toContain('blockchain.transaction.get: unusable answer');
    await until(() => changesOf('disconnected').length === 1);
  });
});

describe('a proof of inclusion', () => {
  /** A block of this one transaction: its id is the root, so the header's root decides. */
  const branchOf = (merkle: string[], pos = 0): unknown => ({ block_height: 2, merkle, pos });

  it('leads from the only transaction of a block to its header', async () => {
    // Bytes 36..67 of the header are the root.
    const root = Buffer.from(headerVector(2).hex, 'hex').subarray(36, 68).reverse().toString('hex');
    server.methods.set('blockchain.transaction.get_merkle', () => branchOf([]));
    expect(await chain.proveInclusion(txid(root), blockHeight(2))).toBe(headerVector(2).hash);
    await chain.proveInclusion(txid(root), blockHeight(2));
    expect(server.requests.filter(({ method }) => method === 'blockchain.block.header')).toHaveLength(1);
  });

  it('that leads elsewhere is refused, with the header asked for again', async () => {
    server.methods.set('blockchain.transaction.get_merkle', () => branchOf(['55'.repeat(32)]));
    expect(await refusal(chain.proveInclusion(ID, blockHeight(2)))).toContain('does not lead to the header');
    expect(await refusal(chain.proveInclusion(ID, blockHeight(2)))).toContain('does not lead to the header');
    expect(server.requests.filter(({ method }) => method === 'blockchain.block.header')).toHaveLength(2);
  });

  it.each([
    ['a position outside the tree', branchOf(['55'.repeat(32)], 2)],
    ['a hash cut short', branchOf(['55'.repeat(31)])],
    ['31 levels', branchOf(Array.from({ length: 31 }, () => '55'.repeat(32)))],
    ['another block', { block_height: 3, merkle: [], pos: 0 }],
  ])('of %s is refused', async (_what, proof) => {
    server.methods.set('blockchain.transaction.get_merkle', () => proof);
    expect(await refusal(chain.proveInclusion(ID, blockHeight(2)))).toContain('unusable answer');
  });

  it('of an unconfirmed transaction is refused', async () => {
    server.methods.set('blockchain.transaction.get_merkle', () => {
      throw new ServerFault('tx not found or is unconfirmed');
    });
    expect(await refusal(chain.proveInclusion(ID, blockHeight(2)))).toContain('unconfirmed');
  });
});

describe('a broadcast', () => {
  const answering = (behaviour: () => unknown): void => {
    server.methods.set('blockchain.transaction.broadcast', behaviour);
  };
  const refusing = (error: unknown): void => {
    answering(() => {
      throw new ServerFault(error);
    });
  };

  it('is accepted when the server answers with its id', async () => {
    answering(() => ID);
    expect(await chain.broadcast(RAW)).toEqual({ kind: 'accepted' });
  });

  it('is unknown when the server answers with another id', async () => {
    answering(() => '66'.repeat(32));
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'unknown' });
  });

  it("is rejected for the node's reason", async () => {
    refusing('sendrawtransaction RPC error: {"code":-26,"message":"non-final"}');
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'rejected', reason: 'non_final' });
    refusing({ code: 1, message: 'the transaction was rejected by network rules.\n\nmin relay fee not met, 48 < 49' });
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'rejected', reason: 'insufficient_fee' });
  });

  it('that the node knows already is accepted only if the server can show it', async () => {
    refusing('sendrawtransaction RPC error: {"code":-27,"message":"Transaction already in block chain"}');
    server.methods.set('blockchain.transaction.get', () => {
      throw new ServerFault('missing transaction');
    });
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'unknown' });
    server.methods.set('blockchain.transaction.get', () => hex(RAW));
    expect(await chain.broadcast(RAW)).toEqual({ kind: 'accepted' });
  });

  it('is unknown when the answer never comes, and when the connection breaks', async () => {
    answering(() => SILENCE);
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'unknown' });
    answering(() => {
      server.dropAll();
      return SILENCE;
    });
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'unknown' });
    await server.close();
    expect(await chain.broadcast(RAW)).toMatchObject({ kind: 'unknown' });
    server = await startHostileElectrum();
  });
});

describe('the fee rate', () => {
  it.each([
    [0.000001, 0.000001, 100n],
    [0.000001, 0.0000025, 250n],
    [0.0000032, 0.0000025, 320n],
    [0, 0, 100n],
    [0.000002, -1, 200n],
    [0.000002, 7, 200n],
    [0.000002, 'soon', 200n],
  ])('of relay fee %s and estimate %s is %s sat/kvB', async (relayFee, estimate, expected) => {
    server.methods.set('blockchain.relayfee', () => relayFee);
    server.methods.set('blockchain.estimatefee', () => estimate);
    expect(await chain.feeRate()).toBe(expected);
  });

  it('falls back to the relay fee when there is no estimate', async () => {
    server.methods.set('blockchain.relayfee', () => 0.000002);
    server.methods.set('blockchain.estimatefee', () => {
      throw new ServerFault('cannot estimate fee for 2 blocks');
    });
    expect(await chain.feeRate()).toBe(200n);
  });

  it.each([-1, 1, null, '0.000001'])('is refused with a relay fee of %s', async (relayFee) => {
    server.methods.set('blockchain.relayfee', () => relayFee);
    server.methods.set('blockchain.estimatefee', () => 0.000001);
    expect(await refusal(chain.feeRate())).toContain('blockchain.relayfee');
  });
});

describe('a script', () => {
  const status = (value: string | null): void => {
    notifyAll('blockchain.scripthash.subscribe', [scripthash(SCRIPT), value]);
  };

  it('has signed heights in its history', async () => {
    const heights = [0, -1, 99_999];
    server.methods.set('blockchain.scripthash.get_history', () => heights.map((height) => ({ tx_hash: ID, height })));
    expect((await chain.history(SCRIPT)).map((entry) => entry.height)).toEqual([99_999, 0, -1]);
  });

  it('is subscribed once and its changes are told', async () => {
    await chain.tip();
    chain.subscribe(SCRIPT);
    chain.subscribe(SCRIPT);
    await until(() => server.requests.some(({ method }) => method === 'blockchain.scripthash.subscribe'));
    status('01');
    status('01');
    status(null);
    await until(() => changesOf('script').length === 2);
    expect(changesOf('script')).toEqual(Array(2).fill({ kind: 'script', scriptPubKeyHex: hex(SCRIPT) }));
    chain.unsubscribe(SCRIPT);
    status('02');
    await chain.genesisHash();
    expect(changesOf('script')).toHaveLength(2);
    expect(server.requests.filter(({ method }) => method === 'blockchain.scripthash.subscribe')).toHaveLength(1);
  });

  it('is subscribed again after a reconnect, and a change in between is told', async () => {
    await chain.tip();
    chain.subscribe(SCRIPT);
    await chain.genesisHash(); // answered behind the subscription
    server.dropAll();
    await until(() => changesOf('connected').length === 2);
    await chain.genesisHash();
    expect(changesOf('script')).toEqual([]);
    server.methods.set('blockchain.scripthash.subscribe', () => 'ab');
    server.dropAll();
    await until(() => changesOf('script').length === 1);
    expect(changes.map((change) => change.kind)).toEqual([
      'connected',
      'block',
      'disconnected',
      'connected',
      'disconnected',
      'connected',
      'script',
    ]);
  });

  it('subscribed without a connection is told of at the first one', async () => {
    chain.close();
    server.methods.set('blockchain.scripthash.subscribe', () => 'ab');
    chain = connect([server.url]);
    chain.subscribe(SCRIPT);
    await until(() => changesOf('script').length === 1);
  });

  it('that the server refuses to subscribe disturbs nothing', async () => {
    server.methods.set('blockchain.scripthash.subscribe', () => {
      throw new ServerFault('Too many history entries');
    });
    await chain.tip();
    chain.subscribe(SCRIPT);
    expect(await chain.genesisHash()).toBe(GENESIS);
    expect(changesOf('connected')).toHaveLength(1);
  });
});

describe('the connection', () => {
  it('is made again after a drop, and a request waits for it', async () => {
    await chain.tip();
    server.dropAll();
    await until(() => changesOf('disconnected').length === 1);
    expect((await chain.tip()).height).toBe(433);
    expect(changesOf('connected')).toHaveLength(2);
  });

  it('fails over to the next server, also from a silent one', async () => {
    chain.close();
    const silent = await startHostileElectrum();
    silent.methods.set('server.version', () => SILENCE);
    chain = connect([silent.url, 'tcp://127.0.0.1:1', server.url]);
    expect((await chain.tip()).height).toBe(433);
    expect(silent.requests).toHaveLength(1);
    await silent.close();
  });

  it('is given up on after a short wait when no server can be reached, with the reason', async () => {
    chain.close();
    chain = connect(['tcp://127.0.0.1:1'], { timeouts: { reconnectWaitMs: 100 } });
    expect(await refusal(chain.history(SCRIPT))).toMatch(/no Electrum server.*tcp:\/\/127.0.0.1:1.*ECONNREFUSED/);
  });

  it('is waited for by many at once without a warning on the terminal', async () => {
    const warnings: string[] = [];
    const warned = (warning: Error): number => warnings.push(warning.message);
    process.on('warning', warned);
    chain.close();
    chain = connect(['tcp://127.0.0.1:1'], { timeouts: { reconnectWaitMs: 100 } });
    const away = chain;
    await Promise.all(Array.from({ length: 30 }, (_, i) => refusal(away.history(Buffer.of(i)))));
    await new Promise(setImmediate);
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  it('fails what is open when it breaks', async () => {
    server.methods.set('blockchain.scripthash.get_history', () => {
      server.dropAll();
      return SILENCE;
    });
    expect(await refusal(chain.history(SCRIPT))).toContain('closed the connection');
  });

  it('survives listeners that throw', async () => {
    chain.onChange(() => {
      throw new Error('a listener of no use');
    });
    const seen: string[] = [];
    const stop = chain.onChange((change) => seen.push(change.kind));
    await chain.tip();
    server.dropAll();
    await until(() => seen.filter((kind) => kind === 'connected').length >= 1 && changesOf('connected').length === 2);
    stop();
    const before = seen.length;
    notifyAll('blockchain.headers.subscribe', [headerVector(1)]);
    await until(() => changesOf('block').length === 2);
    expect(seen).toHaveLength(before);
  });

  it('does nothing more once it is closed', async () => {
    await chain.tip();
    chain.close();
    await until(() => server.connections.size === 0);
    expect(await refusal(chain.tip())).toContain('closed by this program');
  });

  it('needs a server', () => {
    expect(() => connectElectrum({ servers: [], log })).toThrow('expected one');
    expect(() => connectElectrum({ servers: ['electrum'], log })).toThrow('Electrum server: expected');
    expect(() => connectElectrum({ servers: [server.url], caFile: '/none', log })).toThrow('ca_file');
  });
});
