/** Who may say that a claim is over. Headers carry no work, so one server can make up any depth: on mainnet two must agree. */
import { beforeAll, describe, expect, it } from 'vitest';

import type { ChainSide } from '../../../src/buyer/buyer.js';
import { followClaim, type ClaimEnd } from '../../../src/buyer/claimFollow.js';
import { beginClaim } from '../../../src/buyer/claimSign.js';
import { blockHash, blockHeight, satPerKvb, unixSecs } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { loadZkp, preimageOf } from '../core/zkp.js';
import { claimSource, idOf, notAsked, spendsOf } from './claimFixture.js';

const PREIMAGE = preimageOf('end');
const TIP = 2_000;
const source = claimSource('liquidv1', PREIMAGE, TIP - 10);

let claim: Buffer;
let refund: Buffer;
beforeAll(async () => {
  ({ claim, refund } = spendsOf(await loadZkp(), source, { preimage: PREIMAGE, tipHeight: TIP }));
});

const BLOCK = blockHash('b1'.repeat(32));

/** A server that shows one spend so deep, or is away. */
function server(host: string, shown: { readonly raw: Buffer; readonly depth: number } | undefined) {
  const answer = async <T>(value: T): Promise<T> => {
    if (shown === undefined) throw new SwapError('chain_unavailable', `${host} is away`);
    return await Promise.resolve(value);
  };
  const raw = shown?.raw ?? Buffer.alloc(0);
  const chain: LiquidChain = {
    ...{ genesisHash: notAsked, tips: notAsked, blockAt: notAsked, unspent: notAsked, disagreement: () => undefined },
    tip: async () => await answer({ height: blockHeight(TIP), hash: BLOCK, time: unixSecs(1_800_000_000) }),
    history: async () =>
      shown === undefined
        ? await answer([])
        : await answer([{ txid: idOf(raw), height: shown.depth === 0 ? 0 : TIP + 1 - shown.depth }]),
    transaction: async () => await answer(raw),
    proveInclusion: async () => await answer(BLOCK),
    broadcast: async () => Promise.resolve({ kind: 'unknown', cause: 'swallowed' }),
    feeRate: async () => await answer(satPerKvb(100n)),
    ...{ subscribe: () => undefined, unsubscribe: () => undefined, onChange: () => () => undefined, close: notAsked },
  };
  return { name: `ssl://${host}:50002`, chain };
}

const sideOf = (chains: ChainSide['chains'], over: Partial<ChainSide> = {}): ChainSide => ({
  ...{ network: 'liquidv1' as const, chains, isSingleServerTrusted: false },
  ...over,
});

/** Long enough for one look of a busy machine, and shorter than the pause before the next. */
const LOOK_MS = 1_000;

/** Follows the claim for one look. */
async function follow(side: ChainSide): Promise<{ kind: string; troubles: string[] }> {
  const troubles: string[] = [];
  const stop = new AbortController();
  const versions = [{ txid: idOf(claim), raw: claim, height: blockHeight(TIP) }];
  const ended: Promise<ClaimEnd | { kind: 'bump' }> = followClaim(side, source, {
    versions,
    signal: stop.signal,
    onNews: () => undefined,
    onTrouble: (error) => void troubles.push(error.message),
  });
  setTimeout(() => {
    stop.abort();
  }, LOOK_MS);
  return { kind: (await ended).kind, troubles };
}

describe('the end of a claim', () => {
  const deep = (raw: Buffer) => ({ raw, depth: 3 });
  it.each<[string, () => Buffer, string]>([
    ['claimed', () => claim, 'claimed'],
    ['refunded', () => refund, 'refunded'],
  ])('as %s is not believed of one server while the other is away', async (_, raw, kind) => {
    const alone = [server('evil.example', deep(raw())), server('own.test', undefined)];
    const found = await follow(sideOf(alone));
    expect(found.kind).toBe('pending');
    expect(found.troubles.join()).toContain('expected 2 servers of different operators');
    expect((await follow(sideOf(alone, { isSingleServerTrusted: true }))).kind).toBe(kind);
    const both = [server('evil.example', deep(raw())), server('own.test', deep(raw()))];
    expect((await follow(sideOf(both))).kind).toBe(kind);
    const oneOperator = [server('a.evil.example', deep(raw())), server('b.evil.example', deep(raw()))];
    expect((await follow(sideOf(oneOperator))).kind).toBe('pending');
  });

  it('is not there while two servers show different ones, whichever is deeper', async () => {
    for (const [one, other] of [
      [2, 5],
      [5, 2],
    ] as const) {
      const side = sideOf([
        server('evil.example', { raw: refund, depth: one }),
        server('own.test', { raw: claim, depth: other }),
      ]);
      expect((await follow(side)).kind).toBe('pending');
    }
  });

  it('does not keep a first claim from being signed', async () => {
    const alone = [server('evil.example', deep(refund)), server('own.test', undefined)];
    expect(await beginClaim(sideOf(alone), source)).toHaveProperty('need');
    const both = [server('evil.example', deep(refund)), server('own.test', deep(refund))];
    expect(await beginClaim(sideOf(both), source)).toEqual({ refunded: idOf(refund) });
  });
});
