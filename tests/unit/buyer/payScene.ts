/** A verified purchase that is about to be paid: a scripted node and chain, and a seller on a real socket. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createServer, ServerError, Status, type Server } from 'nice-grpc';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

import { nowSecs, type Buyer, type ChainSide } from '../../../src/buyer/buyer.js';
import type { ClaimSource } from '../../../src/buyer/claim.js';
import { readClaimKit } from '../../../src/buyer/claimKit.js';
import { claimKitFile, claimSource } from '../../../src/buyer/claimStep.js';
import { reserveNumber, saveRecord } from '../../../src/buyer/dataDir.js';
import { newRun, type Drive, type PurchaseEvent } from '../../../src/buyer/drive.js';
import type { ExternalPayer } from '../../../src/buyer/externalPay.js';
import { pay } from '../../../src/buyer/payStep.js';
import type { Payer, Progress, PurchaseRecord, StoredHtlc } from '../../../src/buyer/record.js';
import { verifiedWord } from '../../../src/buyer/sellerWord.js';
import { openSeller, type RpcConnection, type SellerClient } from '../../../src/buyer/rpcClient.js';
import { verifySwap } from '../../../src/buyer/verify.js';
import { openBuyerWallet } from '../../../src/buyer/wallet.js';
import type { Zkp } from '../../../src/core/blind.js';
import { buildRefund } from '../../../src/core/htlcSpend.js';
import { claimKey } from '../../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { rawOf, txidOf } from '../../../src/core/tx.js';
import { pubkeyHash } from '../../../src/core/htlc.js';
import { hex, msat, sat, satPerKvb, type Preimage, type Pubkey } from '../../../src/core/units.js';
import { PaymentStatus, Swap, SwapServiceDefinition, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { LightningNode, PaymentResult, PayRequest } from '../../../src/lightning/node.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { createLogger } from '../../../src/log.js';
import { keyOf, loadZkp } from '../core/zkp.js';
import { BLOCK, honest, PREIMAGE, tell, type AnsweringServer } from './honest.js';

const SEED = Buffer.alloc(64, 7);
const FEE = msat(0n);
const OWN_NODE: Payer = { kind: 'node', nodeId: keyOf('own').pubkey };
export const paidWith = (preimage: Preimage): PaymentResult => ({ state: 'SUCCEEDED', preimage, feeMsat: FEE });

/** A node that answers as told and remembers what it was asked to pay. */
type ScriptedNode = LightningNode & {
  readonly sent: PayRequest[];
  known: PaymentResult | undefined;
  isSynced: boolean;
  nodeId: Pubkey;
};

