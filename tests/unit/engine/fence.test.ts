/** An older database is noticed by what others know, and a normal one is not. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { hashPreimage } from '../../../src/core/htlc.js';
import type { FundedSwap } from '../../../src/core/swap.js';
import { blockHash, msat, paymentHash, sat, swapId, txid, unixSecs } from '../../../src/core/units.js';
import { readBundle, writeBundle } from '../../../src/engine/bundle.js';
import type { EngineContext } from '../../../src/engine/context.js';
import {
  compareWithChain,
  compareWithFiles,
  compareWithNode,
  fenceReason,
  isFencedFor,
  newComparison,
  tellFindings,
} from '../../../src/engine/fence.js';
import { openGeneration } from '../../../src/engine/generation.js';
import { SwapError } from '../../../src/errors.js';
import type { HoldInvoice } from '../../../src/lightning/node.js';
import type { LiquidWallet } from '../../../src/liquid/wallet.js';
import { acceptFindings, openFindings } from '../../../src/store/fence.js';
import { insertTx } from '../../../src/store/txs.js';
import { fundedWith, intent, pathTo, REFUND_HEIGHT } from '../../support/swapFixtures.js';
import { insertNew, storeMoved, tempStore, type TempStore } from '../../support/tempStore.js';
import { chainOf, engineContext, nodeOf, walletOf } from './testContext.js';

/** The code of what is thrown. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SwapError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

let temp: TempStore;
beforeEach(() => {
  temp = tempStore();
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const SPEND = txid('5b'.repeat(32));
const BLOCK = blockHash('09'.repeat(32));
const funded = fundedWith('OPEN');

/** A context that was compared with nothing yet. */
const fresh = (over: Partial<EngineContext> = {}): EngineContext =>
  engineContext(temp, { comparison: newComparison(), ...over });

const texts = (): readonly string[] => openFindings(temp.store).map(({ text }) => text);
const accept = (): void => {
  temp.store.tx(() => {
    acceptFindings(temp.store);
  });
};
const countCommits = (ctx: EngineContext, times: number): void => {
  for (let i = 0; i < times; i += 1) ctx.generation.commit(() => undefined);
};

describe('the files beside the bundles', () => {
  it('tell of nothing at a first start, after commits, and beside an ordinary bundle', () => {
    const ctx = fresh();
    expect(compareWithFiles(ctx)).toEqual([]);
    const swap = storeMoved(temp.store, 1, pathTo('FUNDED', 'OPEN')) as FundedSwap;
    writeBundle(temp.dir, swap);
    countCommits(ctx, 3);
    expect(compareWithFiles(fresh())).toEqual([]);
  });

  it('tell of an older database by the generation, and forget it when the newer one is put back', () => {
    countCommits(fresh(), 2);
    writeFileSync(join(temp.dir, 'generation'), '9\n');
    compareWithFiles(fresh());
    expect(texts()).toEqual([expect.stringMatching(/database 2, side file 9: an older database was put back/)]);
    writeFileSync(join(temp.dir, 'generation'), '2\n');
    expect(compareWithFiles(fresh())).toEqual([]);
  });

  it('tell of a bundle whose swap the database does not know', () => {
    writeBundle(temp.dir, funded);
    compareWithFiles(fresh());
    expect(texts()).toEqual([`bundle ${funded.id}: the database does not know this swap`]);
  });

  it('tell of a bundle whose swap was not funded yet when the database was copied', () => {
    insertNew(temp.store);
    writeBundle(temp.dir, { ...funded, id: intent.id });
    compareWithFiles(fresh());
    expect(texts()).toEqual([`bundle ${intent.id}: the database does not know that this swap was funded`]);
  });

  it('tell of a bundle with another funding than the database knows', () => {
    const { id } = storeMoved(temp.store, 1, pathTo('FUNDED', 'OPEN'));
    writeBundle(temp.dir, { ...funded, id });
    compareWithFiles(fresh());
    expect(texts()).toEqual([`bundle ${id}: the database does not know its funding ${funded.fundingTxid}`]);
  });

  it('are no sign of anything when a bundle of a known funding is damaged', () => {
    const { id } = storeMoved(temp.store, 1, pathTo('FUNDED', 'OPEN'));
    writeFileSync(join(temp.dir, `${id}.json`), '{"version":1');
    expect(compareWithFiles(fresh())).toEqual([]);
    expect(codeOf(() => readBundle(temp.dir, id))).toBe('invalid_argument');
  });

  it('do not fence again after they were accepted, but a later finding does', () => {
    writeBundle(temp.dir, funded);
    compareWithFiles(fresh());
    accept();
    expect(compareWithFiles(fresh())).toEqual([]);
    const other = swapId('ee'.repeat(16));
    writeBundle(temp.dir, { ...funded, id: other });
    expect(compareWithFiles(fresh()).map(({ id }) => id)).toEqual([other]);
  });

  it('keep the fence when a bundle of an accepted database disappears and another stays unknown', () => {
    writeBundle(temp.dir, funded);
    writeBundle(temp.dir, { ...funded, id: swapId('ee'.repeat(16)) });
    expect(compareWithFiles(fresh())).toHaveLength(2);
    rmSync(join(temp.dir, `${funded.id}.json`));
    expect(compareWithFiles(fresh()).map(({ id }) => id)).toEqual(['ee'.repeat(16)]);
  });
});

