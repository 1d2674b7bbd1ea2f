import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Zkp } from '../../src/core/blind.js';
import { walletKey } from '../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import {
  buildTransaction,
  explicitInput,
  explicitValueBytes,
  rawOf,
  signP2wpkhInput,
  txidOf,
} from '../../src/core/tx.js';
import {
  assetAmount,
  blockHeight,
  hex,
  outpoint,
  satPerKvb,
  txid,
  type AssetAmount,
  type Txid,
} from '../../src/core/units.js';
import type { ChainChange, LiquidChain } from '../../src/liquid/chain.js';
import { connectElectrum, type ElectrumOptions } from '../../src/liquid/electrum.js';
import { connectElectrumGroup } from '../../src/liquid/electrumGroup.js';
import { createLogger } from '../../src/log.js';
import {
  listenElectrum,
  openLiquidChain,
  type ElectrumServer,
  type LiquidSandbox,
} from '../../src/sandbox/liquid/world.js';

const { genesis, policyAsset } = LIQUID_NETWORKS.regtest;
const KEY = walletKey(Buffer.alloc(64, 5), 'regtest', 0, 0);
const OTHER = walletKey(Buffer.alloc(64, 5), 'regtest', 0, 1);
const DEPOSIT = assetAmount(100_000n);
const noZkp = {} as Zkp; // explicit transactions need none

const optionsFor = (ports: readonly number[]): ElectrumOptions => ({
  servers: ports.map((port) => `tcp://127.0.0.1:${port}`),
  expectedGenesis: genesis,
  log: createLogger('test', 'silent'),
  timeouts: { retryMinMs: 20, retryMaxMs: 50 },
});

/** Every adapter of the port, on a chain whose blocks the test makes. */
const adapters = [
  { name: 'Electrum', serverCount: 1, open: connectElectrum },
  { name: 'A group of two Electrum servers', serverCount: 2, open: connectElectrumGroup },
];

