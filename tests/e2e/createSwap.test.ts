/** What callers do by accident or on purpose, against the real daemon over its real socket. */
import { randomBytes, randomUUID } from 'node:crypto';

import BetterSqlite3 from 'better-sqlite3';
import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, ClientError, Metadata, Status, type Channel } from 'nice-grpc';
import { BadRequest, errorDetailsClientMiddleware, RichClientError } from 'nice-grpc-error-details';
import { HealthDefinition } from 'nice-grpc-server-health';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createSwapRequest } from '../../src/buyer/purchase.js';
import { hex } from '../../src/core/units.js';
import { AdminServiceDefinition } from '../../src/gen/ln_liquid_swap/v1/admin.js';
import { SwapServiceDefinition, type CreateSwapRequest } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { openBuyer, startTestPurchase, startTestWorld, type TestBuyer, type TestWorld } from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';

let world: TestWorld;
let buyer: TestBuyer;
let channel: Channel;

const client = () => createClientFactory().use(errorDetailsClientMiddleware).create(SwapServiceDefinition, channel);

beforeAll(async () => {
  world = await startTestWorld();
  buyer = await openBuyer(world);
  channel = createChannel(world.file().swapd.address, ChannelCredentials.createInsecure());
});
afterAll(async () => {
  channel.close();
  buyer.close();
  await world.close();
});

function rows(sql: string): unknown[] {
  const database = new BetterSqlite3(world.file().swapd.database, { readonly: true });
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
}

/** What a call was refused with: status, machine code, and the fields named. */
async function refusal(call: (trailer: (metadata: Metadata) => void) => Promise<unknown>) {
  let code: string | undefined;
  try {
    await call((metadata) => (code = metadata.get('swap-error-code')));
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const details = error instanceof RichClientError ? error.extra : [];
    const fields = details.flatMap((detail) =>
      detail.$type === BadRequest.$type ? detail.fieldViolations.map((each) => each.field) : [],
    );
    return { status: error.code, code, fields };
  }
  throw new Error('expected a refusal, the call succeeded');
}

async function newRequest(): Promise<CreateSwapRequest> {
  return createSwapRequest(buyer.buyer, await startTestPurchase(world, buyer));
}

describe('the same request', () => {
  it('made 20 times in parallel and once after a restart is one swap with one funding', async () => {
    const request = await newRequest();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client().createSwap(request)));
    await world.ask({ command: 'kill', name: 'swapd' });
    await world.ask({ command: 'start', name: 'swapd' });
    answers.push(await client().createSwap(request));
    const ids = new Set(answers.map(({ swap }) => hex(swap?.swapId ?? Buffer.alloc(0))));
    expect(ids.size).toBe(1);
    const txids = new Set(answers.map(({ swap }) => hex(swap?.fundingTxid ?? Buffer.alloc(0))));
    expect([...txids].every((txid) => txid.length === 64)).toBe(true);
    expect(txids.size).toBe(1);
    const [id] = ids;
    expect(rows(`SELECT kind FROM txs WHERE swap_id = '${id ?? ''}'`)).toEqual([{ kind: 'funding' }]);

    const other = { ...request, minFundingConfs: request.minFundingConfs + 1 };
    expect(await refusal((onTrailer) => client().createSwap(other, { onTrailer }))).toMatchObject({
      status: Status.ALREADY_EXISTS,
      code: 'request_id_reused',
    });
    const second = { ...request, requestId: randomUUID() };
    expect(await refusal((onTrailer) => client().createSwap(second, { onTrailer }))).toMatchObject({
      status: Status.FAILED_PRECONDITION,
      code: 'quote_used',
    });
  });
});

