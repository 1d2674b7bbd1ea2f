import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { walletKey } from '../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { planSpend } from '../../src/core/spendPlan.js';
import { parseTransaction, rawOf, txidOf, type TxOutput } from '../../src/core/tx.js';
import { assetAmount, satPerKvb, type AssetId, type Txid } from '../../src/core/units.js';
import { startBlindingWorker, type BlindingWorker } from '../../src/liquid/blinding.js';
import type { ChainChange, LiquidChain } from '../../src/liquid/chain.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { openWallet, type CachedOutput, type LiquidWallet } from '../../src/liquid/wallet.js';
import { createLogger } from '../../src/log.js';
import {
  decodeAddress,
  listenElectrum,
  openLiquidChain,
  type ElectrumServer,
  type LiquidSandbox,
} from '../../src/sandbox/liquid/world.js';

const log = createLogger('test', 'silent');
const { genesis, policyAsset } = LIQUID_NETWORKS.regtest;
const SEQUENCE = 0xffff_fffd;
const STRANGER = walletKey(Buffer.alloc(64, 2), 'regtest', 0, 0).scriptPubKey;

let sandbox: LiquidSandbox;
let server: ElectrumServer;
let chain: LiquidChain;
let worker: BlindingWorker;
let wallet: LiquidWallet;
let token: AssetId;
let changes: ChainChange[];

const open = (seedByte: number): LiquidWallet => {
  const outputs = new Map<string, CachedOutput>();
  return openWallet({
    seed: Buffer.alloc(64, seedByte),
    network: 'regtest',
    chain,
    worker,
    cache: { get: (key) => outputs.get(key), put: (key, output) => outputs.set(key, output) },
    log,
  });
};

beforeEach(async () => {
  sandbox = await openLiquidChain();
  server = await listenElectrum(sandbox, { host: '127.0.0.1', port: 0 });
  token = sandbox.issueAsset({ ticker: 'TOK', precision: 2, amount: 1_000_000n }).assetId;
  sandbox.mine(1);
  chain = connectElectrum({
    servers: [`tcp://127.0.0.1:${server.port}`],
    expectedGenesis: genesis,
    log,
    timeouts: { retryMinMs: 20, retryMaxMs: 50 },
  });
  changes = [];
  chain.onChange((change) => changes.push(change));
  await chain.tip();
  worker = startBlindingWorker();
  wallet = open(1);
  await wallet.sync();
});
afterEach(async () => {
  worker.close();
  chain.close();
  await server.close();
  sandbox.close();
});

/** Pays the wallet's next address, which then is a used one. */
async function deposit(
  amount: bigint,
  options: { assetId?: AssetId; isExplicit?: boolean; isWaiting?: boolean } = {},
): Promise<Txid> {
  const { scriptPubKey, blindingPubkey } = decodeAddress(wallet.receiveAddress().address);
  const id = sandbox.faucet({
    scriptPubKey,
    amount,
    ...(options.assetId === undefined ? {} : { assetId: options.assetId }),
    ...(options.isExplicit === true || blindingPubkey === undefined ? {} : { blindingPubkey }),
  });
  if (options.isWaiting !== true) sandbox.mine(1);
  await synced(() => wallet.coins().some((coin) => coin.outpoint.txid === id));
  return id;
}

/** Syncs until the chain's announcements have arrived. */
async function synced(condition: () => boolean): Promise<void> {
  await vi.waitFor(async () => {
    await wallet.sync();
    expect(condition()).toBe(true);
  }, 30_000);
}

const balance = (asset: AssetId, of = wallet): bigint =>
  of.coins().reduce((sum, coin) => (coin.assetId === asset ? sum + coin.value : sum), 0n);

/** Pays with coins of the wallet, blinded in the thread, signed and broadcast. */
async function pay(
  payments: readonly TxOutput[],
  feeRate = 1_000n,
): Promise<{ id: Txid; raw: Buffer; feeSat: bigint }> {
  const { coins, outputs, feeSat } = planSpend({
    coins: wallet.coins(),
    payments,
    policyAsset,
    feeRate: satPerKvb(feeRate),
    nextChange: () => wallet.changeKey(),
  });
  const inputs = coins.map((coin) => ({ ...coin, sequence: SEQUENCE }));
  const tx = parseTransaction(await worker.buildTransaction({ inputs, outputs, locktime: 0 }));
  wallet.sign(tx, coins);
  const raw = rawOf(tx);
  expect(await chain.broadcast(raw)).toEqual({ kind: 'accepted' });
  return { id: txidOf(tx), raw, feeSat };
}

