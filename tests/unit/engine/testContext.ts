/**
 * The engine's parts around a real database. Chain and node are ports: here they are servers that are away, until a test
 * says what they answer.
 */
import { EventEmitter } from 'node:events';

import type { Zkp } from '../../../src/core/blind.js';
import { preimageFor, refundKey, seedFromMnemonic } from '../../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { blockHash, blockHeight, sat, satPerKvb, unixSecs } from '../../../src/core/units.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { openGeneration } from '../../../src/engine/generation.js';
import { createMutex } from '../../../src/engine/mutex.js';
import { SwapError } from '../../../src/errors.js';
import type { LightningNode } from '../../../src/lightning/node.js';
import type { LiquidChain, Tip } from '../../../src/liquid/chain.js';
import type { Coin, LiquidWallet } from '../../../src/liquid/wallet.js';
import { createLogger } from '../../../src/log.js';
import type { RpcContext } from '../../../src/rpc/context.js';
import { FUNDING, GOLD, REFUND_HEIGHT, START } from '../../support/swapFixtures.js';
import type { TempStore } from '../../support/tempStore.js';
import { randomBytes } from '../core/zkp.js';

const SEED = seedFromMnemonic(
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about',
);

const noChain = (): Promise<never> => Promise.reject(new SwapError('chain_unavailable', 'no server'));
const noNode = (): Promise<never> => Promise.reject(new SwapError('lightning_unavailable', 'no node'));

export const chainOf = (over: Partial<LiquidChain> = {}): LiquidChain => ({
  genesisHash: noChain,
  tip: noChain,
  tips: async () => [await (over.tip ?? noChain)()],
  blockAt: noChain,
  disagreement: () => undefined,
  history: noChain,
  transaction: noChain,
  // The HTLC of the fixtures; a spend that the history shows counts more.
  unspent: () => Promise.resolve(FUNDING.outpoints.map(({ outpoint }) => ({ outpoint, height: 0 }))),
  proveInclusion: noChain,
  broadcast: noChain,
  feeRate: noChain,
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  onChange: () => () => undefined,
  close: () => undefined,
  ...over,
});

export const nodeOf = (over: Partial<LightningNode> = {}): LightningNode => ({
  getInfo: noNode,
  inboundCapacityMsat: noNode,
  createHoldInvoice: noNode,
  settleInvoice: noNode,
  cancelInvoice: noNode,
  lookupInvoice: noNode,
  listHoldInvoices: noNode,
  watchInvoices: () => {
    throw new SwapError('lightning_unavailable', 'no node');
  },
  pay: noNode,
  lookupPayment: noNode,
  close: () => undefined,
  ...over,
});

const notScanned = (): never => {
  throw new SwapError('chain_unavailable', 'not scanned');
};

/** A wallet with these coins. */
export const walletOf = (coins: readonly Coin[] = []): LiquidWallet => ({
  sync: () => Promise.resolve(),
  coins: () => coins,
  coinAt: noChain,
  spenderOf: () => undefined,
  spends: () => [],
  hasSigned: () => false,
  receiveAddress: notScanned,
  changeKey: notScanned,
  sign: notScanned,
  refundKey: (index) => refundKey(SEED, 'regtest', index),
  ownsScript: () => false,
});

/** A tip well before T. */
export const TIP: Tip = {
  height: blockHeight(REFUND_HEIGHT - 58),
  hash: blockHash('09'.repeat(32)),
  time: unixSecs(START),
};

export function engineContext(temp: TempStore, over: Partial<EngineContext> = {}): EngineContext {
  return {
    store: temp.store,
    chain: chainOf(),
    wallet: walletOf(),
    lightning: nodeOf(),
    // Blinding is not part of these tests: whoever gets as far as using it fails.
    zkp: {} as Zkp,
    blind: noChain,
    randomBytes,
    keys: { preimageFor: (id) => preimageFor(SEED, id), refundKey: (index) => refundKey(SEED, 'regtest', index) },
    network: 'regtest',
    genesis: LIQUID_NETWORKS.regtest.genesis,
    policyAsset: LIQUID_NETWORKS.regtest.policyAsset,
    labelPrefix: 'ln-liquid-swap/test/',
    generation: openGeneration(temp.store, temp.dir),
    serversNeeded: 1,
    bundleDir: temp.dir,
    feerateCeiling: satPerKvb(2_000n),
    feeReserveSatPerSwap: sat(0n),
    now: () => unixSecs(START + 60),
    log: createLogger('test', 'silent'),
    walletSection: createMutex(),
    health: {
      tip: undefined,
      degradedReason: undefined,
      node: undefined,
      lightningProblem: undefined,
      fence: undefined,
      alarms: [],
    },
    comparison: { pending: new Set(), knownSpends: new Set(), withNode: undefined },
    strangers: new Set(),
    htlcScripts: new Map(),
    changes: new EventEmitter(),
    ...over,
  };
}

export function rpcContext(temp: TempStore, over: Partial<RpcContext> = {}): RpcContext {
  return {
    ...engineContext(temp),
    reconciler: {
      reconcile: () => Promise.resolve(),
      reconcileAll: () => Promise.resolve(),
      idle: () => Promise.resolve(),
    },
    offers: [
      {
        assetId: GOLD,
        ticker: 'GOLD',
        precision: 2,
        priceMsatNumerator: 1_000_000n,
        priceDenominator: 1n,
        spreadPpm: 0,
        minAmount: 1n,
        maxAmount: 1_000n,
        profile: 'regtest',
        minFundingConfs: 1,
        maxFundingConfs: 5,
      } as RpcContext['offers'][number],
    ],
    limits: {
      maxInflightSwaps: 4,
      maxOpenUnpaidPerPrincipal: 2,
      maxAssetSharePerPrincipalPpm: 500_000,
      maxAssetSharePpm: 800_000,
      createPerMinute: 2,
      maxStreamsPerPrincipal: 3,
    },
    version: '0.0.0',
    startedAt: START,
    trustsSingleElectrum: false,
    shownHtlcs: new Map(),
    ...over,
  };
}