/** A wallet whose server lists one spend. */
const spending = (over: Partial<LiquidWallet> & { readonly height?: number } = {}): LiquidWallet => ({
  ...walletOf(),
  spends: () => [{ txid: SPEND, height: over.height ?? 0 }],
  hasSigned: () => true,
  ...over,
});
const chain = chainOf({ transaction: () => Promise.resolve(Buffer.alloc(1)) });

describe('the spent coins of the wallet', () => {
  it('fence when the wallet signed a spend that the database does not know', async () => {
    const ctx = fresh({ chain, wallet: spending() });
    await compareWithChain(ctx);
    const text = `transaction ${SPEND} spends coins of this wallet, and the database does not know it`;
    expect([fenceReason(ctx), texts()]).toEqual([text, [text]]);
  });

  it('are normal when a transaction of ours spends them, and each is looked up once', async () => {
    const tx = { kind: 'withdraw', version: 1, requestId: 'a', bodyHash: 'b' } as const;
    temp.store.tx(() => {
      const own = { ...tx, txid: SPEND, raw: Buffer.alloc(1), feeSat: sat(1n), walletInputs: [] };
      insertTx(temp.store, { ...own, signedHeight: REFUND_HEIGHT }, unixSecs(1));
    });
    const ctx = fresh({ wallet: spending() });
    await compareWithChain(ctx);
    expect([...ctx.comparison.pending]).toEqual(['the node']);
    expect(ctx.comparison.knownSpends.has(SPEND)).toBe(true);
    expect(texts()).toEqual([]);
  });

  it('do not fence when a server makes a spend up', async () => {
    const ctx = fresh({ chain, wallet: spending({ hasSigned: () => false }) });
    await compareWithChain(ctx);
    expect([ctx.health.fence, [...ctx.comparison.pending]]).toEqual([undefined, ['the node']]);
  });

  it('are not compared yet when a server makes up a block for the spend that it made up', async () => {
    const ctx = fresh({ chain, wallet: spending({ hasSigned: () => false, height: 7 }) });
    await expect(compareWithChain(ctx)).rejects.toThrow(SwapError);
    expect(fenceReason(ctx)).toBe('not yet compared with the chain and the node');
    expect(texts()).toEqual([]);
  });

  it('fence when a block holds a spend that was signed in another way than ours', async () => {
    const proven = { ...chain, proveInclusion: () => Promise.resolve(BLOCK) };
    const ctx = fresh({ chain: proven, wallet: spending({ hasSigned: () => false, height: 7 }) });
    await compareWithChain(ctx);
    expect(texts()).toHaveLength(1);
  });

  it('are not compared yet while the server withholds the transaction', async () => {
    const withheld = chainOf({ transaction: () => Promise.resolve(undefined) });
    const ctx = fresh({ chain: withheld, wallet: spending() });
    await expect(compareWithChain(ctx)).rejects.toThrow(SwapError);
    expect(ctx.comparison.pending.has('the chain')).toBe(true);
  });

  it('fence again at any later time, when a second daemon uses the seed', async () => {
    let spends: readonly { txid: typeof SPEND; height: number }[] = [];
    const ctx = fresh({ chain, wallet: { ...spending(), spends: () => spends } });
    await compareWithChain(ctx);
    expect(ctx.health.fence).toBeUndefined();
    spends = [{ txid: SPEND, height: 0 }];
    await compareWithChain(ctx);
    expect(ctx.health.fence).toContain(SPEND);
    accept();
    const later = fresh({ chain, wallet: { ...spending(), spends: () => spends } });
    await compareWithChain(later);
    expect(later.health.fence).toBeUndefined();
  });
});

