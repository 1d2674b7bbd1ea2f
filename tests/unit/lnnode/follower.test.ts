import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { BlockHash } from '../../../src/core/units.js';
import { connectBitcoind, type ChainSource } from '../../../src/lnnode/chain/bitcoind.js';
import { makeFollower, type ChainListener } from '../../../src/lnnode/chain/follower.js';
import { freshnessProblem } from '../../../src/lnnode/chain/freshness.js';
import { openDatabase } from '../../../src/lnnode/store/db.js';
import { headerRows } from '../../../src/lnnode/store/headers.js';
import { startRegtestServer, type RegtestServer } from '../../support/regtestServer.js';

let server: RegtestServer;

beforeEach(async () => {
  server = await startRegtestServer();
});

afterEach(async () => {
  await server.close();
});

/** A follower over a (perhaps lying) source, and what it told its listener. */
async function follow(lies: Partial<ChainSource> = {}) {
  const headers = headerRows(openDatabase(':memory:'));
  const seen: string[] = [];
  const listener: ChainListener = {
    connect: (block) => {
      headers.connect(block);
      seen.push(`+${block.height}`);
    },
    reorganize: (gone, fresh) => {
      for (const { hash, height } of gone) {
        headers.disconnect(hash);
        seen.push(`-${height}`);
      }
      for (const block of fresh) listener.connect(block);
    },
  };
  headers.connect(await makeFollower({ source: server.source, headers, network: 'regtest' }).start());
  const follower = makeFollower({ source: { ...server.source, ...lies }, headers, network: 'regtest' });
  return { follower, seen, round: (): Promise<void> => follower.round(listener) };
}

const tipHash = (): string => server.chain.tip.hash;
const blockAt = (height: number): BlockHash => server.chain.blockAt(height)?.hash ?? server.chain.tip.hash;

describe('a follower', () => {
  it('begins at the tip and sees only what comes after', async () => {
    const { follower, seen, round } = await follow();
    await round();
    expect(seen).toEqual([]);
    server.chain.mine(20);
    await round();
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => `+${121 + index}`));
    expect(follower.tip()).toMatchObject({ hash: tipHash(), height: 140 });
    expect(follower.isSynced()).toBe(true);
  });
  it('goes back to the fork and up again, also onto a branch that it knew', async () => {
    const { follower, seen, round } = await follow();
    server.chain.mine(5);
    await round();
    seen.length = 0;
    server.chain.reorg(2);
    await round();
    expect(seen).toEqual(['-125', '-124', '+124', '+125', '+126']);
    expect(follower.tip().hash).toBe(tipHash());
  });
  it('holds few blocks at a time, also when a reorg and many blocks came while it was away', async () => {
    let [now, most] = [0, 0];
    const { follower, seen, round } = await follow({
      block: async (hash) => {
        most = Math.max(most, ++now);
        return server.source.block(hash).finally(() => (now -= 1));
      },
    });
    server.chain.mine(5);
    await round();
    seen.length = 0;
    server.chain.reorg(2);
    server.chain.mine(60);
    await round();
    expect(seen).toEqual(['-125', '-124', ...Array.from({ length: 63 }, (_, index) => `+${124 + index}`)]);
    expect(follower.tip().hash).toBe(tipHash());
    expect(most).toBeLessThanOrEqual(8);
  });
  it('keeps its own chain when the server falls behind', async () => {
    const lie: { best?: { hash: BlockHash; chain: string; height: number } } = {};
    const { follower, seen, round } = await follow({
      best: () => (lie.best === undefined ? server.source.best() : Promise.resolve(lie.best)),
    });
    server.chain.mine(3);
    lie.best = { hash: blockAt(122), chain: 'regtest', height: 122 };
    await round();
    expect(follower.isSynced()).toBe(true);
    delete lie.best;
    await round();
    seen.length = 0;
    lie.best = { hash: blockAt(121), chain: 'regtest', height: 121 };
    await round();
    expect(seen).toEqual([]);
    expect(follower.tip().hash).toBe(tipHash());
  });
});

