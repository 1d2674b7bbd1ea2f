/**
 * The seller's engine in this process: real wallet, blinding worker, database and Electrum client against the sandbox's
 * chain. Only the Lightning node is scripted, and a test may stand between the engine and its server's broadcasts.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';

import { hashPreimage, p2wpkhScriptPubKey } from '../../src/core/htlc.js';
import { buildClaim } from '../../src/core/htlcSpend.js';
import { preimageFor, refundKey, seedFromMnemonic } from '../../src/core/keys.js';
import { isFunded, type FundedSwap, type Swap } from '../../src/core/swap.js';
import {
  explicitInput,
  explicitValueBytes,
  parseTransaction,
  rawOf,
  SEQUENCE_REPLACEABLE,
  signP2wpkhInput,
  txidOf,
  type TxInput,
} from '../../src/core/tx.js';
import { encodeAddress, LIQUID_NETWORKS } from '../../src/core/network.js';
import {
  assetAmount,
  displayHex,
  outpoint,
  outpointKey,
  sat,
  satPerKvb,
  unixSecs,
  type AssetId,
  type Preimage,
  type SwapId,
  type Txid,
} from '../../src/core/units.js';
import { sweepChain } from '../../src/engine/chainWatcher.js';
import type { EngineContext } from '../../src/engine/context.js';
import { createReconciler } from '../../src/engine/reconcile.js';
import { withdraw } from '../../src/engine/withdraw.js';
import { startBlindingWorker } from '../../src/liquid/blinding.js';
import type { BroadcastOutcome, LiquidChain } from '../../src/liquid/chain.js';
import { connectElectrum } from '../../src/liquid/electrum.js';
import { openWallet } from '../../src/liquid/wallet.js';
import { createLogger } from '../../src/log.js';
import { decodeAddress, listenElectrum, openLiquidChain, type LiquidSandbox } from '../../src/sandbox/liquid/world.js';
import { Store } from '../../src/store/db.js';
import { findWalletOutput, saveWalletOutput } from '../../src/store/meta.js';
import { findSwap } from '../../src/store/swaps.js';
import { isOwnTx, reservedCoins, swapTxs, type OwnTx, type TxKind } from '../../src/store/txs.js';
import { keyOf, loadZkp } from '../unit/core/zkp.js';
import { engineContext } from '../unit/engine/testContext.js';
import { eventually } from './eventually.js';
import { plainChain } from './plainChain.js';
import { scriptedNode, type ScriptedNode } from './scriptedNode.js';
import { PRICE, START, type Intent } from './swapFixtures.js';
import { insertNew, MIGRATIONS, nthIntent, rawSql, tempStore, type TempStore } from './tempStore.js';

const { genesis, policyAsset } = LIQUID_NETWORKS.regtest;
const SEED = seedFromMnemonic('legal winner thank year wave sausage worth useful legal winner thank yellow');
const STRANGER = p2wpkhScriptPubKey(keyOf('stranger').pubkey);
const log = createLogger('test', 'silent');

/** What stands between the engine and the server's mempool: undefined lets a transaction through. */
type Gate = (raw: Buffer) => BroadcastOutcome | undefined;

