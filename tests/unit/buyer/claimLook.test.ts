/** What is believed of the spends that a server shows: signatures, and proofs of depth. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { signClaim, type ClaimSource } from '../../../src/buyer/claim.js';
import { findSpend, lookAtClaim } from '../../../src/buyer/claimLook.js';
import type { Zkp } from '../../../src/core/blind.js';
import { hashPreimage, htlcWitnessScript, p2wpkhScriptPubKey, p2wshScriptPubKey } from '../../../src/core/htlc.js';
import { buildRefund } from '../../../src/core/htlcSpend.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { parseTransaction, rawOf, txidOf } from '../../../src/core/tx.js';
import {
  assetAmount,
  assetId,
  blockHash,
  blockHeight,
  hex,
  outpoint,
  sat,
  satPerKvb,
  unixSecs,
  type Txid,
} from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import type { LiquidChain } from '../../../src/liquid/chain.js';
import { keyOf, loadZkp, preimageOf, randomBytes, refusal } from '../core/zkp.js';

const PREIMAGE = preimageOf('look');
const TIP = 100;
const { policyAsset } = LIQUID_NETWORKS.regtest;
const terms = {
  paymentHash: hashPreimage(PREIMAGE),
  claimPkh: keyOf('buyer').pkh,
  refundPkh: keyOf('refund').pkh,
  refundHeight: blockHeight(1_000),
};
const source: ClaimSource = {
  network: 'regtest',
  paymentHash: terms.paymentHash,
  witnessScript: htlcWitnessScript(terms),
  refundHeight: terms.refundHeight,
  outpoints: [
    { outpoint: outpoint('fa'.repeat(32), 0), assetId: assetId('11'.repeat(32)), value: assetAmount(250n) },
    { outpoint: outpoint('fa'.repeat(32), 1), assetId: policyAsset, value: assetAmount(1_000n) },
  ],
  fundingTx: Buffer.of(1),
  privateKey: keyOf('buyer').privateKey,
  payoutScript: p2wpkhScriptPubKey(keyOf('payout').pubkey),
};
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
  const now = { preimage: PREIMAGE, tipHeight: blockHeight(TIP), feeRate: satPerKvb(100n) };
  claim = signClaim(zkp, source, now).raw;
  const { tx } = buildRefund({
    ...{ zkp, randomBytes, policyAsset, feeRate: satPerKvb(100n), maxFeeSat: sat(1_000n) },
    ...{ outpoints: source.outpoints, witnessScript: source.witnessScript },
    ...{ privateKey: keyOf('refund').privateKey, payoutScript: p2wpkhScriptPubKey(keyOf('seller').pubkey) },
  });
  refund = rawOf(tx);
});
beforeEach(() => {
  shown = [];
  floods = new Set();
  isProven = true;
});

const idOf = (raw: Buffer): Txid => txidOf(parseTransaction(raw));
const no = (): never => {
  throw new Error('not asked in these tests');
};
const chain: LiquidChain = {
  genesisHash: no,
  tip: async () =>
    Promise.resolve({ height: blockHeight(TIP), hash: blockHash('b1'.repeat(32)), time: unixSecs(1_800_000_000) }),
  tips: no,
  blockAt: no,
  disagreement: () => undefined,
  history: async (script) => {
    const key = hex(script);
    if (floods.has(key)) throw new SwapError('history_too_long', 'too many');
    return Promise.resolve(
      shown.flatMap((each) => (each.script === key ? [{ txid: idOf(each.raw), height: each.height }] : [])),
    );
  },
  transaction: async (id) => Promise.resolve(shown.find(({ raw }) => idOf(raw) === id)?.raw),
  unspent: no,
  proveInclusion: async () => {
    if (!isProven) throw new SwapError('chain_unavailable', 'no proof');
    return Promise.resolve(blockHash('b1'.repeat(32)));
  },
  broadcast: no,
  feeRate: async () => Promise.reject(new SwapError('chain_unavailable', 'no rate')),
  subscribe: no,
  unsubscribe: no,
  onChange: no,
  close: no,
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
