import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { satPerKvb, txid as toTxid } from '../../../src/core/units.js';
import { NodeError, openLiquidChain, type LiquidSandbox } from '../../../src/sandbox/liquid/world.js';
import { fundKey, madeBy, OTHER_SCRIPT, spendHex, spendTx, type KeyCoin } from './liquidKit.js';

const open = (): Promise<LiquidSandbox> => openLiquidChain({});

async function withCoin(): Promise<{ chain: LiquidSandbox; coin: KeyCoin }> {
  const chain = await open();
  const coin = fundKey(chain);
  chain.mine(1);
  return { chain, coin };
}

function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof NodeError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('a new chain', () => {
  it('begins with the real genesis block of Liquid regtest and a block of free coins', async () => {
    const chain = await open();
    expect(chain.state.blocks.map(({ header }) => header.height)).toEqual([0, 1]);
    expect(chain.state.blocks[0]?.header.hash).toBe(chain.genesis);
    expect(chain.genesis).toBe('00902a6b70c2ca83b5d9c815d96a0e2f4202179316970d14ea1847dae5b1ca21');
  });
  it('gives out all 21 million coins and not one satoshi more', async () => {
    const chain = await open();
    chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 2_099_999_999_990_000n });
    expect(() => chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 10_000n })).toThrow('faucet: needs');
  });
  it('never lets block times run backwards', async () => {
    const times = [1_800_000_000, 1_800_000_100, 1_700_000_000, 1_800_000_200];
    const chain = await openLiquidChain({ now: () => times.shift() ?? 0 });
    chain.mine(3);
    const found = chain.state.blocks.slice(1).map(({ header }) => header.time);
    expect(found).toEqual([1_800_000_000, 1_800_000_100, 1_800_000_100, 1_800_000_200]);
  });
});

describe('a spend', () => {
  it('that is signed by the key of the coin is taken and mined', async () => {
    const { chain, coin } = await withCoin();
    const id = chain.broadcast(spendHex({ coins: [coin] }));
    expect(chain.transaction(id)?.height).toBeUndefined();
    const tip = chain.mine(1);
    expect(chain.transaction(id)?.height).toBe(tip.height);
  });
  it('may be sent again while it waits, but not once its block exists', async () => {
    const { chain, coin } = await withCoin();
    const raw = spendHex({ coins: [coin] });
    expect(chain.broadcast(raw)).toBe(chain.broadcast(raw));
    chain.mine(1);
    expect(refusalOf(() => chain.broadcast(raw))).toBe('-27 Transaction already in block chain');
  });
  it('of a coin that a block has spent is refused', async () => {
    const { chain, coin } = await withCoin();
    chain.broadcast(spendHex({ coins: [coin] }));
    chain.mine(1);
    const second = spendHex({ coins: [coin], feeSat: 5_000n });
    expect(refusalOf(() => chain.broadcast(second))).toBe('-25 bad-txns-inputs-missingorspent');
  });
  it('with a tampered output is refused', async () => {
    const { chain, coin } = await withCoin();
    const tx = spendTx({ coins: [coin] });
    for (const output of tx.outs.slice(0, 1)) output.script = OTHER_SCRIPT;
    const refusal = refusalOf(() => chain.broadcast(tx.toHex()));
    expect(refusal).toBe(
      '-26 mempool-script-verify-flag-failed (Signature must be zero for failed CHECK(MULTI)SIG operation)',
    );
  });
  it('with a locktime above the next height waits for it, to the block', async () => {
    const { chain, coin } = await withCoin();
    const locked = spendHex({ coins: [coin], locktime: chain.tip().height + 1 });
    expect(refusalOf(() => chain.broadcast(locked))).toBe('-26 non-final');
    chain.mine(1);
    expect(refusalOf(() => chain.broadcast(locked))).toBe('accepted');
  });
  it.each(['', 'zz', '00', 'deadbeef', `${'00'.repeat(5)}ff`])(
    'that is no transaction (%j) is refused',
    async (raw) => {
      const chain = await open();
      expect(refusalOf(() => chain.broadcast(raw))).toMatch(/^-22 TX decode failed/);
    },
  );
  it('with any bit flipped is judged, never a crash, and never makes coins', async () => {
    const { chain, coin } = await withCoin();
    const raw = Buffer.from(spendHex({ coins: [coin] }), 'hex');
    const spendable = chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 1_000n });
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(raw);
        flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
        return refusalOf(() => chain.broadcast(flipped.toString('hex'))) !== 'accepted';
      }),
      { numRuns: 300 },
    );
    expect(chain.status().mempool).toEqual([spendable]);
  });
  it('on 25 unconfirmed ancestors is refused, on 24 it is taken', async () => {
    const { chain, coin } = await withCoin();
    let last = coin;
    for (let length = 1; length <= 25; length += 1) {
      const tx = spendTx({ coins: [last] });
      chain.broadcast(tx.toHex());
      last = madeBy(tx);
    }
    expect(refusalOf(() => chain.broadcast(spendHex({ coins: [last] })))).toMatch(/^-26 too-long-mempool-chain/);
  });
});

