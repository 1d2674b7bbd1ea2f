import {
  ClientError,
  createChannel,
  createClient,
  createClientFactory,
  createServer,
  Metadata,
  Status,
  type Server,
} from 'nice-grpc';
import { RichClientError, errorDetailsClientMiddleware, errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { SwapError, type ErrorCode } from '../../../src/errors.js';
import { SwapServiceDefinition } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { createLogger } from '../../../src/log.js';
import { bearerToken, errorMiddleware, STATUS_OF_CODE } from '../../../src/rpc/status.js';

/** The table of docs/architecture. */
const EXPECTED = {
  INVALID_ARGUMENT: ['invalid_argument'],
  UNAUTHENTICATED: ['unauthenticated'],
  PERMISSION_DENIED: ['forbidden'],
  NOT_FOUND: ['offer_not_found', 'quote_not_found', 'swap_not_found', 'principal_not_found'],
  FAILED_PRECONDITION: [
    'quote_expired',
    'quote_used',
    'offer_changed',
    'insufficient_inventory',
    'timelock_too_short',
    'price_limit_exceeded',
    'feerate_too_high',
    'no_inbound_capacity',
    'paused',
  ],
  ALREADY_EXISTS: ['request_id_reused', 'payment_hash_reused'],
  RESOURCE_EXHAUSTED: ['too_many_open_swaps', 'rate_limited'],
  ABORTED: ['version_conflict'],
  UNAVAILABLE: ['lightning_unavailable', 'chain_unavailable', 'history_too_long', 'read_only', 'fenced', 'degraded'],
  INTERNAL: ['bad_config'],
} as const satisfies Partial<Record<keyof typeof Status, readonly ErrorCode[]>>;

describe('the table of errors', () => {
  it('maps every code as documented', () => {
    const rows = Object.entries(EXPECTED).flatMap(([status, codes]) =>
      codes.map((code) => [code, Status[status as keyof typeof EXPECTED]] as const),
    );
    expect(Object.fromEntries(rows)).toEqual(STATUS_OF_CODE);
  });
});

describe('an error that leaves a handler', () => {
  let thrown: unknown;
  let server: Server;
  let channel: ReturnType<typeof createChannel>;

  beforeAll(async () => {
    server = createServer()
      .use(errorDetailsServerMiddleware)
      .use(errorMiddleware(createLogger('test', 'silent')));
    const fail = (): never => {
      throw thrown;
    };
    server.add(SwapServiceDefinition, {
      listOffers: () => Promise.resolve().then(fail),
      createQuote: fail,
      getQuote: fail,
      createSwap: fail,
      getSwap: fail,

      watchSwap: async function* () {
        await Promise.resolve();
        fail();
      },
    });
    const port = await server.listen('127.0.0.1:0');
    channel = createChannel(`127.0.0.1:${port}`);
  });
  afterAll(async () => {
    channel.close();
    await server.shutdown();
  });

  async function seen(error: unknown): Promise<{ error: ClientError; code: string | undefined }> {
    thrown = error;
    let trailer = Metadata();
    const client = createClientFactory().use(errorDetailsClientMiddleware).create(SwapServiceDefinition, channel);
    const onTrailer = (found: Metadata): void => {
      trailer = found;
    };
    try {
      await client.listOffers({}, { onTrailer });
    } catch (failure) {
      if (failure instanceof ClientError) return { error: failure, code: trailer.get('swap-error-code') };
      throw failure;
    }
    throw new Error('expected a failure');
  }

  it.each(Object.entries(STATUS_OF_CODE))('%s arrives with its status and its code', async (code, status) => {
    const { error, code: found } = await seen(new SwapError(code as ErrorCode, 'expected x, found y'));
    expect([error.code, error.details, found]).toEqual([status, 'expected x, found y', code]);
  });
  it('carries one violation per field', async () => {
    const violations = [
      { field: 'a', description: 'expected 1, found 2' },
      { field: 'b', description: 'expected 3, found 4' },
    ];
    const { error } = await seen(new SwapError('invalid_argument', 'a and b', { violations }));
    if (!(error instanceof RichClientError)) throw new Error('expected details');
    expect(error.extra).toMatchObject([{ fieldViolations: violations }]);
  });
  it('is hidden when it is a bug: a request id, and nothing else', async () => {
    const secret = 'preimage 00ff';
    for (const bug of [new Error(secret), new TypeError(secret), secret]) {
      const { error, code } = await seen(bug);
      expect([error.code, code]).toEqual([Status.INTERNAL, 'internal']);
      expect(error.details).toMatch(/^internal error, request id [0-9a-f-]{36}$/);
    }
  });
  it('ends a stream, too', async () => {
    thrown = new SwapError('swap_not_found', 'none');
    const stream = createClient(SwapServiceDefinition, channel).watchSwap({ swapId: Buffer.alloc(16) });
    const first = stream[Symbol.asyncIterator]().next();
    await expect(first).rejects.toMatchObject({ code: Status.NOT_FOUND, details: 'none' });
  });
});

describe('the bearer token', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['Bearer  abc ', 'abc'],
    ['bearer abc', undefined],
    ['Basic abc', undefined],
    ['abc', undefined],
    [undefined, undefined],
  ])('of "%s" is %s', (header, token) => {
    expect(bearerToken(header === undefined ? Metadata() : Metadata({ authorization: header }))).toBe(token);
  });
});
