import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { satPerKvb } from '../../../src/core/units.js';
import { historyOf, statusOf } from '../../../src/sandbox/liquid/history.js';
import { scripthashOf } from '../../../src/sandbox/liquid/state.js';
import { openLiquidChain, type LiquidSandbox } from '../../../src/sandbox/liquid/world.js';
import { BLINDING_PUBKEY, fundKey, madeBy, OTHER_SCRIPT, P2WPKH, spendHex, spendTx } from './liquidKit.js';

let dir: string;
const open = (): Promise<LiquidSandbox> => openLiquidChain({ dir });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'liquid-chain-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** Everything a client can see of a chain. */
function served(chain: LiquidSandbox): unknown {
  const scripthashes = [...chain.state.byScript.keys()].toSorted();
  return {
    status: chain.status(),
    headers: chain.state.blocks.map(({ rawHeader, txids }) => [rawHeader.toString('hex'), txids]),
    transactions: [...chain.state.transactions].map(([id, { rawHex, height }]) => [id, rawHex, height]).toSorted(),
    histories: scripthashes.map((scripthash) => [scripthash, historyOf(chain.state, scripthash)]),
    coins: [...chain.state.ledger.coins.keys()].toSorted(),
  };
}

/** A chain with everything in it: gifts, an asset, a replacement, reorganizations, a higher floor, a mempool. */
async function eventfulChain(): Promise<LiquidSandbox> {
  const chain = await open();
  const { assetId } = chain.issueAsset({ ticker: 'GOLD', precision: 2, amount: 1_000_000n });
  const coin = fundKey(chain);
  chain.mine(2);
  chain.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 10n, assetId });
  chain.faucet({ scriptPubKey: P2WPKH, blindingPubkey: BLINDING_PUBKEY, amount: 20n, assetId });
  chain.broadcast(spendHex({ coins: [coin] }));
  const replacement = spendTx({ coins: [coin], feeSat: 5_000n });
  chain.broadcast(replacement.toHex());
  chain.mine(2);
  chain.reorg(1);
  chain.mine(3);
  const dropped = fundKey(chain, 7_000n);
  chain.mine(1);
  chain.broadcast(spendHex({ coins: [dropped], feeSat: 200n }));
  chain.reorg(1, { dropTransactions: true });
  chain.broadcast(spendHex({ coins: [madeBy(replacement)], feeSat: 50n }));
  chain.setRelayFloor(satPerKvb(500n));
  fundKey(chain, 8_000n);
  const conflict = spendHex({ coins: [madeBy(replacement)], feeSat: 1n });
  chain.mine(1, { including: conflict });
  fundKey(chain, 9_000n);
  return chain;
}

describe('a stored chain', () => {
  it('is after reopening exactly what it was', async () => {
    const chain = await eventfulChain();
    const before = served(chain);
    chain.close();
    const again = await open();
    expect(served(again)).toEqual(before);
    expect(again.status().mempool).toHaveLength(1);
    again.close();
  });
  it('goes on where it stopped, also the faucet', async () => {
    const first = await eventfulChain();
    first.close();
    const second = await open();
    const { height } = second.mine(2);
    const id = second.faucet({ scriptPubKey: OTHER_SCRIPT, amount: 5_000n });
    second.close();
    const third = await open();
    expect(third.tip().height).toBe(height);
    expect(third.status().mempool).toEqual([id]);
    expect(statusOf(third.state, scripthashOf(OTHER_SCRIPT))).toMatch(/^[0-9a-f]{64}$/);
    third.close();
  });
  it('loses only a torn last line', async () => {
    const chain = await eventfulChain();
    const before = served(chain);
    chain.close();
    const file = join(dir, 'liquid-chain.jsonl');
    appendFileSync(file, '{"op":"tx","raw":"0200');
    const again = await open();
    expect(served(again)).toEqual(before);
    const { hash } = again.mine(1);
    again.close();
    const third = await open();
    expect(third.tip().hash).toBe(hash);
    third.close();
  });
  it.each([1, 20, 200])('cut short by %i bytes opens with what was whole, and can be mined on', async (bytes) => {
    const chain = await eventfulChain();
    const { height } = chain.tip();
    chain.close();
    const file = join(dir, 'liquid-chain.jsonl');
    const text = readFileSync(file);
    writeFileSync(file, text.subarray(0, -bytes));
    const again = await open();
    expect(again.status().mempool).toEqual([]);
    expect(again.mine(1).height).toBe(height + 1);
    again.close();
  });
  it('that is damaged in the middle is refused, not guessed', async () => {
    const chain = await eventfulChain();
    chain.close();
    const file = join(dir, 'liquid-chain.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    lines[2] = '{"op":"tx"';
    writeFileSync(file, lines.join('\n'));
    await expect(open()).rejects.toThrow('line 3 is damaged');
  });
});
