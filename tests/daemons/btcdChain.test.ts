/** btcd as lnnoded's source of blocks: what differs from Bitcoin Core. */
import { rmSync } from 'node:fs';

import { Block, Transaction } from 'bitcoinjs-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectBitcoind, type ChainSource } from '../../src/lnnode/chain/bitcoind.js';
import { parseHeader } from '../../src/lnnode/chain/headers.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd } from '../support/daemons/btcd.js';
import type { FullNode } from '../support/daemons/fullNode.js';
import { FIRST_BLOCKS } from '../support/daemons/miner.js';
import { OURS, ranAgainst } from '../support/interoperability.js';
import { makeTempDir } from '../support/tempDir.js';

const TARGET = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';

describe.skipIf(daemonBinary('btcd') === undefined)('btcd as a source of blocks', () => {
  const dir = makeTempDir('btcd-chain-');
  let btcd: FullNode;
  let source: ChainSource;
  beforeAll(async () => {
    btcd = await startBtcd({ dir });
    source = connectBitcoind(btcd.endpoints.bitcoind);
  }, 120_000);
  afterAll(async () => {
    source.close();
    await btcd.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  ranAgainst(() => ({ ours: [OURS.lnnoded], what: 'the source of its blocks', software: [...btcd.software] }));

  it('names its chain and serves headers and whole blocks', async () => {
    const { hash, chain, height } = await source.best();
    expect([chain, height]).toEqual(['regtest', FIRST_BLOCKS]);
    expect(parseHeader(await source.header(hash), 'regtest').hash).toBe(hash);
    const block = Block.fromBuffer(await source.block(hash));
    expect(block.checkTxRoots()).toBe(true);
  });
  it('takes a transaction that it has already, before and after its block', async () => {
    await btcd.fund(TARGET, 50_000n);
    const [txid] = (await btcd.call('getrawmempool')) as string[];
    const raw = Buffer.from((await btcd.call('getrawtransaction', txid, 0)) as string, 'hex');
    await source.broadcast(raw);
    await btcd.mine(1);
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
    await btcd.call('invalidateblock', before.hash);
    expect((await source.best()).height).toBe(before.height - 1);
    await btcd.mine(2);
    const after = await source.best();
    expect(after.height).toBe(before.height + 1);
    expect(parseHeader(await source.header(after.hash), 'regtest').prevHash).not.toBe(before.hash);
  });
});
