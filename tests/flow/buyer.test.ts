/** The buyer against real programs: continued at every step, and with a seller in between that lies. */
import { ClientError, createServer, ServerError, type Server } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import type { Buyer } from '../../src/buyer/buyer.js';
import { claimFromKit } from '../../src/buyer/claimFromKit.js';
import { claimKitFile } from '../../src/buyer/claimStep.js';
import { connectBuyer, readPayoutWallet } from '../../src/buyer/connect.js';
import { readRecord, saveRecord } from '../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../src/buyer/drive.js';
import { createSwapRequest } from '../../src/buyer/purchase.js';
import type { Progress, PurchaseRecord, Step } from '../../src/buyer/record.js';
import { openSeller } from '../../src/buyer/rpcClient.js';
import { drivePurchase } from '../../src/buyer/session.js';
import { VerificationRefused } from '../../src/buyer/verifyHandover.js';
import { failedCodes } from '../../src/buyer/verify.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { hex, paymentHash, pubkey, reversedBytes } from '../../src/core/units.js';
import {
  SwapServiceDefinition,
  SwapStatus,
  type CreateQuoteRequest,
  type CreateQuoteResponse,
  type Swap,
  type SwapServiceImplementation,
} from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { createLogger } from '../../src/log.js';
import {
  driveTo,
  eventually,
  openBuyer,
  startTestPurchase,
  startTestWorld,
  type TestBuyer,
  type TestWorld,
} from '../support/testWorld.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** What the seller in between changes. */
type Lie = {
  readonly order?: (request: CreateQuoteRequest) => CreateQuoteRequest;
  readonly quote?: (answer: CreateQuoteResponse, request: CreateQuoteRequest) => CreateQuoteResponse;
  readonly swap?: (swap: Swap) => Swap;
};

let world: TestWorld;
let honest: TestBuyer;
let liar: Server;
let lie: Lie = {};
let lied: TestBuyer;
const opened: { close(): void }[] = [];

const log = createLogger('test-buyer', 'silent');
const FAST = { reconnectWaitMs: 50 };

/** The same data directory, connected anew: what a restarted program has. */
async function reconnect(dir: string, sellerAddress: string): Promise<Buyer> {
  const { electrum, lnnoded } = world.file();
  const connected = await connectBuyer({
    dir,
    log,
    seller: { address: sellerAddress, nodeId: pubkey(lnnoded.seller.node_id) },
    electrum: { servers: [`tcp://${electrum.host}:${electrum.port}`], isSingleServerTrusted: false },
    lightning: { address: lnnoded.buyer.address, tokenFile: lnnoded.buyer.token_file },
  });
  opened.push(connected);
  return connected.value;
}

/** Passes every call on to the real seller and changes the answers. */
function lyingSeller(): SwapServiceImplementation {
  const upstream = openSeller({ address: world.file().swapd.address });
  opened.push(upstream);
  const { client } = upstream;
  const told = <A extends { readonly swap: Swap | undefined }>(answer: A): A =>
    answer.swap === undefined || lie.swap === undefined ? answer : { ...answer, swap: lie.swap(answer.swap) };
  const passed = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      throw cause instanceof ClientError ? new ServerError(cause.code, cause.details) : error;
    }
  };
  return {
    listOffers: (request) => client.listOffers(request),
    getQuote: (request) => client.getQuote(request),
    createQuote: async (request) => {
      const answer = await passed(client.createQuote(lie.order?.(request) ?? request));
      return lie.quote?.(answer, request) ?? answer;
    },
    createSwap: async (request) => told(await passed(client.createSwap(request))),
    getSwap: async (request) => told(await client.getSwap(request)),
    async *watchSwap(request, { signal }) {
      for await (const answer of client.watchSwap(request, { signal })) yield told(answer);
    },
  };
}

beforeAll(async () => {
  world = await startTestWorld();
  honest = await openBuyer(world);
  liar = createServer();
  liar.add(SwapServiceDefinition, lyingSeller());
  const port = await liar.listen('127.0.0.1:0');
  lied = { ...honest, buyer: await reconnect(honest.buyer.dir, `127.0.0.1:${port}`) };
});
afterAll(async () => {
  liar.forceShutdown();
  for (const each of opened) each.close();
  honest.close();
  await world.close();
});

