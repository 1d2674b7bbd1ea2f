/** More buyers at once than there is stock for: the stock is sold once, and nobody else leaves a trace. */
import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';

import BetterSqlite3 from 'better-sqlite3';
import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClient, type Channel, type Metadata } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { openAdmin, type AdminClient, type RpcConnection } from '../../src/buyer/rpcClient.js';
import { signClaimProof } from '../../src/core/terms.js';
import { parseTransaction } from '../../src/core/tx.js';
import { blockHash, displayHex, hex, pubkey, quoteId } from '../../src/core/units.js';
import {
  SwapServiceDefinition,
  type CreateSwapRequest,
  type SwapServiceClient,
} from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { eventually, liquidMempool, startTestWorld, type TestWorld } from '../support/testWorld.js';
import { keyOf } from '../unit/core/zkp.js';

const BUYERS = 64;
const IN_STOCK = 20;
/** 10.00000000 of an asset of which there is nothing but this. */
const AMOUNT = 1_000_000_000n;
/** More than a split costs. */
const FEES_SAT = 10_000n;
const OPEN_QUOTAS = `
[limits]
max_inflight_swaps = 1000
max_open_unpaid_per_principal = 1000
max_asset_share_per_principal_ppm = 1000000
max_asset_share_ppm = 1000000
create_per_minute = 1000
max_streams_per_principal = 1000
`;

let world: TestWorld;
let admin: RpcConnection<AdminClient>;
let channel: Channel;
let asset: Buffer;
let lbtc: Buffer;

const client = (): SwapServiceClient => createClient(SwapServiceDefinition, channel);

beforeAll(async () => {
  world = await startTestWorld();
  await world.ask({ command: 'issue', ticker: 'LOAD', amount: '1000', precision: 8 });
  await world.ask({ command: 'stop', name: 'swapd' });
  appendFileSync(world.file().swapd.config, OPEN_QUOTAS);
  await world.ask({ command: 'start', name: 'swapd' });
  const { swapd, assets, policy_asset: policyAsset } = world.file();
  asset = Buffer.from(assets['LOAD']?.id ?? '', 'hex').reverse();
  lbtc = Buffer.from(policyAsset, 'hex').reverse();
  admin = openAdmin({ address: swapd.admin, token: readFileSync(swapd.admin_token_file, 'utf8').trim() });
  channel = createChannel(swapd.address, ChannelCredentials.createInsecure());
});
afterAll(async () => {
  channel.close();
  admin.close();
  await world.close();
});

function rows<Row>(sql: string, schema: z.ZodType<Row>): Row[] {
  const database = new BetterSqlite3(world.file().swapd.database, { readonly: true });
  try {
    return z.array(schema).parse(database.prepare(sql).all());
  } finally {
    database.close();
  }
}
const count = (table: string): number =>
  rows(`SELECT count(*) AS n FROM ${table}`, z.object({ n: z.number() }))[0]?.n ?? 0;

/** What is free of an asset, by the daemon's own word. */
const available = async (assetId: Buffer): Promise<bigint> => {
  const { balances } = await admin.client.getBalance({});
  return balances.find((each) => assetId.equals(each.assetId))?.availableAmount ?? 0n;
};
const inStock = (assetId: Buffer, amount: bigint): Promise<boolean> =>
  eventually(`${amount.toString()} in stock`, async () => ((await available(assetId)) >= amount ? true : undefined));

/** Exactly what 20 swaps take, as 20 coins, which the operator makes out of one. */
async function stockUp(): Promise<void> {
  const { address } = await admin.client.newAddress({});
  const units = (BigInt(IN_STOCK) * AMOUNT) / 10n ** 8n;
  await world.ask({ command: 'faucet', address, asset: 'LOAD', amount: units.toString() });
  await world.mine(2);
  await inStock(asset, BigInt(IN_STOCK) * AMOUNT);
  for (const assetId of [asset, lbtc]) {
    const before = await available(assetId);
    await admin.client.splitCoins({ requestId: randomUUID(), assetId, parts: IN_STOCK }, { deadline: 60_000 });
    await world.mine(2);
    await inStock(assetId, before - FEES_SAT);
  }
  expect(await available(asset)).toBe(BigInt(IN_STOCK) * AMOUNT);
  await eventually('all of it for sale', async () => {
    const { offers } = await client().listOffers({});
    const found = offers.find((each) => asset.equals(each.assetId))?.availableAssetAmount;
    return found === BigInt(IN_STOCK) * AMOUNT || undefined;
  });
}

