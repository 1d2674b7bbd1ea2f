/** The one step that spends money: what the node says about the hash decides, and nothing is sent without checks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createServer, ServerError, Status, type Server } from 'nice-grpc';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { nowSecs, type Buyer, type ChainSide } from '../../../src/buyer/buyer.js';
import { signClaim, type ClaimSource } from '../../../src/buyer/claim.js';
import { readClaimKit } from '../../../src/buyer/claimKit.js';
import { claimKitFile, claimSource } from '../../../src/buyer/claimStep.js';
import { reserveNumber, saveRecord } from '../../../src/buyer/dataDir.js';
import type { PurchaseEvent } from '../../../src/buyer/drive.js';
import { pay } from '../../../src/buyer/payStep.js';
import type { Progress, PurchaseRecord, StoredHtlc } from '../../../src/buyer/record.js';
import { openSeller, type RpcConnection, type SellerClient } from '../../../src/buyer/rpcClient.js';
import { verifySwap } from '../../../src/buyer/verify.js';
import { openBuyerWallet } from '../../../src/buyer/wallet.js';
import type { Zkp } from '../../../src/core/blind.js';
import { claimKey } from '../../../src/core/keys.js';
import { pubkeyHash } from '../../../src/core/htlc.js';
import { blockHeight, hex, msat, satPerKvb, type Preimage } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { PaymentStatus, Swap, SwapServiceDefinition, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LightningNode, PaymentResult, PayRequest } from '../../../src/lightning/node.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { createLogger } from '../../../src/log.js';
import { keyOf, loadZkp, preimageOf, refusal } from '../core/zkp.js';
import { BLOCK, honest, PREIMAGE, tell, TIP, type AnsweringServer } from './honest.js';

const SEED = Buffer.alloc(64, 7);
const FEE = msat(0n);
const paidWith = (preimage: Preimage): PaymentResult => ({ state: 'SUCCEEDED', preimage, feeMsat: FEE });

/** A node that answers as told and remembers what it was asked to pay. */
type ScriptedNode = LightningNode & {
  readonly sent: PayRequest[];
  known: PaymentResult | undefined;
  isSynced: boolean;
};

function scriptedNode(answer: () => PaymentResult): ScriptedNode {
  const unused = (): never => {
    throw new Error('a buyer does not ask this');
  };
  const node: ScriptedNode = {
    sent: [],
    known: undefined,
    isSynced: true,
    getInfo: async () =>
      Promise.resolve({ nodeId: keyOf('own').pubkey, network: 'regtest', blockHeight: 1, isSynced: node.isSynced }),
    lookupPayment: async () => Promise.resolve(node.known),
    pay: async (request) => {
      node.sent.push(request);
      node.known = { state: 'IN_FLIGHT' };
      const result = answer();
      node.known = result;
      return Promise.resolve(result);
    },
    inboundCapacityMsat: unused,
    createHoldInvoice: unused,
    settleInvoice: unused,
    cancelInvoice: unused,
    lookupInvoice: unused,
    listHoldInvoices: unused,
    watchInvoices: unused,
    close: () => undefined,
  };
  return node;
}

/** A chain that shows one view; `spends` are transactions that touch the HTLC script besides the funding. */
function shownChain(view: AnsweringServer, spends: { raw: Buffer; txid: string }[]): LiquidChain {
  const fundingTxid = [...view.unspent][0]?.split(':')[0];
  return {
    genesisHash: async () => Promise.resolve(view.genesis),
    tip: async () => Promise.resolve(view.tip),
    tips: async () => Promise.resolve([view.tip]),
    blockAt: async () => Promise.reject(new Error('not asked in these tests')),
    disagreement: () => undefined,
    history: async () =>
      Promise.resolve([
        ...(fundingTxid === undefined ? [] : [{ txid: fundingTxid as never, height: view.fundingHeight ?? 0 }]),
        ...spends.map(({ txid }) => ({ txid: txid as never, height: 0 })),
      ]),
    transaction: async (id) =>
      Promise.resolve(id === fundingTxid ? view.funding : spends.find(({ txid }) => txid === id)?.raw),
    unspent: async () =>
      Promise.resolve(
        [...view.unspent].map((key) => {
          const [txid = '', vout = ''] = key.split(':');
          return { outpoint: { txid: txid as never, vout: parseInt(vout, 10) }, height: view.fundingHeight ?? 0 };
        }),
      ),
    proveInclusion: async () => Promise.resolve(BLOCK),
    broadcast: async () => Promise.resolve({ kind: 'accepted' }),
    feeRate: async () => Promise.resolve(view.feeRate),
    subscribe: () => undefined,
    unsubscribe: () => undefined,
    onChange: () => () => undefined,
    close: () => undefined,
  };
}

let zkp: Zkp;
let server: Server;
let connection: RpcConnection<SellerClient>;
let sellerSays: Partial<Swap> | undefined;
let dir: string;