describe('a replacement', () => {
  it('must pay for all that it evicts, descendants included, and its own relay', async () => {
    const { chain, coin } = await withCoin();
    const parent = spendTx({ coins: [coin], feeSat: 300n });
    const child = spendTx({ coins: [madeBy(parent)], feeSat: 5_000n });
    chain.broadcast(parent.toHex());
    chain.broadcast(child.toHex());
    const replace = (feeSat: bigint): string => refusalOf(() => chain.broadcast(spendHex({ coins: [coin], feeSat })));
    expect(replace(5_299n)).toMatch(/insufficient fee, rejecting replacement [0-9a-f]{64}, less fees than conflicting/);
    expect(replace(5_301n)).toMatch(/not enough additional fees to relay; 0.00000001 < 0.0000002\d?$/);
    expect(replace(5_400n)).toBe('accepted');
    expect(chain.status().mempool).toHaveLength(1);
    expect(chain.transaction(toTxid(child.getId()))).toBeUndefined();
  });
  it('brings no unconfirmed coins of its own, and does not build on what it evicts', async () => {
    const { chain, coin } = await withCoin();
    const first = spendTx({ coins: [coin] });
    chain.broadcast(first.toHex());
    const unconfirmed = fundKey(chain);
    const replace = (coins: KeyCoin[]): string =>
      refusalOf(() => chain.broadcast(spendHex({ coins, feeSat: 100_000n })));
    expect(replace([coin, unconfirmed])).toMatch(/^-26 replacement-adds-unconfirmed/);
    expect(replace([coin, madeBy(first)])).toMatch(/^-26 bad-txns-spends-conflicting-tx/);
  });
  it('is refused where no input of the first signals it', async () => {
    const { chain, coin } = await withCoin();
    chain.broadcast(spendHex({ coins: [coin], sequence: 0xffff_fffe }));
    expect(refusalOf(() => chain.broadcast(spendHex({ coins: [coin], feeSat: 9_000n })))).toBe(
      '-26 txn-mempool-conflict',
    );
  });
});

describe('the relay floor', () => {
  it('drops what waits with less, its children too, and refuses it from then on', async () => {
    const { chain, coin } = await withCoin();
    const low = spendTx({ coins: [coin], feeSat: 100n });
    const child = spendTx({ coins: [madeBy(low)], feeSat: 10_000n });
    chain.broadcast(low.toHex());
    chain.broadcast(child.toHex());
    expect(chain.setRelayFloor(satPerKvb(1_000n))).toEqual([low.getId(), child.getId()]);
    expect(chain.status().mempool).toEqual([]);
    expect(refusalOf(() => chain.broadcast(low.toHex()))).toMatch(/^-26 min relay fee not met, 100 < 191$/);
    expect(refusalOf(() => chain.broadcast(spendHex({ coins: [coin], feeSat: 300n })))).toBe('accepted');
  });
  it('keeps what pays enough', async () => {
    const { chain, coin } = await withCoin();
    chain.broadcast(spendHex({ coins: [coin], feeSat: 1_000n }));
    expect(chain.setRelayFloor(satPerKvb(1_000n))).toEqual([]);
    expect(chain.status().mempool).toHaveLength(1);
  });
  it('is paid by the faucet', async () => {
    const chain = await open();
    chain.setRelayFloor(satPerKvb(20_000n));
    const id = chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 5_000n });
    expect(chain.status().mempool).toEqual([id]);
  });
});

