/** What lnnoded asks of a full node that serves its blocks, told once for every kind. */
import { rmSync } from 'node:fs';

import { Block, Transaction } from 'bitcoinjs-lib';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { connectBitcoind, type ChainSource } from '../../../src/lnnode/chain/bitcoind.js';
import { parseHeader } from '../../../src/lnnode/chain/headers.js';
import { OURS, ranAgainst } from '../interoperability.js';
import { makeTempDir } from '../tempDir.js';
import type { FullNode, FullNodePlace } from './fullNode.js';
import { FIRST_BLOCKS } from './miner.js';

const TARGET = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';

/** Tests for a group of its own, on a node that this starts. */
export function blockSourceSuite(start: (place: FullNodePlace) => Promise<FullNode>): void {
  let dir: string;
  let node: FullNode;
  let source: ChainSource;
  beforeAll(async () => {
    dir = makeTempDir('block-source-');
    node = await start({ dir });
    source = connectBitcoind(node.endpoints.bitcoind);
  }, 120_000);
  afterAll(async () => {
    source.close();
    await node.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  ranAgainst(() => ({ ours: [OURS.lnnoded], what: 'the source of its blocks', software: [...node.software] }));

  it('names its chain and serves headers and whole blocks', async () => {
    const { hash, chain, height } = await source.best();
    expect([chain, height]).toEqual(['regtest', FIRST_BLOCKS]);
    expect(parseHeader(await source.header(hash), 'regtest').hash).toBe(hash);
    const block = Block.fromBuffer(await source.block(hash));
    expect(block.checkTxRoots()).toBe(true);
  });
  it('takes a transaction that it has already, before and after its block', async () => {
    await node.fund(TARGET, 50_000n);
    const [txid] = (await node.call('getrawmempool')) as string[];
    const raw = Buffer.from((await node.call('getrawtransaction', txid, 0)) as string, 'hex');
    await source.broadcast(raw);
    await node.mine(1);
    await source.broadcast(raw);
    const tip = Block.fromBuffer(await source.block((await source.best()).hash));
    expect(tip.transactions?.map((tx) => tx.getId())).toContain(txid);
  });
  it('refuses a transaction that spends nothing known', async () => {
    const tx = new Transaction();
    tx.addInput(Buffer.alloc(32, 1), 0);
    tx.addOutput(Buffer.from(`0014${'00'.repeat(20)}`, 'hex'), 1_000n);
    await expect(source.broadcast(tx.toBuffer())).rejects.toThrow('sendrawtransaction');
  });
  it('has an estimate or none for every target, and no error', async () => {
    for (const targetBlocks of [2, 6, 12, 144, 1008]) {
      const rate = await source.feeRate(targetBlocks);
      expect(rate ?? 1n).toBeGreaterThan(0n);
    }
  });
  it('follows a branch of its own after a block was taken back', async () => {
    const before = await source.best();
    await node.call('invalidateblock', before.hash);
    await node.fund(TARGET, 60_000n); // the same block once more would be as invalid
    expect((await source.best()).height).toBe(before.height - 1);
    await node.mine(2);
    const after = await source.best();
    expect(after.height).toBe(before.height + 1);
    expect(parseHeader(await source.header(after.hash), 'regtest').prevHash).not.toBe(before.hash);
  });
}