beforeAll(async () => {
  zkp = await loadZkp();
  server = createServer();
  const away = (): never => {
    throw new ServerError(Status.UNAVAILABLE, 'away');
  };
  server.add(SwapServiceDefinition, {
    listOffers: away,
    createQuote: away,
    getQuote: away,
    createSwap: away,
    watchSwap: away,
    getSwap: async () => Promise.resolve({ swap: sellerSays === undefined ? away() : Swap.fromPartial(sellerSays) }),
  });
  connection = openSeller({ address: `127.0.0.1:${await server.listen('127.0.0.1:0')}` });
});
afterAll(() => {
  connection.close();
  server.forceShutdown();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-pay-'));
  sellerSays = undefined;
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

type Scene = {
  readonly buyer: Buyer;
  readonly htlc: StoredHtlc;
  readonly source: ClaimSource;
  readonly node: ScriptedNode;
  readonly spends: { raw: Buffer; txid: string }[];
  readonly events: PurchaseEvent[];
  readonly pay: () => Promise<Progress | undefined>;
};

/** A verified purchase; `change` is what the servers show when it is paid. */
function scene(
  answer: () => PaymentResult = () => paidWith(PREIMAGE),
  change: (view: AnsweringServer) => Partial<AnsweringServer> = () => ({}),
): Scene {
  const number = reserveNumber(dir);
  const key = claimKey(SEED, 'regtest', number);
  const base = honest();
  const story = {
    ...base,
    deal: { ...base.deal, claimPubkey: key.pubkey },
    htlc: { ...base.htlc, claimPkh: pubkeyHash(key.pubkey) },
    invoice: { ...base.invoice, createdAt: nowSecs() - 60 },
  };
  const { deal, handover, around } = tell(zkp, story);
  const { facts } = verifySwap(deal, handover, { ...around, now: nowSecs() });
  const [view] = around.servers;
  if (facts === undefined || view === undefined || 'problem' in view) throw new Error('the honest story is refused');
  const node = scriptedNode(answer);
  const spends: Scene['spends'] = [];
  const chain = shownChain({ ...view, ...change(view) }, spends);
  const side: ChainSide = {
    network: 'regtest',
    chains: [{ name: 'tcp://own:1', chain }],
    isSingleServerTrusted: false,
  };
  const buyer: Buyer = {
    ...side,
    dir,
    seed: SEED,
    sellerAddress: 'seller:1',
    seller: connection.client,
    givenSellerNodeId: undefined,
    lightning: node,
    external: undefined,
    wallet: openBuyerWallet(side, { dir, seed: SEED, log: createLogger('test-buyer', 'silent') }),
  };
  const htlc: StoredHtlc = {
    swapId: handover.swapId,
    bolt11: handover.bolt11,
    paymentHash: facts.htlc.paymentHash,
    witnessScript: hex(handover.witnessScript),
    refundHeight: facts.htlc.refundHeight,
    fundingTx: hex(facts.fundingTx),
    outpoints: [...facts.outpoints],
  };
  const record: PurchaseRecord = {
    version: 1,
    number,
    requestId: '8d6848c9-c2b3-451c-bc91-a2c858a6b4b6',
    createdAt: nowSecs(),
    sellerAddress: 'seller:1',
    ticker: 'GOLD',
    precision: 0,
    deal,
    maxFeeMsat: msat(510_000n),
    payout: { address: 'x', scriptPubKey: '0014'.padEnd(44, '0'), blindingPubkey: null },
    progress: { step: 'paying', htlc },
  };
  saveRecord(dir, record);
  const events: PurchaseEvent[] = [];
  // Aborted: pauses between attempts end at once.
  const options = { signal: AbortSignal.abort(), onEvent: (event: PurchaseEvent) => void events.push(event) };
  const drive = { buyer, options, sends: { failed: 0 } };
  return {
    ...{ buyer, htlc, node, spends, events, source: claimSource(buyer, record, htlc) },
    pay: async () => await pay(drive, record, htlc),
  };
}

const kitPreimage = (): Preimage | undefined => readClaimKit(claimKitFile(dir, 0)).preimage;
const PAID = { step: 'paid', preimage: hex(PREIMAGE) };

describe('paying', () => {
  it('sends once, capped by what the timelock leaves, and keeps the preimage in the kit', async () => {
    const { pay: payNow, node, htlc } = scene();
    expect(await payNow()).toMatchObject(PAID);
    const request = { bolt11: htlc.bolt11, maxFeeMsat: 510_000n, maxTotalCltvDelta: 60, timeoutSecs: 120 };
    expect(node.sent).toEqual([request]);
    expect(kitPreimage()).toEqual(Buffer.from(PREIMAGE));
  });

  it('never sends what the node knows already', async () => {
    const { pay: payNow, node } = scene();
    node.known = { state: 'IN_FLIGHT' };
    expect(await payNow()).toBeUndefined();
    node.known = paidWith(PREIMAGE);
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toEqual([]);
  });

  it('takes an error of the node as unknown, and asks by the hash the next time', async () => {
    const { pay: payNow, node } = scene(() => {
      throw new SwapError('lightning_unavailable', 'timeout');
    });
    await expect(payNow()).rejects.toThrow(refusal('timeout', 'lightning_unavailable'));
    expect(await payNow()).toBeUndefined();
    node.known = paidWith(PREIMAGE);
    expect(await payNow()).toMatchObject(PAID);
    expect(node.sent).toHaveLength(1);
  });

  it('does not believe a preimage of another hash', async () => {
    await expect(scene(() => paidWith(preimageOf('another'))).pay()).rejects.toThrow('preimage of another hash');
  });

  it('needs a node', async () => {
    const { buyer, htlc } = scene();
    const drive = {
      buyer: { ...buyer, lightning: undefined },
      options: { signal: AbortSignal.abort(), onEvent: () => undefined },
      sends: { failed: 0 },
    };
    await expect(pay(drive, {} as never, htlc)).rejects.toMatchObject({ code: 'not_connected' });
  });
});

describe('a payment that a hop holds back', () => {
  it('is claimed with the preimage that the seller gives after settling', async () => {
    const { pay: payNow } = scene(() => ({ state: 'IN_FLIGHT' }));
    sellerSays = { preimage: Buffer.from(preimageOf('a lie')) };
    expect(await payNow()).toBeUndefined();
    sellerSays = { preimage: Buffer.from(PREIMAGE) };
    expect(await payNow()).toMatchObject(PAID);
  });

  it('is claimed with the preimage that a claim on the chain shows', async () => {
    const { pay: payNow, spends, source } = scene(() => ({ state: 'IN_FLIGHT' }));
    const now = { preimage: PREIMAGE, tipHeight: blockHeight(TIP), feeRate: satPerKvb(100n) };
    expect(await payNow()).toBeUndefined();
    spends.push(signClaim(zkp, source, now));
    expect(await payNow()).toMatchObject(PAID);
  });
});

describe('a payment that failed', () => {
  const failed = (): PaymentResult => ({ state: 'FAILED', reason: 'no route' });
  it('is tried again after new checks', async () => {
    const { pay: payNow, node } = scene(failed);
    expect([await payNow(), await payNow()]).toEqual([undefined, undefined]);
    expect(node.sent).toHaveLength(2);
  });
  it('ends unpaid after eight attempts', async () => {
    const { pay: payNow, node } = scene(failed);
    const ends: (Progress | undefined)[] = [];
    while (ends.at(-1) === undefined && ends.length < 20) ends.push(await payNow());
    expect(node.sent).toHaveLength(8);
    expect(ends.at(-1)).toEqual({ step: 'unpaid', reason: 'the payment failed: no route' });
  });
  it.each<[string, Partial<Swap>, string]>([
    [
      'has canceled the invoice',
      { paymentStatus: PaymentStatus.CANCELED, reason: 'EXPIRED' },
      'canceled the invoice: EXPIRED',
    ],
    ['has refunded', { status: SwapStatus.REFUNDED }, 'the seller ended the swap'],
  ])('ends unpaid at once when the seller %s', async (_, says, reason) => {
    sellerSays = says;
    const { pay: payNow, node } = scene(failed);
    expect(await payNow()).toMatchObject({ step: 'unpaid', reason: expect.stringContaining(reason) as string });
    expect(node.sent).toHaveLength(1);
  });
});

describe('nothing is sent', () => {
  it('while the node is not synced', async () => {
    const { pay: payNow, node } = scene();
    node.isSynced = false;
    await expect(payNow()).rejects.toThrow(refusal('not synced', 'lightning_unavailable'));
    expect(node.sent).toEqual([]);
  });

  it('one block after it was safe, and the purchase ends unpaid', async () => {
    const late = (view: AnsweringServer) => ({ tip: { ...view.tip, height: blockHeight(TIP + 57 - 31) } });
    const { pay: payNow, node } = scene(undefined, late);
    expect(await payNow()).toMatchObject({
      step: 'unpaid',
      reason: expect.stringContaining('refund_height_too_low') as string,
    });
    expect(node.sent).toEqual([]);
  });

  it('when an output of the HTLC is gone, or the funding fell out of its block; it may come back', async () => {
    for (const change of [
      () => ({ fundingHeight: 0 }),
      (view: AnsweringServer) => ({ unspent: new Set([...view.unspent].slice(0, 1)) }),
    ]) {
      const { pay: payNow, node } = scene(undefined, change);
      await expect(payNow()).rejects.toThrow(refusal('not safe to pay yet', 'chain_unavailable'));
      expect(node.sent).toEqual([]);
    }
  });
});
