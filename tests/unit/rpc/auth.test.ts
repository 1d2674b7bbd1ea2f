import { createChannel, createClient, createServer, Metadata, type Channel, type Server } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { unixSecs } from '../../../src/core/units.js';
import { SwapServiceDefinition } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { createLogger } from '../../../src/log.js';
import { adminMiddleware, buyerMiddleware, DEADLINE_KEY, tokenHash, type AuthMode } from '../../../src/rpc/auth.js';
import type { RpcContext } from '../../../src/rpc/context.js';
import { errorMiddleware } from '../../../src/rpc/status.js';
import { deletePrincipal, savePrincipal } from '../../../src/store/meta.js';
import { eventually } from '../../support/eventually.js';
import { START } from '../../support/swapFixtures.js';
import { rawSql, tempStore, type TempStore } from '../../support/tempStore.js';
import { rpcContext } from '../engine/testContext.js';

let temp: TempStore;
let ctx: RpcContext;
let server: Server;
let channel: Channel;
/** Who the handler was told is calling. */
let callers: string[] = [];
/** When the last ListOffers had to be answered, Unix milliseconds. */
let answerBy = 0;

beforeEach(() => {
  temp = tempStore();
  ctx = rpcContext(temp);
  callers = [];
});
afterEach(async () => {
  channel.close();
  await server.shutdown();
  temp[Symbol.dispose]();
});

async function serve(mode: AuthMode | 'admin') {
  const base = createServer().use(errorMiddleware(createLogger('test', 'silent')));
  server = base;
  const offers = {
    offers: [],
    genesisHash: Buffer.alloc(0),
    sellerNodeId: Buffer.alloc(0),
    policyAssetId: Buffer.alloc(0),
    paused: false,
  };
  const unused = (): never => {
    throw new Error('not called here');
  };
  const rest = { getQuote: unused, createSwap: unused, getSwap: unused, watchSwap: unused };
  if (mode === 'admin') {
    base.with(adminMiddleware('admin-token')).add(SwapServiceDefinition, {
      ...rest,
      createQuote: unused,
      listOffers: () => {
        callers.push('operator');
        return Promise.resolve(offers);
      },
    });
  } else {
    base.with(buyerMiddleware(ctx, mode)).add(SwapServiceDefinition, {
      ...rest,
      createQuote: (_request, call) => {
        callers.push(call.principal);
        return Promise.resolve({});
      },
      listOffers: (_request, call) => {
        callers.push(call.principal);
        ({ answerBy } = call);
        return Promise.resolve(offers);
      },
      watchSwap: async function* (_request, call) {
        callers.push(call.principal);
        yield {};
        await new Promise((resolve) => {
          call.signal.addEventListener('abort', resolve);
        });
      },
    });
  }
  const port = await base.listen('127.0.0.1:0');
  channel = createChannel(`127.0.0.1:${port}`);
  return createClient(SwapServiceDefinition, channel);
}

const bearer = (token: string) => ({ metadata: Metadata({ authorization: `Bearer ${token}` }) });
const unauthenticated = { details: expect.stringContaining('expected a known bearer token') as string };

describe('a buyer', () => {
  it('is the name of its token', async () => {
    savePrincipal(ctx.store, 'alice', tokenHash('secret'), unixSecs(START));
    const client = await serve('tokens');
    await client.listOffers({}, bearer('secret'));
    expect(callers).toEqual(['alice']);
  });
  it('is refused without a token, with another one, and with its hash', async () => {
    savePrincipal(ctx.store, 'alice', tokenHash('secret'), unixSecs(START));
    const client = await serve('tokens');
    await expect(client.listOffers({})).rejects.toMatchObject(unauthenticated);
    for (const token of ['', 'other', tokenHash('secret')]) {
      await expect(client.listOffers({}, bearer(token))).rejects.toMatchObject(unauthenticated);
    }
    expect(callers).toEqual([]);
  });
  it('is refused from the moment its token is revoked', async () => {
    savePrincipal(ctx.store, 'alice', tokenHash('secret'), unixSecs(START));
    const client = await serve('tokens');
    await client.listOffers({}, bearer('secret'));
    deletePrincipal(ctx.store, 'alice');
    await expect(client.listOffers({}, bearer('secret'))).rejects.toMatchObject(unauthenticated);
  });
  it('is "local" where no tokens are asked for', async () => {
    const client = await serve('none');
    await client.listOffers({}, bearer('whatever'));
    expect(callers).toEqual(['local']);
  });
  it('asks for two quotes a minute at most, each buyer for itself; reading is not counted', async () => {
    for (const name of ['alice', 'bob']) savePrincipal(ctx.store, name, tokenHash(name), unixSecs(START));
    const client = await serve('tokens');
    for (let i = 0; i < 5; i += 1) await client.listOffers({}, bearer('alice'));
    await client.createQuote({}, bearer('alice'));
    await client.createQuote({}, bearer('alice'));
    await expect(client.createQuote({}, bearer('alice'))).rejects.toThrow('RESOURCE_EXHAUSTED');
    await client.createQuote({}, bearer('bob'));
  });
  it('keeps three streams open at most, each buyer for itself, and may open another when one ends', async () => {
    for (const name of ['alice', 'bob']) savePrincipal(ctx.store, name, tokenHash(name), unixSecs(START));
    const client = await serve('tokens');
    const open = async (name: string): Promise<() => void> => {
      const stop = new AbortController();
      const stream = client.watchSwap({}, { ...bearer(name), signal: stop.signal });
      await stream[Symbol.asyncIterator]().next();
      return () => {
        stop.abort();
      };
    };
    const [close] = [await open('alice'), await open('alice'), await open('alice')];
    await expect(open('alice')).rejects.toThrow('expected at most 3 open WatchSwap and CreateSwap calls');
    await expect(client.createSwap({}, bearer('alice'))).rejects.toThrow('RESOURCE_EXHAUSTED');
    await open('bob');
    close();
    await eventually('a place that is free again', () => open('alice').catch(() => undefined));
    await expect(open('alice')).rejects.toThrow('RESOURCE_EXHAUSTED');
    server.forceShutdown();
  });
  it.each<[string, number | undefined, number]>([
    ['300 ms before its deadline', 10_000, 9_700],
    ['after 30 s if it has none', undefined, 30_000],
    ['after 120 s at the latest', 10 ** 9, 120_000],
  ])('is answered %s', async (_name, deadlineMs, expected) => {
    const client = await serve('none');
    const now = Date.now();
    const metadata = Metadata(deadlineMs === undefined ? {} : { [DEADLINE_KEY]: String(now + deadlineMs) });
    await client.listOffers({}, { metadata });
    expect(answerBy - now).toBeGreaterThanOrEqual(expected);
    expect(answerBy - now).toBeLessThan(expected + 2_000);
  });
  it('has no token in the database, only its hash', () => {
    savePrincipal(ctx.store, 'alice', tokenHash('secret'), unixSecs(START));
    expect(JSON.stringify(ctx.store.all(rawSql('SELECT name, token_hash FROM principals')))).not.toContain('secret');
  });
});

describe('the operator', () => {
  it('has the admin token and no other', async () => {
    savePrincipal(ctx.store, 'alice', tokenHash('secret'), unixSecs(START));
    const client = await serve('admin');
    await client.listOffers({}, bearer('admin-token'));
    for (const token of ['', 'secret', 'admin-token2']) {
      await expect(client.listOffers({}, bearer(token))).rejects.toThrow('expected the admin token');
    }
    await expect(client.listOffers({})).rejects.toThrow('expected the admin token');
    expect(callers).toEqual(['operator']);
  });
});
