/** What a seller answers is read strictly, and a bad deal is refused before anything is created. */
import { createServer, type Server } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { nowSecs, type ChainSide } from '../../../src/buyer/buyer.js';
import { printable } from '../../../src/buyer/printable.js';
import { listOffers, requestQuote, type SellerQuote } from '../../../src/buyer/quote.js';
import { refuseBadQuote } from '../../../src/buyer/quoteCheck.js';
import { openSeller, type RpcConnection, type SellerClient } from '../../../src/buyer/rpcClient.js';
import { LIQUID_NETWORKS, type LiquidNetworkName } from '../../../src/core/network.js';
import {
  assetAmount,
  blockHash,
  MAX_MONEY,
  msat,
  reversedBytes,
  sat,
  satPerKvb,
  unixSecs,
} from '../../../src/core/units.js';
import { ListOffersResponse, Offer, Quote, SwapServiceDefinition } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { keyOf } from '../core/zkp.js';
import { GOLD, honest } from './honest.js';

const { deal } = honest();
const ORDER = { assetId: deal.assetId, assetAmount: deal.assetAmount };
const NODE = Buffer.from(keyOf('node').pubkey, 'hex');

const goodQuote: Partial<Quote> = {
  quoteId: Buffer.alloc(16, 1),
  assetId: reversedBytes(GOLD),
  assetAmount: 250n,
  priceMsat: 50_000_000n,
  feeSubsidySats: 1_000n,
  profile: 'regtest',
  refundDeltaBlocks: 60,
  minFundingConfs: 1,
  maxFundingConfs: 5,
  invoiceExpirySecs: 600,
  expiresAtUnixSecs: 1_800_000_000n,
  genesisHash: reversedBytes(deal.genesis),
  sellerNodeId: NODE,
};

let server: Server;
let seller: RpcConnection<SellerClient>;
let quote: Partial<Quote> | undefined;
let offers: Partial<ListOffersResponse>;

beforeAll(async () => {
  server = createServer();
  const unused = (): never => {
    throw new Error('not asked here');
  };
  server.add(SwapServiceDefinition, {
    listOffers: async () => Promise.resolve(ListOffersResponse.fromPartial(offers)),
    createQuote: async () => Promise.resolve({ quote }),
    getQuote: unused,
    createSwap: unused,
    getSwap: unused,
    watchSwap: unused,
  });
  seller = openSeller({ address: `127.0.0.1:${await server.listen('127.0.0.1:0')}` });
});
afterAll(() => {
  seller.close();
  server.forceShutdown();
});