describe('a wallet', () => {
  it('finds confidential and explicit deposits of two assets', async () => {
    await deposit(50_000n);
    await deposit(20_000n, { isExplicit: true });
    await deposit(700n, { assetId: token });
    await deposit(300n, { assetId: token, isExplicit: true });
    expect(balance(policyAsset)).toBe(70_000n);
    expect(balance(token)).toBe(1_000n);
    expect(wallet.coins().filter((coin) => coin.isConfidential)).toHaveLength(2);
    expect(new Set(wallet.coins().map((coin) => coin.keyIndex)).size).toBe(4);
  });

  it('spends all kinds of coins in one transaction that the chain confirms, and finds its change', async () => {
    await deposit(50_000n);
    await deposit(20_000n, { isExplicit: true });
    await deposit(700n, { assetId: token });
    await deposit(300n, { assetId: token, isExplicit: true });
    const { id, feeSat } = await pay([
      { scriptPubKey: STRANGER, assetId: token, value: assetAmount(900n) },
      { scriptPubKey: STRANGER, assetId: policyAsset, value: assetAmount(60_000n) },
    ]);
    await synced(() => balance(token) === 100n);
    expect(balance(policyAsset)).toBe(10_000n - feeSat);
    expect(wallet.coins().every((coin) => coin.height === 0 && coin.keyChain === 1 && coin.isConfidential)).toBe(true);
    const { height } = sandbox.mine(1);
    await synced(() => wallet.coins().every((coin) => coin.height === height));
    expect(wallet.coins().map((coin) => coin.outpoint.txid)).toEqual([id, id]);
  });

  it('spends its unconfirmed change, and then knows nothing of the coin in between', async () => {
    await deposit(50_000n);
    const { scriptPubKey } = wallet.receiveAddress();
    const first = await pay([{ scriptPubKey, assetId: policyAsset, value: assetAmount(5_000n) }]);
    await synced(() => wallet.coins().length === 2);
    const second = await pay([{ scriptPubKey, assetId: policyAsset, value: assetAmount(6_000n) }]);
    await synced(() => wallet.coins().some((coin) => coin.outpoint.txid === second.id));
    expect(balance(policyAsset)).toBe(50_000n - first.feeSat - second.feeSat);
    expect(wallet.coins().some((coin) => coin.height === -1)).toBe(true);
    sandbox.mine(1);
    await synced(() => wallet.coins().every((coin) => coin.height > 0));
  });

  it('tells its own spends from what a server made up: a spend carries its signature', async () => {
    await deposit(50_000n);
    await deposit(20_000n, { isExplicit: true });
    expect(wallet.spends()).toEqual([]);
    const { id, raw } = await pay([{ scriptPubKey: STRANGER, assetId: policyAsset, value: assetAmount(60_000n) }]);
    await synced(() => wallet.spends().length === 1);
    expect(wallet.spends()).toEqual([{ txid: id, height: 0, spends: expect.any(Array) as unknown }]);
    expect(wallet.hasSigned(raw)).toBe(true);
    const forged = parseTransaction(raw);
    for (const [i, { witness }] of forged.ins.entries()) {
      const [signature = Buffer.alloc(0), key = Buffer.alloc(0)] = witness;
      const other = Buffer.from(signature);
      other[20] = (other[20] ?? 0) ^ 1;
      forged.setWitness(i, [other, key]);
    }
    expect(txidOf(forged)).toBe(id); // a txid says nothing about witnesses
    expect(wallet.hasSigned(rawOf(forged))).toBe(false);
  });

  it('follows a reorganisation: another height, or back to unconfirmed, or gone', async () => {
    await deposit(50_000n);
    const { height } = sandbox.tip();
    sandbox.reorg(1);
    await synced(() => wallet.coins().every((coin) => coin.height === 0));
    sandbox.mine(1);
    await synced(() => wallet.coins().every((coin) => coin.height === height));
    sandbox.reorg(1, { dropTransactions: true });
    await synced(() => wallet.coins().length === 0);
    sandbox.mine(2);
    await wallet.sync();
    expect(wallet.coins()).toEqual([]);
  });

  it('gets its coin back when the transaction that spent it leaves the mempool', async () => {
    const id = await deposit(50_000n);
    await pay(
      [{ scriptPubKey: wallet.receiveAddress().scriptPubKey, assetId: policyAsset, value: assetAmount(5_000n) }],
      200n,
    );
    await synced(() => wallet.coins().every((coin) => coin.outpoint.txid !== id));
    sandbox.setRelayFloor(satPerKvb(100_000n)); // drops what pays less
    await synced(() => wallet.coins().some((coin) => coin.outpoint.txid === id));
    expect(balance(policyAsset)).toBe(50_000n);
  });

  it('misses nothing that happened while its server was away', async () => {
    await deposit(50_000n);
    const { scriptPubKey } = wallet.receiveAddress();
    await server.close();
    await vi.waitFor(() => {
      expect(changes.at(-1)?.kind).toBe('disconnected');
    }, 30_000);
    sandbox.faucet({ scriptPubKey, amount: 7_000n });
    sandbox.mine(3);
    server = await listenElectrum(sandbox, { host: '127.0.0.1', port: server.port });
    await synced(() => balance(policyAsset) === 57_000n);
  });

  it('restored from its seed finds everything again, change included', async () => {
    await deposit(50_000n);
    await deposit(700n, { assetId: token });
    await pay([{ scriptPubKey: Buffer.of(0x6a), assetId: token, value: assetAmount(100n) }]);
    sandbox.mine(1);
    await synced(() => balance(token) === 600n);
    const restored = open(1);
    await restored.sync();
    const summary = (of: LiquidWallet): unknown =>
      of
        .coins()
        .map(({ outpoint, value, height }) => [outpoint.txid, outpoint.vout, value.toString(), height])
        .toSorted();
    expect(summary(restored)).toEqual(summary(wallet));
    expect(restored.receiveAddress()).toEqual(wallet.receiveAddress());
    const other = open(2);
    await other.sync();
    expect(other.coins()).toEqual([]);
  });
});
