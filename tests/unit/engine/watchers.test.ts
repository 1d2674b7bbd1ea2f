import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { p2wshScriptPubKey } from '../../../src/core/htlc.js';
import {
  blockHash,
  blockHeight,
  hex,
  sat,
  txid,
  unixSecs,
  type PaymentHash,
  type SwapId,
} from '../../../src/core/units.js';
import { sweepChain, watchChain } from '../../../src/engine/chainWatcher.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { checkNode, followInvoices } from '../../../src/engine/lightningWatcher.js';
import type { Reconciler } from '../../../src/engine/reconcile.js';
import { SwapError } from '../../../src/errors.js';
import type { ChainChange, Tip } from '../../../src/liquid/chain.js';
import { findAcceptedTip } from '../../../src/store/meta.js';
import { insertTx, pendingTxs } from '../../../src/store/txs.js';
import { FUNDING, intent, START } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf } from '../core/zkp.js';
import { chainOf, engineContext, nodeOf, TIP, walletOf } from './testContext.js';
import { Transaction } from 'liquidjs-lib';

let temp: TempStore;
let driven: (SwapId | 'all')[];
const reconciler: Reconciler = {
  reconcile: (id) => {
    driven.push(id);
    return Promise.resolve();
  },
  reconcileAll: () => {
    driven.push('all');
    return Promise.resolve();
  },
  idle: () => Promise.resolve(),
};
beforeEach(() => {
  temp = tempStore();
  driven = [];
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const NOW = START + 60;
/** A chain that ends in TIP. */
const chainAtTip = (over: Parameters<typeof chainOf>[0] = {}) =>
  chainOf({
    tip: () => Promise.resolve(TIP),
    blockAt: (height) => Promise.resolve({ ...TIP, height }),
    ...over,
  });
/** A chain with a block every minute that ends in this tip. */
const mainChain = (tip: () => Tip) =>
  chainOf({
    tip: () => Promise.resolve(tip()),
    blockAt: (height) => Promise.resolve(mainTip(height, { time: unixSecs(NOW - 60 * (tip().height - height)) })),
  });
const mainTip = (height: number, over: Partial<Tip> = {}): Tip => ({
  height: blockHeight(height),
  hash: blockHash(height.toString(16).padStart(64, '0')),
  time: unixSecs(NOW),
  ...over,
});

describe('a look at the chain', () => {
  const sweep = async (over: Partial<EngineContext>): Promise<EngineContext> => {
    const ctx = engineContext(temp, over);
    await sweepChain(ctx, reconciler);
    return ctx;
  };

  it('remembers a tip that passed the rule and drives every swap', async () => {
    const ctx = await sweep({ chain: chainAtTip() });
    expect(findAcceptedTip(temp.store)).toEqual({ height: TIP.height, hash: TIP.hash, acceptedAt: NOW });
    expect([ctx.health.tip, ctx.health.degradedReason, driven]).toEqual([TIP, undefined, ['all']]);
  });
  it('is degraded by a tip that breaks the rule, which is never remembered', async () => {
    const network = 'liquidv1';
    await sweep({ network, chain: mainChain(() => mainTip(3_000_000)) });
    const ctx = await sweep({ network, chain: mainChain(() => mainTip(3_000_061)) });
    expect(ctx.health.degradedReason).toContain('one block a minute');
    expect(findAcceptedTip(temp.store)?.height).toBe(3_000_000);
    const stale = mainTip(3_000_001, { time: unixSecs(NOW - 601) });
    expect((await sweep({ network, chain: mainChain(() => stale) })).health.degradedReason).toContain('601 s');
  });
  it('is good again with the next good tip', async () => {
    let tip = mainTip(3_000_000, { time: unixSecs(NOW - 700) });
    const ctx = engineContext(temp, { network: 'liquidv1', chain: mainChain(() => tip) });
    await sweepChain(ctx, reconciler);
    expect(ctx.health.degradedReason).toContain('700 s');
    tip = mainTip(3_000_000);
    await sweepChain(ctx, reconciler);
    expect(ctx.health.degradedReason).toBeUndefined();
  });
  it('comes to its end although a call hangs for a swap, so that the next one is not late', async () => {
    const hanging: Reconciler = { ...reconciler, reconcileAll: () => new Promise(() => undefined) };
    await sweepChain(engineContext(temp, { chain: chainAtTip() }), hanging);
  });
  it('is degraded while the server is away, and the swaps are driven all the same', async () => {
    const ctx = await sweep({});
    expect(ctx.health.degradedReason).toBe('no Electrum server answers');
    const wallet = { ...walletOf(), sync: () => Promise.reject(new SwapError('chain_unavailable', 'away')) };
    const half = await sweep({ wallet, chain: chainAtTip() });
    expect(half.health.degradedReason).toBe('no Electrum server answers');
    expect(driven).toEqual(['all', 'all']);
  });

  describe('with a withdrawal that is not final', () => {
    const tx = new Transaction();
    tx.version = 2;
    tx.addInput(Buffer.alloc(32, 5), 0);
    tx.addOutput(Buffer.of(0x51), Buffer.from('010000000000000001', 'hex'), Buffer.alloc(33, 1), Buffer.of(0));
    const id = txid(tx.getId());
    const sentWith = async (height: number | undefined): Promise<Buffer[]> => {
      insertTx(
        temp.store,
        {
          kind: 'withdraw',
          version: 1,
          txid: id,
          raw: tx.toBuffer(),
          feeSat: sat(1n),
          signedHeight: TIP.height,
          walletInputs: [],
        },
        unixSecs(START),
      );
      const sent: Buffer[] = [];
      await sweep({
        chain: chainAtTip({
          proveInclusion: () => Promise.resolve(TIP.hash),
          history: () => Promise.resolve(height === undefined ? [] : [{ txid: id, height }]),
          broadcast: (raw) => {
            sent.push(Buffer.from(raw));
            return Promise.resolve({ kind: 'accepted' });
          },
        }),
      });
      return sent;
    };
    it.each([
      ['nobody shows it: it is sent again', undefined, 1, 1],
      ['it is in the mempool: it waits', 0, 0, 1],
      ['it is in one block: it waits', TIP.height, 0, 1],
      ['it is two blocks deep: it is final', TIP.height - 1, 0, 0],
    ])('%s', async (_name, height, sends, pending) => {
      expect(await sentWith(height)).toHaveLength(sends);
      expect(pendingTxs(temp.store)).toHaveLength(pending);
    });
  });
});

describe('changes of the chain', () => {
  const listen = (): { tell: (change: ChainChange) => void; woken: () => number; ctx: EngineContext } => {
    let listener: (change: ChainChange) => void = () => undefined;
    let wakes = 0;
    const onChange = (given: (change: ChainChange) => void) => {
      listener = given;
      return () => undefined;
    };
    const ctx = engineContext(temp, { chain: chainOf({ onChange }) });
    watchChain(ctx, reconciler, () => {
      wakes += 1;
    });
    return {
      tell: (change) => {
        listener(change);
      },
      woken: () => wakes,
      ctx,
    };
  };

  it('wake a sweep for a block and for a new connection', () => {
    const { tell, woken } = listen();
    tell({ kind: 'block', tip: TIP });
    tell({ kind: 'connected' });
    tell({ kind: 'disconnected' });
    expect(woken()).toBe(2);
  });
  it('drive the swap whose script changed, and no other', () => {
    const { tell, ctx } = listen();
    ctx.htlcScripts.set(hex(p2wshScriptPubKey(FUNDING.witnessScript)), intent.id);
    tell({ kind: 'script', scriptPubKeyHex: '00' });
    tell({ kind: 'script', scriptPubKeyHex: hex(p2wshScriptPubKey(FUNDING.witnessScript)) });
    expect(driven).toEqual([intent.id]);
  });
});

describe('the Lightning node', () => {
  const info = { nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true } as const;
  it('is usable when it answers and is synced', async () => {
    const ctx = engineContext(temp, { lightning: nodeOf({ getInfo: () => Promise.resolve(info) }) });
    await checkNode(ctx);
    expect([ctx.health.node, ctx.health.lightningProblem]).toEqual([info, undefined]);
  });
  it('is not while it lags or is away; who it is stays known', async () => {
    let getInfo = () =>
      Promise.resolve<typeof info | (Omit<typeof info, 'isSynced'> & { isSynced: boolean })>({
        ...info,
        isSynced: false,
      });
    const ctx = engineContext(temp, { lightning: nodeOf({ getInfo: () => getInfo() }) });
    await checkNode(ctx);
    expect(ctx.health.lightningProblem).toContain('not synced');
    getInfo = () => Promise.reject(new SwapError('lightning_unavailable', 'no node'));
    await checkNode(ctx);
    expect(ctx.health.lightningProblem).toBe('no node');
    expect(ctx.health.node?.nodeId).toBe(info.nodeId);
  });
  it('is not while its wallet could not pay for taking a payment on the chain', async () => {
    let lacking = sat(1n);
    const missingFeeCoins = () => Promise.resolve(lacking);
    const ctx = engineContext(temp, { lightning: nodeOf({ getInfo: () => Promise.resolve(info), missingFeeCoins }) });
    await checkNode(ctx);
    expect(ctx.health.lightningProblem).toContain('lacks 1 sat of confirmed coins');
    lacking = sat(0n);
    await checkNode(ctx);
    expect(ctx.health.lightningProblem).toBeUndefined();
  });
  it('gives hints: all swaps after every connection, then the swap of each hash that is ours', async () => {
    insertNew(temp.store);
    async function* hints(): AsyncGenerator<PaymentHash> {
      await Promise.resolve();
      yield 'ee'.repeat(32) as PaymentHash;
      yield intent.paymentHash;
    }
    const lightning = nodeOf({ getInfo: () => Promise.resolve(info), watchInvoices: () => hints() });
    await followInvoices(engineContext(temp, { lightning }), reconciler, new AbortController().signal);
    expect(driven).toEqual(['all', intent.id]);
  });
  it('gives the hint of a swap although a call hangs for another', async () => {
    const hung = insertNew(temp.store);
    const other = insertNew(temp.store, nthIntent(2));
    async function* hints(): AsyncGenerator<PaymentHash> {
      yield await Promise.resolve(hung.paymentHash);
      yield other.paymentHash;
    }
    const lightning = nodeOf({ getInfo: () => Promise.resolve(info), watchInvoices: () => hints() });
    const hanging: Reconciler = {
      ...reconciler,
      reconcile: (id) => {
        driven.push(id);
        return id === hung.id ? new Promise(() => undefined) : Promise.resolve();
      },
      reconcileAll: () => new Promise(() => undefined),
    };
    await followInvoices(engineContext(temp, { lightning }), hanging, new AbortController().signal);
    expect(driven).toEqual([hung.id, other.id]);
  });
});