describe.each(adapters)('$name as Liquid chain', ({ serverCount, open }) => {
  let sandbox: LiquidSandbox;
  let servers: ElectrumServer[];
  let chain: LiquidChain;
  let changes: ChainChange[];

  beforeEach(async () => {
    sandbox = await openLiquidChain();
    servers = await listen(Array<number>(serverCount).fill(0));
    chain = open(optionsFor(servers.map(({ port }) => port)));
    changes = [];
    chain.onChange((change) => changes.push(change));
  });
  afterEach(async () => {
    chain.close();
    await closeServers();
    sandbox.close();
  });

  const listen = async (ports: readonly number[]): Promise<ElectrumServer[]> =>
    await Promise.all(ports.map(async (port) => await listenElectrum(sandbox, { host: '127.0.0.1', port })));
  const closeServers = async (): Promise<void> => {
    await Promise.all(
      servers.map(async (server) => {
        await server.close();
      }),
    );
  };

  const until = async (condition: () => boolean): Promise<void> => {
    await vi.waitFor(() => {
      expect(condition()).toBe(true);
    }, 30_000);
  };

  /** An explicit coin of KEY, in a block. */
  function deposit(): { id: Txid; vout: number } {
    const id = sandbox.faucet({ scriptPubKey: KEY.scriptPubKey, amount: DEPOSIT });
    sandbox.mine(1);
    return { id, vout: 0 };
  }

  /** Spends a coin of KEY to `to`; the fee is what remains. */
  function spend(
    coin: { id: Txid; vout: number; value?: AssetAmount },
    options: { fee?: bigint; locktime?: number; sequence?: number; key?: typeof KEY; to?: Uint8Array } = {},
  ): { id: Txid; raw: Buffer } {
    const { value = DEPOSIT } = coin;
    const { fee = 1_000n, locktime = 0, sequence = 0xffff_fffd, key = KEY, to = OTHER.scriptPubKey } = options;
    const tx = buildTransaction(noZkp, {
      inputs: [explicitInput({ outpoint: outpoint(coin.id, coin.vout), assetId: policyAsset, value }, sequence)],
      outputs: [
        { scriptPubKey: to, assetId: policyAsset, value: assetAmount(value - fee) },
        { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(fee) },
      ],
      locktime,
      randomBytes: (length) => Buffer.alloc(length),
    });
    const { pubkey, privateKey } = key;
    signP2wpkhInput(tx, 0, { pubkey, privateKey, prevoutValue: explicitValueBytes(value) });
    return { id: txidOf(tx), raw: rawOf(tx) };
  }

  it('tells genesis and tip, and announces every new block', async () => {
    expect(await chain.genesisHash()).toBe(genesis);
    expect(await chain.tip()).toEqual(sandbox.tip());
    const tip = sandbox.mine(1);
    await until(() => changes.some((change) => change.kind === 'block' && change.tip.hash === tip.hash));
    expect(await chain.tip()).toEqual(tip);
  });

  it('tells the tip of every server, the block of any height, and no disagreement', async () => {
    const { height, hash } = sandbox.tip();
    sandbox.mine(2);
    const { hash: tipHash } = sandbox.tip();
    const told = (change: ChainChange): boolean => change.kind === 'block' && change.tip.hash === tipHash;
    await until(() => changes.filter(told).length === serverCount);
    expect(await chain.tips()).toEqual(Array(serverCount).fill(sandbox.tip()));
    expect(await chain.blockAt(height)).toMatchObject({ height, hash });
    expect(await chain.blockAt(sandbox.tip().height)).toEqual(sandbox.tip());
    await expect(chain.blockAt(blockHeight(height + 3))).rejects.toMatchObject({ code: 'chain_unavailable' });
    expect(chain.disagreement()).toBeUndefined();
  });

  it('shows a deposit with its height, bytes and proof', async () => {
    const { id } = deposit();
    const { height, hash } = sandbox.tip();
    expect(await chain.history(KEY.scriptPubKey)).toEqual([{ txid: id, height }]);
    expect(await chain.unspent(KEY.scriptPubKey)).toEqual([{ outpoint: outpoint(id, 0), height }]);
    expect(hex((await chain.transaction(id)) ?? Buffer.alloc(0))).toBe(sandbox.transaction(id)?.rawHex);
    expect(await chain.proveInclusion(id, height)).toBe(hash);
    await expect(chain.proveInclusion(id, blockHeight(height - 1))).rejects.toMatchObject({
      code: 'chain_unavailable',
    });
  });

  it('knows nothing of what does not exist', async () => {
    expect(await chain.history(OTHER.scriptPubKey)).toEqual([]);
    expect(await chain.unspent(OTHER.scriptPubKey)).toEqual([]);
    expect(await chain.transaction(txid('ab'.repeat(32)))).toBeUndefined();
  });

  it('shows a spend in the mempool as unconfirmed, one on top of it as -1', async () => {
    const coin = deposit();
    const parent = spend(coin, { to: KEY.scriptPubKey, fee: 500n });
    expect(await chain.broadcast(parent.raw)).toEqual({ kind: 'accepted' });
    expect(await chain.unspent(KEY.scriptPubKey)).toEqual([{ outpoint: outpoint(parent.id, 0), height: 0 }]);
    const child = spend({ ...parent, vout: 0, value: assetAmount(DEPOSIT - 500n) });
    expect(await chain.broadcast(child.raw)).toEqual({ kind: 'accepted' });
    expect(await chain.history(OTHER.scriptPubKey)).toEqual([{ txid: child.id, height: -1 }]);
    expect(await chain.unspent(KEY.scriptPubKey)).toEqual([]);
    sandbox.mine(1);
    expect((await chain.history(OTHER.scriptPubKey)).map((entry) => entry.height)).toEqual([sandbox.tip().height]);
  });

  it('announces what touches a subscribed script: each server once in the mempool and once in a block', async () => {
    const scriptPubKeyHex = hex(KEY.scriptPubKey);
    const seen = (): number => changes.filter((change) => change.kind === 'script').length;
    await chain.tip();
    chain.subscribe(KEY.scriptPubKey);
    await chain.genesisHash();
    sandbox.faucet({ scriptPubKey: KEY.scriptPubKey, amount: DEPOSIT });
    await until(() => seen() === serverCount);
    sandbox.mine(1);
    await until(() => seen() === 2 * serverCount);
    expect(changes.filter((change) => change.kind === 'script')).toEqual(
      Array(2 * serverCount).fill({ kind: 'script', scriptPubKeyHex }),
    );
  });

  describe('a broadcast', () => {
    it('is accepted, again in the mempool, and again in a block', async () => {
      const { raw } = spend(deposit());
      expect(await chain.broadcast(raw)).toEqual({ kind: 'accepted' });
      expect(await chain.broadcast(raw)).toEqual({ kind: 'accepted' });
      sandbox.mine(1);
      expect(await chain.broadcast(raw)).toEqual({ kind: 'accepted' });
    });

    it('of a spent coin is rejected for missing inputs, of one spent in the mempool for the conflict', async () => {
      const coin = deposit();
      await chain.broadcast(spend(coin, { sequence: 0xffff_ffff }).raw);
      expect(await chain.broadcast(spend(coin, { fee: 5_000n }).raw)).toMatchObject({
        kind: 'rejected',
        reason: 'conflict',
      });
      sandbox.mine(1);
      expect(await chain.broadcast(spend(coin, { fee: 5_000n }).raw)).toMatchObject({
        kind: 'rejected',
        reason: 'missing_inputs',
      });
    });

    it('that replaces with too little is a conflict', async () => {
      const coin = deposit();
      await chain.broadcast(spend(coin, { fee: 1_000n }).raw);
      expect(await chain.broadcast(spend(coin, { fee: 1_001n }).raw)).toMatchObject({ reason: 'conflict' });
      expect(await chain.broadcast(spend(coin, { fee: 3_000n }).raw)).toEqual({ kind: 'accepted' });
    });

    it.each([
      ['signed by another key', { key: OTHER }, 'script'],
      ['with a fee below the floor', { fee: 5n }, 'insufficient_fee'],
      ['with an output below the dust limit', { fee: DEPOSIT - 5n }, 'dust'],
      ['with a lock time to come', { locktime: 10_000 }, 'non_final'],
    ])('%s is rejected as "%s"', async (_what, options, reason) => {
      const { raw } = spend(deposit(), options);
      expect(await chain.broadcast(raw)).toMatchObject({ kind: 'rejected', reason });
    });

    it('of what is no transaction never leaves', async () => {
      await expect(chain.broadcast(Buffer.of(1, 2, 3))).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });

  it('follows the relay floor with its fee rate', async () => {
    expect(await chain.feeRate()).toBe(100n);
    sandbox.setRelayFloor(satPerKvb(1_234n));
    expect(await chain.feeRate()).toBe(1_234n);
  });

  it('follows a reorganisation: other height, other block, and the proof leads there', async () => {
    const { id } = deposit();
    const before = sandbox.tip();
    expect(await chain.proveInclusion(id, before.height)).toBe(before.hash);
    sandbox.reorg(1);
    sandbox.mine(1);
    const after = sandbox.tip();
    await until(() => changes.some((change) => change.kind === 'block' && change.tip.hash === after.hash));
    expect(await chain.history(KEY.scriptPubKey)).toEqual([{ txid: id, height: after.height }]);
    expect(await chain.proveInclusion(id, after.height)).toBe(after.hash);
    expect(await chain.blockAt(after.height)).toEqual(after);
    sandbox.reorg(1, { dropTransactions: true });
    expect(await chain.history(KEY.scriptPubKey)).toEqual([]);
  });

  it('survives the loss of its servers: subscriptions and blocks go on', async () => {
    await chain.tip();
    chain.subscribe(KEY.scriptPubKey);
    await chain.genesisHash();
    await closeServers();
    await until(() => changes.some((change) => change.kind === 'disconnected'));
    const { id } = deposit();
    servers = await listen(servers.map(({ port }) => port));
    await until(() => changes.some((change) => change.kind === 'script'));
    expect(await chain.tip()).toEqual(sandbox.tip());
    expect((await chain.history(KEY.scriptPubKey)).map((entry) => entry.txid)).toEqual([id]);
  });
});