/** Mines a block whenever someone waits for one, until the promise is settled. */
async function whileMining<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  ended.catch(() => undefined);
  await eventually('the end of the work', async () => {
    if (!isOver) await world.mine(1);
    return isOver || undefined;
  });
  return await ended;
}

const stepsSeen = (events: readonly PurchaseEvent[]): Step[] =>
  events.flatMap((event) => (event.kind === 'step' ? [event.record.progress.step] : []));

/** The honest seller's word about a purchase: the same request answers with the same swap. */
async function atSeller(record: PurchaseRecord): Promise<Swap> {
  const { swap } = await honest.buyer.seller.createSwap(createSwapRequest(honest.buyer, record));
  if (swap === undefined) throw new Error('no swap');
  return swap;
}

/** Lets the seller take back what was not paid: unpaid swaps count against the buyer until then. */
async function refunded({ swapId }: Swap): Promise<void> {
  const status = async (): Promise<SwapStatus | undefined> =>
    (await honest.buyer.seller.getSwap({ swapId })).swap?.status;
  await world.mine(62);
  await whileMining(
    eventually('the refund', async () => ((await status()) === SwapStatus.REFUNDED ? true : undefined)),
  );
}

describe('a purchase', () => {
  it('continues from every step with a program that was started anew', async () => {
    const record = await startTestPurchase(world, honest);
    const steps = ['created', 'verified', 'paying', 'paid', 'claiming', 'claimed'] as const;
    const reached: Step[] = [];
    for (const until of steps) {
      const buyer = await reconnect(honest.buyer.dir, world.file().swapd.address);
      const end = await whileMining(driveTo({ ...honest, buyer }, record, until));
      reached.push(end.progress.step);
      expect(readRecord(buyer.dir, record.number)).toEqual(end);
    }
    expect(reached).toEqual(steps);
  });

  it('keeps its step when it is interrupted, and is driven by one program only', async () => {
    const record = await startTestPurchase(world, honest);
    const stop = new AbortController();
    const events: PurchaseEvent[] = [];
    const driving = drivePurchase(honest.buyer, record.number, {
      signal: stop.signal,
      onEvent: (event) => {
        events.push(event);
      },
    });
    await eventually('the swap', async () => Promise.resolve(stepsSeen(events).includes('created') || undefined));
    await expect(driveTo(honest, record, 'paid')).rejects.toThrow('expected to be alone');
    stop.abort();
    expect((await driving).progress.step).toBe('created');
    expect((await whileMining(driveTo(honest, record, 'claimed'))).progress.step).toBe('claimed');
  });

  it('that is not paid ends unpaid when the seller has refunded', async () => {
    const record = await driveTo(honest, await startTestPurchase(world, honest), 'created');
    await world.mine(62);
    const end = await whileMining(driveTo(honest, record, 'claimed'));
    expect(end.progress).toMatchObject({ step: 'unpaid' });
  });

  it('that the seller refuses ends unpaid with its code', async () => {
    const record = await startTestPurchase(world, honest);
    const other = await driveTo(honest, await startTestPurchase(world, honest), 'created');
    const stolen = { ...record, deal: { ...record.deal, quoteId: other.deal.quoteId } };
    saveRecord(honest.buyer.dir, stolen);
    await expect(driveTo(honest, stolen, 'created')).rejects.toMatchObject({ code: 'quote_used', outcome: 'refused' });
    const progress = readRecord(honest.buyer.dir, record.number)?.progress;
    expect(progress).toMatchObject({ step: 'unpaid', reason: expect.stringContaining('quote_used') as string });
    await refunded(await atSeller(other));
  });

  it('can be claimed from its kit alone, with a server away, and the purchase then knows', async () => {
    const record = await whileMining(driveTo(honest, await startTestPurchase(world, honest), 'paid'));
    const { network, isSingleServerTrusted } = honest.buyer;
    const away = { name: 'away', chain: connectElectrum({ servers: ['tcp://127.0.0.1:1'], log, timeouts: FAST }) };
    opened.push(away.chain);
    const chains = [away, ...honest.buyer.chains];
    const kit = claimKitFile(honest.buyer.dir, record.number);
    const options = { signal: AbortSignal.timeout(30_000), onEvent: () => undefined };
    const claim = await whileMining(claimFromKit({ network, chains, isSingleServerTrusted }, kit, options));
    expect(claim.kind).toBe('claimed');
    const end = await driveTo(honest, record, 'claimed');
    expect(end.progress).toMatchObject({ step: 'claimed', claimTxid: 'txid' in claim ? claim.txid : '' });
  });

  it('to a confidential address is paid out blinded, and the wallet finds it', async () => {
    const { buyer } = honest;
    const read = () => readPayoutWallet(buyer, buyer.dir, buyer.seed, log);
    const before = await read();
    const record = await startTestPurchase(world, { ...honest, payoutAddress: before.address });
    const held = (wallet: typeof before): bigint =>
      wallet.balances.find((balance) => balance.assetId === record.deal.assetId)?.confirmed ?? 0n;
    expect(record.payout.blindingPubkey).not.toBeNull();
    const end = await whileMining(driveTo(honest, record, 'claimed'));
    expect(end.progress.step).toBe('claimed');
    expect(held(await read()) - held(before)).toBe(2_500_000_000n);
  });
});