describe('a lying server', () => {
  it('with another chain is refused', async () => {
    const best = async () => ({ ...(await server.source.best()), chain: 'main' });
    await expect((await follow({ best })).round()).rejects.toThrow(
      'node.network: expected a chain of regtest, found one of main',
    );
  });
  it.each([-500, -120, 0, 1, 500])(
    'with a height that is wrong by %i begins no chain unless that is nothing',
    async (by) => {
      const headers = headerRows(openDatabase(':memory:'));
      const honest = await server.source.best();
      const best = () => Promise.resolve({ ...honest, height: Math.max(0, honest.height + by) });
      const start = makeFollower({ source: { ...server.source, best }, headers, network: 'regtest' }).start();
      if (by === 0) expect(await start).toMatchObject({ hash: honest.hash, height: honest.height });
      else await expect(start).rejects.toThrow('found another in its coinbase');
    },
  );
  it('with a header that has another hash is refused', async () => {
    const { round, seen } = await follow({
      header: () => server.source.header(blockAt(1)),
    });
    server.chain.mine(1);
    await expect(round()).rejects.toThrow('expected header');
    expect(seen).toEqual([]);
  });
  it('with a block of another header is refused', async () => {
    const { round, seen } = await follow({
      block: () => server.source.block(blockAt(1)),
    });
    server.chain.mine(1);
    await expect(round()).rejects.toThrow('has another header');
    expect(seen).toEqual([]);
  });
  it.each<[string, (raw: Buffer) => Buffer]>([
    ['a changed transaction', (raw) => Buffer.concat([raw.subarray(0, -5), Buffer.from([1]), raw.subarray(-4)])],
    ['bytes behind the block', (raw) => Buffer.concat([raw, Buffer.from([0])])],
    ['a cut block', (raw) => raw.subarray(0, -1)],
    ['a header alone', (raw) => raw.subarray(0, 80)],
  ])('with %s is refused', async (_, change) => {
    const { round, seen } = await follow({ block: async (hash) => change(await server.source.block(hash)) });
    server.chain.mine(1);
    await expect(round()).rejects.toThrow();
    expect(seen).toEqual([]);
  });
});

describe('a server of mainnet that stands still', () => {
  const GENESIS = Buffer.from(
    '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c',
    'hex',
  );
  const hash = '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f' as BlockHash;
  it('is answered all the same, but no money moves on its heights', async () => {
    const headers = headerRows(openDatabase(':memory:'));
    headers.connect({ hash, height: 0, header: GENESIS });
    const best = () => Promise.resolve({ hash, chain: 'main', height: 0 });
    const follower = makeFollower({ source: { ...server.source, best }, headers, network: 'bitcoin' });
    const listener = { connect: () => undefined, reorganize: () => undefined };
    expect(follower.hasSynced()).toBe(false);
    await follower.round(listener);
    expect(follower.hasSynced()).toBe(true);
    expect(follower.isSynced()).toBe(false);
    expect(follower.problem()).toBe('the chain source has no block since 2009-01-03T18:15:05.000Z');
  });
  it('is no problem while a block is young', () => {
    const young = Buffer.from(GENESIS);
    young.writeUInt32LE(Math.floor(Date.now() / 1000) - 10_000, 68);
    expect(freshnessProblem({ header: young }, 'bitcoin', 0)).toBe('');
    expect(freshnessProblem({ header: young }, 'bitcoin', 60_000)).toContain('not reached for a minute');
    expect(freshnessProblem({ header: GENESIS }, 'regtest', 0)).toBe('');
  });
});

describe('the full node', () => {
  it('refuses a wrong password, which is an error and no answer', async () => {
    const source = connectBitcoind({ ...server.login, password: 'wrong' });
    await expect(source.best()).rejects.toThrow('401');
    source.close();
  });
  it('has no fee estimate on regtest', async () => {
    expect(await server.source.feeRate(6)).toBeUndefined();
  });
  it('takes a transaction twice and refuses a malformed one', async () => {
    const id = server.chain.faucet('bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', 10_000n);
    const raw = server.chain.transaction(id)?.toBuffer() ?? Buffer.alloc(0);
    await server.source.broadcast(raw);
    server.chain.mine(1);
    await server.source.broadcast(raw);
    await expect(server.source.broadcast(raw.subarray(1))).rejects.toThrow('sendrawtransaction');
  });
});