function scriptedNode(answer: () => PaymentResult): ScriptedNode {
  const unused = (): never => {
    throw new Error('a buyer does not ask this');
  };
  const node: ScriptedNode = {
    sent: [],
    known: undefined,
    isSynced: true,
    nodeId: keyOf('own').pubkey,
    getInfo: async () =>
      Promise.resolve({ nodeId: node.nodeId, network: 'regtest', blockHeight: 1, isSynced: node.isSynced }),
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

/** A transaction of the HTLC's script; in no block without a height. */
type Spend = { readonly raw: Buffer; readonly txid: string; readonly height?: number };

/** A chain that shows one view; `spends` are transactions that touch the HTLC script besides the funding. */
function shownChain(view: AnsweringServer, spends: Spend[]): LiquidChain {
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
        ...spends.map(({ txid, height = 0 }) => ({ txid: txid as never, height })),
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

/** What the scenes of one test file share. `says` is the seller's answer, undefined while it is away. */
export type PayStage = { zkp: Zkp; seller: SellerClient; dir: string; says: Partial<Swap> | undefined };

const OPEN: Partial<Swap> = { status: SwapStatus.FUNDED, paymentStatus: PaymentStatus.OPEN };

/** Registers what is made before and removed after the tests of a file. */
export function usePayStage(): PayStage {
  const stage = { says: OPEN } as PayStage; // filled before the first test
  let server: Server;
  let connection: RpcConnection<SellerClient>;
  beforeAll(async () => {
    stage.zkp = await loadZkp();
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
      getSwap: async () => Promise.resolve({ swap: stage.says === undefined ? away() : Swap.fromPartial(stage.says) }),
    });
    connection = openSeller({ address: `127.0.0.1:${await server.listen('127.0.0.1:0')}` });
    stage.seller = connection.client;
  });
  afterAll(() => {
    connection.close();
    server.forceShutdown();
  });
  beforeEach(() => {
    stage.dir = mkdtempSync(join(tmpdir(), 'swap-pay-'));
    stage.says = OPEN;
  });
  afterEach(() => {
    rmSync(stage.dir, { recursive: true, force: true });
  });
  return stage;
}

export type Scene = {
  readonly buyer: Buyer;
  readonly htlc: StoredHtlc;
  readonly source: ClaimSource;
  readonly node: ScriptedNode;
  readonly spends: Spend[];
  /** What the second server shows, if there is one. */
  readonly otherSpends: Spend[];
  readonly events: PurchaseEvent[];
  readonly drive: Drive;
  readonly record: PurchaseRecord;
  readonly progress: Extract<Progress, { step: 'paying' }>;
  readonly pay: () => Promise<Progress | undefined>;
};

type SceneOptions = {
  /** What the node says to a send call. */
  readonly answer?: () => PaymentResult;
  /** What the servers show when it is paid. */
  readonly change?: (view: AnsweringServer) => Partial<AnsweringServer>;
  readonly payer?: Payer;
  readonly external?: ExternalPayer;
  readonly hasTwoServers?: boolean;
};

/** A verified purchase at step `paying`. */
export function payScene({ dir, zkp, seller }: PayStage, options: SceneOptions = {}): Scene {
  const { answer = () => paidWith(PREIMAGE), change = () => ({}), external } = options;
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
  const otherSpends: Scene['spends'] = [];
  const shown = { ...view, ...change(view) };
  const chains = [{ name: 'tcp://own:1', chain: shownChain(shown, spends) }];
  if (options.hasTwoServers) chains.push({ name: 'tcp://own:2', chain: shownChain(shown, otherSpends) });
  const side: ChainSide = {
    network: 'regtest',
    chains,
    isSingleServerTrusted: false,
  };
  const buyer: Buyer = {
    ...side,
    dir,
    seed: SEED,
    sellerAddress: 'seller:1',
    seller,
    givenSellerNodeId: undefined,
    lightning: node,
    external,
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
  const progress = { step: 'paying' as const, htlc, payer: options.payer ?? OWN_NODE };
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
    progress,
  };
  saveRecord(dir, record);
  const events: PurchaseEvent[] = [];
  const drive: Drive = {
    buyer,
    // Aborted: pauses between attempts end at once.
    options: { signal: AbortSignal.abort(), onEvent: (event) => void events.push(event) },
    run: newRun(verifiedWord(htlc)),
  };
  return {
    ...{
      buyer,
      htlc,
      node,
      spends,
      otherSpends,
      events,
      drive,
      record,
      progress,
      source: claimSource(buyer, record, htlc),
    },
    pay: async () => await pay(drive, record, progress),
  };
}

/** The seller's refund of a purchase. */
export function refundOf({ zkp }: PayStage, { source, drive }: Scene): { raw: Buffer; txid: string } {
  const { tx } = buildRefund({
    zkp,
    outpoints: source.outpoints,
    witnessScript: source.witnessScript,
    privateKey: keyOf('refund').privateKey,
    payoutScript: source.payoutScript,
    policyAsset: LIQUID_NETWORKS[drive.buyer.network].policyAsset,
    feeRate: satPerKvb(100n),
    maxFeeSat: sat(1000n),
    randomBytes,
  });
  return { raw: rawOf(tx), txid: txidOf(tx) };
}

/** The preimage in the kit of the first purchase. */
export const kitPreimage = ({ dir }: PayStage): Preimage | undefined => readClaimKit(claimKitFile(dir, 0)).preimage;