async function request(n: number): Promise<CreateSwapRequest> {
  const { quote } = await client().createQuote({ assetId: asset, assetAmount: AMOUNT });
  if (quote === undefined) throw new Error('expected a quote');
  const key = keyOf(`buyer ${n}`);
  const requestId = randomUUID();
  const { genesis, lnnoded } = world.file();
  const claimProof = signClaimProof(key.privateKey, {
    genesis: blockHash(genesis),
    sellerNodeId: pubkey(lnnoded.seller.node_id),
    requestId,
    quoteId: quoteId(hex(quote.quoteId)),
    claimPubkey: key.pubkey,
  });
  return {
    requestId,
    quoteId: quote.quoteId,
    claimPubkey: Buffer.from(key.pubkey, 'hex'),
    claimProof,
    maxPriceMsat: quote.priceMsat,
    minFundingConfs: 1,
    waitUntilFunded: false,
  };
}

/** The id of the swap that the request made, or the code of its refusal. */
async function outcome(each: CreateSwapRequest): Promise<{ readonly id: string } | { readonly refused: string }> {
  let code = 'none';
  const onTrailer = (trailer: Metadata): void => {
    code = trailer.get('swap-error-code') ?? code;
  };
  try {
    const { swap } = await client().createSwap(each, { onTrailer });
    return { id: hex(swap?.swapId ?? Buffer.alloc(0)) };
  } catch {
    return { refused: code };
  }
}

const fundingSchema = z.object({ swap_id: z.string(), txid: z.string(), raw: z.instanceof(Buffer) });
const fundings = () => rows("SELECT swap_id, txid, raw FROM txs WHERE kind = 'funding'", fundingSchema);

describe('64 buyers at once and stock for 20', () => {
  it('20 swaps are funded, 44 are refused before anything is stored, and no coin is used twice', async () => {
    await stockUp();
    const requests = await Promise.all(Array.from({ length: BUYERS }, (_, n) => request(n)));
    const outcomes = await Promise.all(requests.map(outcome));

    const made = outcomes.flatMap((each) => ('id' in each ? [each.id] : []));
    const refused = outcomes.flatMap((each) => ('refused' in each ? [each.refused] : []));
    expect(new Set(made).size).toBe(IN_STOCK);
    expect(refused).toEqual(Array.from({ length: BUYERS - IN_STOCK }, () => 'insufficient_inventory'));

    expect([count('swaps'), count('requests')]).toEqual([IN_STOCK, IN_STOCK]);
    const isUsed = await Promise.all(requests.map(async (each) => (await client().getQuote(each)).quote?.isUsed));
    expect(isUsed).toEqual(outcomes.map((each) => 'id' in each));

    await eventually('20 fundings', () => Promise.resolve(fundings().length === IN_STOCK ? true : undefined), 120_000);
    expect(new Set(fundings().map(({ swap_id: id }) => id))).toEqual(new Set(made));
    expect(new Set(fundings().map(({ txid }) => txid)).size).toBe(IN_STOCK);
    const spent = fundings().flatMap(({ raw }) =>
      parseTransaction(raw).ins.map((input) => `${displayHex(input.hash)}:${input.index}`),
    );
    expect(spent.length).toBeGreaterThanOrEqual(2 * IN_STOCK);
    expect(new Set(spent).size).toBe(spent.length);

    await eventually('20 broadcasts', async () => ((await liquidMempool(world)) === IN_STOCK ? true : undefined));
    await world.mine(1);
    await eventually('every swap funded', () => {
      const states = rows('SELECT state FROM swaps', z.object({ state: z.string() }));
      return Promise.resolve(states.every(({ state }) => state === 'FUNDED') ? true : undefined);
    });
    expect(await available(asset)).toBe(0n);
  });
});