describe('a malformed request', () => {
  const bytes = (length: number): Buffer => randomBytes(length);
  const valid: CreateSwapRequest = {
    requestId: randomUUID(),
    quoteId: bytes(16),
    claimPubkey: Buffer.from('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex'),
    claimProof: bytes(64),
    maxPriceMsat: 1_000n,
    minFundingConfs: 1,
    waitUntilFunded: false,
  };
  const wrong: readonly [field: string, change: Partial<CreateSwapRequest>][] = [
    ['request_id', { requestId: '' }],
    ['request_id', { requestId: 'x'.repeat(5_000) }],
    ['quote_id', { quoteId: bytes(15) }],
    ['quote_id', { quoteId: Buffer.alloc(0) }],
    ['claim_pubkey', { claimPubkey: bytes(32) }],
    ['claim_pubkey', { claimPubkey: Buffer.concat([Buffer.of(2), Buffer.alloc(32, 0xff)]) }],
    ['claim_pubkey', { claimPubkey: Buffer.concat([Buffer.of(4), bytes(64)]) }],
    ['claim_proof', { claimProof: bytes(63) }],
    ['max_price_msat', { maxPriceMsat: 0n }],
    ['max_price_msat', { maxPriceMsat: 2n ** 64n - 1n }],
    ['min_funding_confs', { minFundingConfs: 0 }],
    ['min_funding_confs', { minFundingConfs: 4_000_000_000 }],
  ];

  it.each(wrong)('is refused naming %s (%#)', async (field, change) => {
    const found = await refusal((onTrailer) => client().createSwap({ ...valid, ...change }, { onTrailer }));
    expect(found).toEqual({ status: Status.INVALID_ARGUMENT, code: 'invalid_argument', fields: [field] });
  });

  it('with everything wrong names every field', async () => {
    const found = await refusal((onTrailer) => client().createSwap({}, { onTrailer }));
    expect(found.fields.sort()).toEqual([
      'claim_proof',
      'claim_pubkey',
      'max_price_msat',
      'min_funding_confs',
      'quote_id',
      'request_id',
    ]);
  });

  it('with a quote of nobody, or a swap of nobody, is not found', async () => {
    const quote = await refusal((onTrailer) => client().createSwap(valid, { onTrailer }));
    expect(quote).toMatchObject({ status: Status.NOT_FOUND, code: 'quote_not_found' });
    const swap = await refusal((onTrailer) => client().getSwap({ swapId: bytes(16) }, { onTrailer }));
    expect(swap).toMatchObject({ status: Status.NOT_FOUND, code: 'swap_not_found' });
  });

  it('with a proof by another key is refused before anything is stored', async () => {
    const request = await newRequest();
    const before = rows('SELECT count(*) AS n FROM swaps');
    const found = await refusal((onTrailer) =>
      client().createSwap({ ...request, claimProof: bytes(64) }, { onTrailer }),
    );
    expect(found).toMatchObject({ status: Status.INVALID_ARGUMENT, fields: ['claim_proof'] });
    expect(rows('SELECT count(*) AS n FROM swaps')).toEqual(before);
  });

  it('above the price limit is refused', async () => {
    const request = await newRequest();
    const found = await refusal((onTrailer) => client().createSwap({ ...request, maxPriceMsat: 1n }, { onTrailer }));
    expect(found).toMatchObject({ status: Status.FAILED_PRECONDITION, code: 'price_limit_exceeded' });
  });

  it.each([
    ['asset_id', { assetId: Buffer.alloc(31), assetAmount: 1n }],
    ['asset_amount', { assetId: Buffer.alloc(32), assetAmount: 0n }],
    ['asset_amount', { assetId: Buffer.alloc(32), assetAmount: 2n ** 63n }],
  ] as const)('for a quote is refused naming %s (%#)', async (field, request) => {
    const found = await refusal((onTrailer) => client().createQuote(request, { onTrailer }));
    expect(found).toMatchObject({ status: Status.INVALID_ARGUMENT, fields: [field] });
  });

  it('for an asset that is not sold is not found', async () => {
    const found = await refusal((onTrailer) =>
      client().createQuote({ assetId: Buffer.alloc(32, 7), assetAmount: 1_000n }, { onTrailer }),
    );
    expect(found).toMatchObject({ status: Status.NOT_FOUND, code: 'offer_not_found' });
  });

  it('of 100 KiB is refused by size', async () => {
    const found = await refusal(() => client().createSwap({ ...valid, claimProof: bytes(100 * 1024) }));
    expect(found.status).toBe(Status.RESOURCE_EXHAUSTED);
  });

  it('never ends the daemon', async () => {
    const health = createClientFactory().create(HealthDefinition, channel);
    expect((await health.check({ service: SwapServiceDefinition.fullName })).status).toBe(1);
  });
});

describe('the operator', () => {
  const admin = () => {
    const { admin: address } = world.file().swapd;
    return createChannel(address, ChannelCredentials.createInsecure());
  };

  it('is refused without the token', async () => {
    const open = admin();
    const found = await refusal((onTrailer) =>
      createClientFactory().create(AdminServiceDefinition, open).getStatus({}, { onTrailer }),
    );
    expect(found).toMatchObject({ status: Status.UNAUTHENTICATED, code: 'unauthenticated' });
    open.close();
  });
});

describe('a swap that waits', () => {
  it('answers CreateSwap when it is funded, if asked to wait', async () => {
    const request = { ...(await newRequest()), waitUntilFunded: true };
    const { swap } = await whileMining(world, client().createSwap(request));
    expect(swap?.bolt11).toMatch(/^lnbcrt/);
    expect(swap?.fundingConfs).toBeGreaterThanOrEqual(1);
    expect(swap?.preimage).toHaveLength(0);
  });
});