describe('a seller that lies', () => {
  const small = (request: CreateQuoteRequest): CreateQuoteRequest => ({ ...request, assetAmount: 1_000_000_000n });
  const { policyAsset } = LIQUID_NETWORKS.regtest;
  const asLbtc = (): CreateQuoteRequest => ({ assetId: reversedBytes(policyAsset), assetAmount: 50_000n });
  /** The quote as the buyer asked for it. */
  const asAsked: Lie['quote'] = ({ quote }, { assetId, assetAmount }) => ({
    quote: quote === undefined ? undefined : { ...quote, assetId, assetAmount },
  });
  const inScript =
    (at: number, value: number) =>
    (swap: Swap): Swap => {
      const witnessScript = Buffer.from(swap.witnessScript);
      if (witnessScript.length > at) witnessScript[at] = value;
      return { ...swap, witnessScript };
    };

  it.each<[string, Lie, string[]]>([
    ['about the amount', { order: small, quote: asAsked }, ['terms_hash_mismatch', 'funding_amount']],
    ['about the asset', { order: asLbtc, quote: asAsked }, ['terms_hash_mismatch', 'funding_missing_output']],
    ['about the payment hash', { swap: inScript(20, 0xee) }, ['payment_hash_mismatch', 'funding_missing_output']],
    ['about the refund height', { swap: inScript(67, 0x01) }, ['refund_height_too_low', 'funding_missing_output']],
    [
      'about the price',
      { quote: ({ quote }) => ({ quote: quote && { ...quote, priceMsat: quote.priceMsat - 1_000n } }) },
      ['failed_precondition'],
    ],
  ])('%s is refused, and nothing is paid', async (_, told, codes) => {
    lie = told;
    try {
      const record = await startTestPurchase(world, lied);
      const driving = whileMining(driveTo(lied, record, 'claimed'));
      const error: unknown = await driving.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const found = error instanceof VerificationRefused ? failedCodes(error.report) : [codeOf(error)];
      expect(found).toEqual(expect.arrayContaining(codes));
      expect(endOf(record).step).toBe('unpaid');
      if (error instanceof VerificationRefused) {
        const swap = await atSeller(record);
        expect(await honest.buyer.lightning?.lookupPayment(paymentHash(hex(swap.paymentHash)))).toBeUndefined();
        await refunded(swap);
      }
    } finally {
      lie = {};
    }
  });

  it('about its node is refused before anything is created', async () => {
    lie = {
      quote: ({ quote }) => ({
        quote: quote && { ...quote, sellerNodeId: Buffer.from(world.file().lnnoded.buyer.node_id, 'hex') },
      }),
    };
    try {
      await expect(startTestPurchase(world, lied)).rejects.toMatchObject({ code: 'seller_node_changed' });
    } finally {
      lie = {};
    }
  });

  const endOf = (record: PurchaseRecord): Progress =>
    readRecord(honest.buyer.dir, record.number)?.progress ?? { step: 'quoted' };
  const codeOf = (error: unknown): string =>
    error instanceof Error && 'code' in error ? String(error.code) : String(error);
});
