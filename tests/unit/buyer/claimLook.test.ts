/** What is believed of the spends that a server shows: signatures, and proofs of depth. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { findSpend, lookAtClaim } from '../../../src/buyer/claimLook.js';
import type { Zkp } from '../../../src/core/blind.js';
import { p2wshScriptPubKey } from '../../../src/core/htlc.js';
import { parseTransaction, rawOf } from '../../../src/core/tx.js';
import { blockHash, blockHeight, hex, unixSecs } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { keyOf, loadZkp, preimageOf, refusal } from '../core/zkp.js';
import { claimSource, idOf, notAsked, spendsOf } from './claimFixture.js';

const PREIMAGE = preimageOf('look');
const TIP = 100;
const source = claimSource('regtest', PREIMAGE, 1_000);
const HTLC = hex(p2wshScriptPubKey(source.witnessScript));

/** What the server shows: by script, and bytes by txid. */
let shown: { readonly script: string; readonly raw: Buffer; readonly height: number }[];
let floods: Set<string>;
let isProven: boolean;
let zkp: Zkp;
let claim: Buffer;
let refund: Buffer;

beforeAll(async () => {
  zkp = await loadZkp();
  ({ claim, refund } = spendsOf(zkp, source, { preimage: PREIMAGE, tipHeight: TIP }));
});
beforeEach(() => {
  shown = [];
  floods = new Set();
  isProven = true;
});

const chain: LiquidChain = {
  genesisHash: notAsked,
  tip: async () =>
    Promise.resolve({ height: blockHeight(TIP), hash: blockHash('b1'.repeat(32)), time: unixSecs(1_800_000_000) }),
  tips: notAsked,
  blockAt: notAsked,
  disagreement: () => undefined,
  history: async (script) => {
    const key = hex(script);
    if (floods.has(key)) throw new SwapError('history_too_long', 'too many');
    return Promise.resolve(
      shown.flatMap((each) => (each.script === key ? [{ txid: idOf(each.raw), height: each.height }] : [])),
    );
  },
  transaction: async (id) => Promise.resolve(shown.find(({ raw }) => idOf(raw) === id)?.raw),
  unspent: notAsked,
  proveInclusion: async () => {
    if (!isProven) throw new SwapError('chain_unavailable', 'no proof');
    return Promise.resolve(blockHash('b1'.repeat(32)));
  },
  broadcast: notAsked,
  feeRate: async () => Promise.reject(new SwapError('chain_unavailable', 'no rate')),
  subscribe: notAsked,
  unsubscribe: notAsked,
  onChange: notAsked,
  close: notAsked,
};
const named = { name: 'tcp://own:1', chain };
const show = (raw: Buffer, height = 0, script = HTLC): void => void shown.push({ script, raw, height });

/** The same transaction with other witnesses: its txid stays. */
function witnessed(raw: Buffer, change: (witness: Buffer[]) => Buffer[]): Buffer {
  const tx = parseTransaction(raw);
  tx.ins.forEach((input, i) => {
    tx.setWitness(i, change(input.witness));
  });
  return rawOf(tx);
}

describe('a spend', () => {
  it('by claim or refund key is what it is, with its preimage and depth', async () => {
    show(claim, TIP);
    expect(await findSpend(named, source)).toEqual({
      ...{ kind: 'claimed', txid: idOf(claim), confirmations: 1 },
      preimage: PREIMAGE,
    });
    shown = [];
    show(refund);
    expect(await findSpend(named, source)).toEqual({ kind: 'refunded', txid: idOf(refund), confirmations: 0 });
  });

  it.each<[string, (witness: Buffer[]) => Buffer[]]>([
    ['no witness', () => []],
    ['no signature', (witness) => [Buffer.alloc(0), ...witness.slice(1)]],
    ['the key of a stranger', (witness) => witness.with(1, Buffer.from(keyOf('stranger').pubkey, 'hex'))],
    ['a key that is none', (witness) => witness.with(1, Buffer.alloc(33, 2))],
    ['another signature', (witness) => witness.with(0, Buffer.concat([Buffer.from([0x30, 0x06]), Buffer.alloc(7, 1)]))],
  ])('that a server shows with %s is none', async (_, change) => {
    show(witnessed(claim, change));
    show(witnessed(refund, change));
    expect(await findSpend(named, source)).toEqual({ kind: 'unspent' });
  });

  it('of ours is known by its txid, whatever witnesses a server shows', async () => {
    show(witnessed(claim, () => []));
    const own = new Map([[idOf(claim), claim]]);
    expect(await lookAtClaim(named, source, own)).toMatchObject({
      feeRate: undefined,
      spends: [{ kind: 'claimed', txid: idOf(claim), spends: [0, 1] }],
    });
  });

  it('is final only with a proof', async () => {
    show(claim, TIP - 1);
    expect(await findSpend(named, source)).toMatchObject({ confirmations: 2 });
    isProven = false;
    await expect(findSpend(named, source)).rejects.toThrow(refusal('no proof', 'chain_unavailable'));
  });

  it('of a flooded HTLC is found where the payout went', async () => {
    floods.add(HTLC);
    expect(await findSpend(named, source)).toEqual({ kind: 'unspent' });
    show(claim, TIP - 1, hex(source.payoutScript));
    expect(await findSpend(named, source)).toMatchObject({ kind: 'claimed', confirmations: 2 });
    floods.add(hex(source.payoutScript));
    expect(await findSpend(named, source)).toEqual({ kind: 'unspent' });
  });
});