export class EngineWorld implements AsyncDisposable {
  readonly sandbox: LiquidSandbox;
  readonly token: AssetId;
  readonly node: ScriptedNode;
  /** Seconds since 1970 of the engine's clock. */
  now = START;
  gate: Gate = () => undefined;
  /** Ids of everything that the engine handed to its server. */
  readonly sent: Txid[] = [];
  readonly #parts: Parts;
  #temp: TempStore;
  #ctx: EngineContext;
  #reconciler: ReturnType<typeof createReconciler>;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.sandbox = parts.sandbox;
    this.token = parts.token;
    this.node = scriptedNode(() => this.now);
    this.#temp = tempStore();
    this.#ctx = this.#wire();
    this.#reconciler = createReconciler(this.#ctx);
  }

  /** A chain with a token, and an engine whose wallet is empty. @param over what the engine gets instead. */
  static async open(over: Partial<EngineContext> = {}): Promise<EngineWorld> {
    const sandbox = await openLiquidChain();
    const server = await listenElectrum(sandbox, { host: '127.0.0.1', port: 0 });
    const token = sandbox.issueAsset({ ticker: 'TOK', precision: 2, amount: 1_000_000n }).assetId;
    sandbox.mine(1);
    const servers = [`tcp://127.0.0.1:${server.port}`];
    const chain = connectElectrum({ servers, expectedGenesis: genesis, log });
    const parts = { sandbox, server, token, chain, worker: startBlindingWorker(), zkp: await loadZkp(), over };
    const world = new EngineWorld(parts);
    await world.look();
    return world;
  }

  get ctx(): EngineContext {
    return this.#ctx;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reconciler.idle();
    const { worker, chain, server, sandbox } = this.#parts;
    worker.close();
    chain.close();
    await server.close();
    sandbox.close();
    this.#temp[Symbol.dispose]();
  }

  #wire(): EngineContext {
    const { chain, worker, zkp, over } = this.#parts;
    const { store } = this.#temp;
    const cache = {
      get: (key: string) => findWalletOutput(store, key),
      put: (key: string, output: NonNullable<ReturnType<typeof findWalletOutput>>) => {
        if (store.isReadOnly) return;
        store.tx(() => {
          saveWalletOutput(store, key, output);
        });
      },
    };
    return engineContext(this.#temp, {
      chain: { ...plainChain(chain), broadcast: async (raw) => await this.#broadcast(Buffer.from(raw)) },
      wallet: openWallet({ seed: SEED, network: 'regtest', chain, worker, log, cache }),
      lightning: this.node.port,
      zkp,
      blind: async (spec) => await worker.buildTransaction(spec),
      randomBytes: (length) => randomBytes(length),
      keys: { preimageFor: (id) => preimageFor(SEED, id), refundKey: (index) => refundKey(SEED, 'regtest', index) },
      now: () => unixSecs(this.now),
      ...over,
    });
  }

  async #broadcast(raw: Buffer): Promise<BroadcastOutcome> {
    const id = txidOf(parseTransaction(raw));
    const { store } = this.#ctx;
    if (!store.isReadOnly && !isOwnTx(store, id)) throw new TypeError(`${id} was broadcast before it was committed`);
    this.sent.push(id);
    return this.gate(raw) ?? (await this.#parts.chain.broadcast(raw));
  }

  /** Ends the process, as far as the engine can tell, and starts another one on the same file. */
  async restart(meanwhile: () => void = () => undefined): Promise<void> {
    await this.#reconciler.idle();
    const { path, dir, store: old } = this.#temp;
    old[Symbol.dispose]();
    meanwhile();
    const store = Store.open({ path, migrationsDir: MIGRATIONS });
    const dispose = (): void => {
      store[Symbol.dispose]();
      rmSync(dir, { recursive: true, force: true });
    };
    this.#temp = { path, dir, store, [Symbol.dispose]: dispose };
    this.#ctx = this.#wire();
    this.#reconciler = createReconciler(this.#ctx);
    await this.look();
  }

  /** Sweeps until the engine has seen the chain as it is now; then every swap was driven at that tip. */
  async look(): Promise<void> {
    await eventually('the engine sees the tip', async () => {
      await sweepChain(this.#ctx, this.#reconciler);
      return this.#ctx.health.tip?.hash === this.sandbox.tip().hash;
    });
    // What was broadcast at that tip, or decided by the last look, shows in another one.
    await sweepChain(this.#ctx, this.#reconciler);
    await this.#reconciler.reconcileAll();
  }

  /** Looks until it is so. */
  async until(what: string, probe: () => boolean): Promise<void> {
    await eventually(what, async () => {
      if (probe()) return true;
      await this.look();
      return probe();
    });
  }

  /** Blocks one by one, each seen by the engine. */
  async mine(blocks = 1): Promise<void> {
    for (let i = 0; i < blocks; i += 1) {
      this.sandbox.mine(1);
      await this.look();
    }
  }

  /** Blocks until the tip has that height; the engine sees the last one. */
  async mineTo(height: number): Promise<void> {
    const left = height - this.sandbox.tip().height;
    if (left > 0) this.sandbox.mine(left);
    await this.look();
  }

  /** Coins for the wallet, two blocks deep. */
  async deposit(
    coins: readonly (readonly [asset: AssetId | 'lbtc', amount: bigint])[],
    isExplicit = false,
  ): Promise<void> {
    for (const [asset, amount] of coins) {
      const { scriptPubKey, blindingPubkey } = decodeAddress(this.#ctx.wallet.receiveAddress().address);
      const id = this.sandbox.faucet({
        scriptPubKey,
        amount,
        ...(asset === 'lbtc' ? {} : { assetId: asset }),
        ...(isExplicit || blindingPubkey === undefined ? {} : { blindingPubkey }),
      });
      await this.until('the deposit is seen', () => this.#ctx.wallet.coins().some((coin) => coin.outpoint.txid === id));
    }
    await this.mine(2);
  }

  /** Stores the nth swap and drives it as far as its funding goes. */
  async buy(n: number, over: Partial<Intent> = {}): Promise<FundedSwap> {
    const { store } = this.#ctx;
    const { id } = nthIntent(n);
    const paymentHash = hashPreimage(this.preimage(id));
    const times = { createdAt: unixSecs(this.now), fundBy: unixSecs(this.now + 120) };
    insertNew(store, nthIntent(n, { paymentHash, assetId: this.token, priceMsat: PRICE, ...times, ...over }));
    await this.#reconciler.reconcile(id);
    return this.funded(id);
  }

  preimage(id: SwapId): Preimage {
    return preimageFor(SEED, id);
  }

  swap(id: SwapId): Swap {
    const swap = findSwap(this.#ctx.store, id);
    if (swap === undefined) throw new Error(`no swap ${id}`);
    return swap;
  }

  funded(id: SwapId): FundedSwap {
    const swap = this.swap(id);
    if (!isFunded(swap)) throw new Error(`swap ${id} is ${swap.state}: ${swap.reason}`);
    return swap;
  }

  /** `STATE PAYMENT` of a swap. */
  standing(id: SwapId): string {
    const { state, payment } = this.swap(id);
    return `${state} ${payment}`;
  }

  /** Versions of the swap's transaction, newest first. */
  versions(id: SwapId, kind: TxKind): readonly (OwnTx & { readonly isConflicted: boolean })[] {
    return swapTxs(this.#ctx.store, id, kind);
  }

  /** The funding gets its depth and the invoice is paid. */
  async makePaid(swap: FundedSwap): Promise<void> {
    await this.mine(swap.minFundingConfs);
    this.node.states.set(swap.paymentHash, 'HELD');
    await this.until('the payment is settled', () => this.swap(swap.id).payment === 'SETTLED');
  }

  /** The funding gets its depth, the invoice dies, and T comes. */
  async makeRefundable(swap: FundedSwap): Promise<void> {
    await this.mine(swap.minFundingConfs);
    this.now += 601;
    await this.until('the invoice is dead', () => this.swap(swap.id).payment === 'CANCELED');
    await this.mineTo(swap.refundHeight);
  }

  /** The buyer's claim, not broadcast; with a coin of his own he leaves the subsidy. */
  claim(swap: FundedSwap, { isSubsidyLeft = false } = {}): Buffer {
    const coin = isSubsidyLeft ? this.#buyersCoin() : undefined;
    const { tx } = buildClaim({
      zkp: this.#parts.zkp,
      randomBytes: (length) => randomBytes(length),
      outpoints: coin === undefined ? swap.outpoints : swap.outpoints.slice(0, 1),
      feeInputs: coin === undefined ? [] : [coin],
      witnessScript: swap.witnessScript,
      privateKey: keyOf('buyer').privateKey,
      payoutScript: STRANGER,
      policyAsset,
      feeRate: satPerKvb(1_000n),
      maxFeeSat: sat(1_000_000n),
      preimage: this.preimage(swap.id),
      sequence: SEQUENCE_REPLACEABLE,
    });
    if (coin !== undefined)
      signP2wpkhInput(tx, 1, { ...keyOf('stranger'), prevoutValue: explicitValueBytes(coin.value) });
    return rawOf(tx);
  }

  /** L-BTC that the buyer got from elsewhere. */
  #buyersCoin(): TxInput {
    const value = assetAmount(5_000n);
    const id = this.sandbox.faucet({ scriptPubKey: STRANGER, amount: value });
    this.sandbox.mine(1);
    const { outs } = parseTransaction(Buffer.from(this.sandbox.transaction(id)?.rawHex ?? '', 'hex'));
    const vout = outs.findIndex(({ script }) => script.equals(STRANGER));
    return explicitInput({ outpoint: outpoint(id, vout), assetId: policyAsset, value }, SEQUENCE_REPLACEABLE);
  }

  /** Sum of all coins of the wallet by the last look. */
  balance(asset: AssetId): bigint {
    return this.#ctx.wallet.coins().reduce((sum, coin) => (coin.assetId === asset ? sum + coin.value : sum), 0n);
  }

  /** Coins of the wallet that a row still keeps from being spent. */
  stuckCoins(): string[] {
    const reserved = reservedCoins(this.#ctx.store);
    return this.#ctx.wallet
      .coins()
      .flatMap((coin) => {
        const key = outpointKey(coin.outpoint);
        return reserved.has(key) ? [key] : [];
      })
      .sort();
  }

  /** From now on no commit succeeds, as on a full disk. */
  fillDisk(): void {
    const { store } = this.#ctx;
    store.all(rawSql('PRAGMA max_page_count = 1'));
    try {
      store.tx(() => {
        store.run(rawSql(`INSERT INTO meta VALUES ('x', hex(zeroblob(1000000)))`));
      });
    } catch {
      // that is what it is for
    }
    if (!store.isReadOnly) throw new Error('expected a full disk');
  }

  isInMempool(id: Txid): boolean {
    return this.sandbox.status().mempool.includes(id);
  }

  /** Height of the block that has the transaction. */
  minedAt(id: Txid): number | undefined {
    return this.sandbox.transaction(id)?.height;
  }

  /** Pays a stranger out of the wallet. @returns the transaction. */
  async withdraw(assetId: AssetId, amount: bigint): Promise<Txid> {
    const address = encodeAddress({ scriptPubKey: STRANGER }, 'regtest');
    const requestId = `withdrawal ${this.sent.length}`;
    const sent = await withdraw(this.#ctx, { requestId, address, assetId, assetAmount: assetAmount(amount) });
    await this.look();
    return sent.txid;
  }

  /** Another spend of one asset's inputs of a transaction, as somebody with the same seed would sign it; not broadcast. */
  async spendToSelf(raw: Uint8Array, assetId: AssetId, feeSat: bigint): Promise<Buffer> {
    const { wallet, blind } = this.#ctx;
    const points = parseTransaction(raw).ins.map((input) => outpoint(displayHex(input.hash), input.index));
    const found = await Promise.all(points.map(async (point) => await wallet.coinAt(point)));
    const coins = found.filter((coin) => coin?.assetId === assetId).filter((coin) => coin !== undefined);
    const { scriptPubKey, blindingPubkey } = wallet.changeKey();
    const value = assetAmount(coins.reduce((sum, coin) => sum + coin.value, 0n) - feeSat);
    const fee = { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(feeSat) };
    const inputs = coins.map((coin) => ({ ...coin, sequence: SEQUENCE_REPLACEABLE }));
    const outputs = [{ scriptPubKey, blindingPubkey, assetId, value }, fee];
    const tx = parseTransaction(await blind({ inputs, outputs, locktime: 0 }));
    wallet.sign(tx, coins);
    return rawOf(tx);
  }

  /** Keys of the outputs that a transaction spends. */
  inputsOf(raw: Uint8Array): string[] {
    return parseTransaction(raw).ins.map((input) => `${displayHex(input.hash)}:${input.index}`);
  }
}

type Parts = {
  readonly sandbox: LiquidSandbox;
  readonly server: Awaited<ReturnType<typeof listenElectrum>>;
  readonly token: AssetId;
  readonly chain: LiquidChain;
  readonly worker: ReturnType<typeof startBlindingWorker>;
  readonly zkp: Awaited<ReturnType<typeof loadZkp>>;
  readonly over: Partial<EngineContext>;
};