describe('a quote', () => {
  it('is read as it was given', async () => {
    quote = goodQuote;
    expect(await requestQuote(seller.client, ORDER)).toMatchObject({
      ...ORDER,
      priceMsat: 50_000_000n,
      profile: 'regtest',
    });
  });
  it.each<[string, Partial<Quote> | undefined, string]>([
    ['is missing', undefined, 'expected a quote'],
    ['names an unknown profile', { profile: 'for\u001bever' }, 'found profile "for?ever"'],
    ['has a short id', { quoteId: Buffer.of(1) }, 'quote id'],
    ['has a node id that is no key', { sellerNodeId: Buffer.alloc(33, 9) }, 'public key'],
    ['has an impossible amount', { assetAmount: 2n ** 63n }, 'asset amount'],
    ['never expires', { expiresAtUnixSecs: 2n ** 62n }, 'malformed'],
    ['is about another asset', { assetId: Buffer.alloc(32, 3) }, 'expected a quote of 250'],
    ['is about another amount', { assetAmount: 249n }, 'found 249 of'],
  ])('that %s is refused', async (_, part, message) => {
    quote = part === undefined ? undefined : { ...goodQuote, ...part };
    await expect(requestQuote(seller.client, ORDER)).rejects.toMatchObject({
      code: 'seller_answer_invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('offers', () => {
  const offer = Offer.fromPartial({
    assetId: reversedBytes(GOLD),
    ticker: 'GO\u001b[31mLD',
    precision: 8,
    maxAssetAmount: 5n,
  });
  const shop = { genesisHash: reversedBytes(deal.genesis), sellerNodeId: NODE, policyAssetId: Buffer.alloc(32, 5) };
  it('are read, and words that could steer a terminal are defused', async () => {
    offers = { ...shop, offers: [offer], paused: true };
    const answer = await listOffers(seller.client);
    expect(answer).toMatchObject({ isPaused: true, sellerNodeId: keyOf('node').pubkey });
    expect(answer.offers).toMatchObject([{ assetId: GOLD, ticker: 'GO?[31mLD', precision: 8, maxAssetAmount: 5n }]);
  });
  it('that are malformed are refused', async () => {
    offers = { ...shop, offers: [{ ...offer, assetId: Buffer.of(1) }] };
    await expect(listOffers(seller.client)).rejects.toMatchObject({ code: 'seller_answer_invalid' });
  });
  it('never print without end', () => {
    expect(printable('ü'.repeat(1_000))).toBe('?'.repeat(300));
  });
});

describe('a deal', () => {
  const chain = { feeRate: async () => Promise.resolve(satPerKvb(500n)) } as unknown as LiquidChain;
  const side = (network: LiquidNetworkName): ChainSide => ({
    network,
    chains: [{ name: 'own', chain }],
    isSingleServerTrusted: true,
  });
  const good: SellerQuote = { ...deal, maxFundingConfs: 5, expiresAt: unixSecs(nowSecs() + 60) };
  const wishes = { minFundingConfs: 2, maxPriceMsat: msat(50_000_000n) };

  it('that is fair is accepted', async () => {
    await expect(refuseBadQuote(side('regtest'), good, wishes)).resolves.toBeUndefined();
  });
  it.each<[string, Partial<SellerQuote>, string]>([
    ['is on another chain', { genesis: blockHash('00'.repeat(32)) }, 'expected chain'],
    ['costs too much', { priceMsat: msat(50_001_000n) }, 'expected a price of at most 50000000 msat'],
    [
      'has timelocks that cannot be paid in time',
      { refundDeltaBlocks: 54 },
      'expected 55..100000 refund blocks, found 54',
    ],
    ['wants to be paid too early', { minFundingConfs: 3 }, 'expected 3..5 confirmations, found 2'],
    ['does not wait as long as we want', { maxFundingConfs: 1 }, 'confirmations, found 2'],
    [
      'leaves too little for the claim fee',
      { feeSubsidySat: sat(599n) },
      'expected 600 sat for the claim fee, found 599',
    ],
    [
      'locks the asset away for good',
      { refundDeltaBlocks: 100_001 },
      'expected 55..100000 refund blocks, found 100001',
    ],
    ['gives no time to pay', { invoiceExpirySecs: 119 }, 'expected 120..86400 seconds of invoice life, found 119'],
    ['gives all the time to pay', { invoiceExpirySecs: 86_401 }, 'seconds of invoice life, found 86401'],
    [
      'hides a price in the claim fee',
      { feeSubsidySat: sat(1_200_001n) },
      'expected at most 1200000 sat for the claim',
    ],
    [
      'is about more than there is',
      { assetAmount: assetAmount(MAX_MONEY), feeSubsidySat: sat(600n) },
      'expected an amount that the chain can hold',
    ],
    ['is about nothing', { assetAmount: assetAmount(0n) }, 'expected an amount that the chain can hold'],
    ['lasts too long', { expiresAt: unixSecs(nowSecs() + 90_000) }, 'expected a quote for a day at most'],
    ['is over', { expiresAt: unixSecs(nowSecs() - 5) }, 'the quote expired'],
  ])('that %s is refused', async (_, part, message) => {
    await expect(refuseBadQuote(side('regtest'), { ...good, ...part }, wishes)).rejects.toMatchObject({
      code: 'quote_refused',
      message: expect.stringContaining(message) as string,
    });
  });
  it('with the greatest subsidy that a fee rate explains is accepted', async () => {
    await expect(refuseBadQuote(side('regtest'), { ...good, feeSubsidySat: sat(1_200_000n) }, wishes)).resolves.toBe(
      undefined,
    );
  });
  it('with a small subsidy is accepted by a wallet that could pay three claims itself', async () => {
    const small = { ...good, feeSubsidySat: sat(500n) };
    let asked = 0;
    const owning = (own: bigint) => ({
      ...side('regtest'),
      wallet: {
        lbtcSat: async () => {
          asked += 1;
          return Promise.resolve(sat(own));
        },
      },
    });
    await expect(refuseBadQuote(owning(600n), small, wishes)).resolves.toBeUndefined();
    await expect(refuseBadQuote(owning(599n), small, wishes)).rejects.toThrow('found 500 (and 599 sat in our own');
    expect(asked).toBe(2);
    await refuseBadQuote(owning(0n), good, wishes);
    await expect(refuseBadQuote(owning(600n), { ...small, maxFundingConfs: 1 }, wishes)).rejects.toThrow(
      'confirmations',
    );
    expect(asked).toBe(2); // not needed, not asked
  });
  it('with the regtest profile is refused anywhere else', async () => {
    const { genesis } = LIQUID_NETWORKS.liquidv1;
    await expect(refuseBadQuote(side('liquidv1'), { ...good, genesis }, wishes)).rejects.toThrow('is for regtest only');
  });
});