describe('a reorganization', () => {
  it('puts transactions back and makes other blocks of them', async () => {
    const { chain, coin } = await withCoin();
    const id = chain.broadcast(spendHex({ coins: [coin] }));
    const before = chain.mine(2);
    expect(chain.reorg(2)).toEqual([]);
    expect(chain.status().mempool).toEqual([id]);
    const after = chain.mine(3);
    expect(after.height).toBe(before.height + 1);
    expect(chain.state.blocks[before.height]?.header.hash).not.toBe(before.hash);
    expect(chain.transaction(id)?.height).toBe(before.height - 1);
  });
  it('keeps parents before children over several blocks', async () => {
    const { chain, coin } = await withCoin();
    const parent = spendTx({ coins: [coin] });
    const child = spendTx({ coins: [madeBy(parent)] });
    chain.broadcast(parent.toHex());
    chain.mine(1);
    chain.broadcast(child.toHex());
    chain.mine(1);
    chain.reorg(2);
    expect(chain.status().mempool).toEqual([parent.getId(), child.getId()]);
    chain.mine(3);
    expect(chain.status().mempool).toEqual([]);
  });
  it('drops a transaction whose locktime the lower chain has not reached', async () => {
    const { chain, coin } = await withCoin();
    const id = chain.broadcast(spendHex({ coins: [coin], locktime: chain.tip().height }));
    chain.mine(1);
    expect(chain.reorg(2)).toEqual([id]);
  });
  it('drops the transactions of the blocks on demand, with what builds on them, so that a conflict can win', async () => {
    const { chain, coin } = await withCoin();
    const first = spendTx({ coins: [coin] });
    const child = spendTx({ coins: [madeBy(first)] });
    chain.broadcast(first.toHex());
    chain.mine(1);
    chain.broadcast(child.toHex());
    expect(chain.reorg(1, { dropTransactions: true })).toEqual([first.getId(), child.getId()]);
    chain.broadcast(spendHex({ coins: [coin], toScript: OTHER_SCRIPT }));
    chain.mine(2);
    expect(refusalOf(() => chain.broadcast(first.toHex()))).toBe('-25 bad-txns-inputs-missingorspent');
  });
  it('cannot take back the free coins', async () => {
    const chain = await open();
    chain.mine(2);
    expect(() => chain.reorg(3)).toThrow('expected an integer 1..2, found 3');
    chain.reorg(2);
    expect(() => chain.reorg(1)).toThrow('expected an integer 1..0, found 1');
  });
});

describe('a miner', () => {
  it('may mine a conflict of the mempool, which drops what it displaces', async () => {
    const { chain, coin } = await withCoin();
    const loser = spendTx({ coins: [coin], sequence: 0xffff_ffff, feeSat: 50_000n });
    const child = spendTx({ coins: [madeBy(loser)] });
    chain.broadcast(loser.toHex());
    chain.broadcast(child.toHex());
    const winner = spendTx({ coins: [coin], feeSat: 1n });
    const tip = chain.mine(1, { including: winner.toHex() });
    expect(chain.status().mempool).toEqual([]);
    expect(chain.transaction(toTxid(winner.getId()))?.height).toBe(tip.height);
    expect(chain.transaction(toTxid(loser.getId()))).toBeUndefined();
  });
  it('cannot break consensus', async () => {
    const { chain, coin } = await withCoin();
    const inflated = spendHex({ coins: [{ ...coin, value: coin.value + 1n }] });
    expect(refusalOf(() => chain.mine(1, { including: inflated }))).toMatch(/^-26 bad-txns-in-ne-out/);
  });
});