const invoice = (hash: string): HoldInvoice => ({
  paymentHash: paymentHash(hash),
  bolt11: '',
  state: 'OPEN',
  amountMsat: msat(1n),
  heldMsat: msat(0n),
  claimDeadlineHeight: undefined,
  isHtlcPending: false,
  isTimedOutOnChain: false,
  label: '',
  cancelReason: '',
  expiresAt: unixSecs(1),
});

describe('the invoices of the node', () => {
  it('fence when the node has one of ours that the database does not know', async () => {
    insertNew(temp.store);
    const lost = swapId('dd'.repeat(16));
    const hash = hashPreimage(fresh().keys.preimageFor(lost));
    const labelled = (id: string, of: string) => ({ ...invoice(of), label: `ln-liquid-swap/test/${id}` });
    const answers = [labelled(intent.id, intent.paymentHash), labelled(lost, hash)];
    const ctx = fresh({ lightning: nodeOf({ listHoldInvoices: () => Promise.resolve(answers) }) });
    await compareWithNode(ctx);
    expect(texts()).toEqual([`the node has our invoice ${hash} (OPEN), and the database does not know it`]);
  });

  it('do not fence when somebody else wrote our label on his own', async () => {
    const labels = ['', 'dd'.repeat(16), `${'dd'.repeat(16)}0`, 'no id'];
    const answers = labels.map((id, i) => ({
      ...invoice(`d${i}`.repeat(32)),
      label: `ln-liquid-swap/test/${id}`,
    }));
    const ctx = fresh({ lightning: nodeOf({ listHoldInvoices: () => Promise.resolve(answers) }) });
    await compareWithNode(ctx);
    expect([texts(), fenceReason(ctx)]).toEqual([[], 'not yet compared with the chain']);
  });

  it('are asked for until the node answers, and then no more', async () => {
    let asked = 0;
    const lightning = nodeOf({
      listHoldInvoices: () => {
        asked += 1;
        if (asked === 1) return Promise.reject(new SwapError('lightning_unavailable', 'away'));
        return Promise.resolve([]);
      },
    });
    const ctx = fresh({ lightning });
    const both = [compareWithNode(ctx), compareWithNode(ctx)].map((call) => expect(call).rejects.toThrow('away'));
    await Promise.all(both);
    expect(fenceReason(ctx)).toMatch(/not yet compared/);
    await compareWithNode(ctx);
    await compareWithNode(ctx);
    expect([asked, fenceReason(ctx)]).toEqual([2, 'not yet compared with the chain']);
  });
});

describe('what was not compared yet', () => {
  it('fences a swap, but not one that was canceled while only the node was not asked', () => {
    const ctx = fresh();
    const isFenced = (payment: 'OPEN' | 'CANCELING' | 'CANCELED'): boolean => isFencedFor(ctx, fundedWith(payment));
    expect([isFenced('OPEN'), isFenced('CANCELED')]).toEqual([true, true]);
    ctx.comparison.pending.delete('the chain');
    expect([isFenced('OPEN'), isFenced('CANCELING'), isFenced('CANCELED')]).toEqual([true, true, false]);
    ctx.health.fence = 'a finding';
    expect(isFenced('CANCELED')).toBe(true);
    ctx.health.fence = undefined;
    ctx.comparison.pending.delete('the node');
    expect([isFenced('OPEN'), fenceReason(ctx)]).toEqual([false, undefined]);
  });
});

describe('the findings as one text', () => {
  it('are each a sentence, and many are counted', () => {
    const findings = Array.from({ length: 23 }, (_, i) => ({ kind: 'bundle', id: `${i}`, text: `text ${i}` }) as const);
    expect(tellFindings([])).toBeUndefined();
    expect(tellFindings(findings.slice(0, 2))).toBe('text 0; text 1');
    expect(tellFindings(findings)).toMatch(/text 19; and 3 more$/);
  });
});

it('a generation that is reset is equal again', () => {
  writeFileSync(join(temp.dir, 'generation'), '9\n');
  const generation = openGeneration(temp.store, temp.dir);
  generation.reset(() => undefined);
  expect(compareWithFiles(fresh())).toEqual([]);
});
