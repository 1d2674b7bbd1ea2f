/** The seller's engine over Electrum servers of which one lies: alone, or beside an honest one. */
import { hashPreimage } from '../../src/core/htlc.js';
import { seedFromMnemonic } from '../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../src/core/network.js';
import { isFunded, type FundedSwap } from '../../src/core/swap.js';
import { parseTransaction, txidOf } from '../../src/core/tx.js';
import { outpointKey, unixSecs, type AssetId, type Txid } from '../../src/core/units.js';
import { sweepChain } from '../../src/engine/chainWatcher.js';
import type { EngineContext } from '../../src/engine/context.js';
import { createReconciler, type Reconciler } from '../../src/engine/reconcile.js';
import type { BlindingWorker } from '../../src/liquid/blinding.js';
import type { LiquidChain } from '../../src/liquid/chain.js';
import { connectElectrumGroup } from '../../src/liquid/electrumGroup.js';
import { openWallet, type CachedOutput } from '../../src/liquid/wallet.js';
import { createLogger } from '../../src/log.js';
import { decodeAddress, listenElectrum } from '../../src/sandbox/liquid/world.js';
import { reservedCoins } from '../../src/store/txs.js';
import { EngineWorld } from './engineWorld.js';
import { eventually } from './eventually.js';
import { HostileProxy } from './hostileProxy.js';
import { PRICE, type Intent } from './swapFixtures.js';
import { insertNew, nthIntent } from './tempStore.js';

const SEED = seedFromMnemonic('letter advice cage absurd amount doctor acoustic avoid letter advice cage above');
const log = createLogger('test', 'silent');

/** Who is asked: the liar alone, or the liar and an honest server, both of which are needed. */
export type Company = 'alone' | 'beside an honest server';

/** How long the liar may stay silent before its connection ends. */
const SILENCE_MS = 1_000;

type Parts = {
  readonly engine: EngineWorld;
  readonly liar: HostileProxy;
  readonly honestUrl: string;
  readonly chain: LiquidChain;
  readonly ctx: EngineContext;
  readonly close: () => Promise<void>;
};

export class HostileWorld implements AsyncDisposable {
  /** The chain, the database, the node and the clock; its own engine stands still. */
  readonly engine: EngineWorld;
  readonly liar: HostileProxy;
  readonly honestUrl: string;
  readonly chain: LiquidChain;
  readonly ctx: EngineContext;
  readonly reconciler: Reconciler;
  readonly #close: () => Promise<void>;
  #bought = 0;

  private constructor({ engine, liar, honestUrl, chain, ctx, close }: Parts) {
    this.engine = engine;
    this.liar = liar;
    this.honestUrl = honestUrl;
    this.chain = chain;
    this.ctx = ctx;
    this.reconciler = createReconciler(ctx);
    this.#close = close;
  }

  /** An engine with coins for some swaps; the liar is honest until a test says otherwise. */
  static async open(company: Company, worker: BlindingWorker): Promise<HostileWorld> {
    const engine = await EngineWorld.open();
    const server = await listenElectrum(engine.sandbox, { host: '127.0.0.1', port: 0 });
    const liar = await HostileProxy.start(server.port);
    const honestUrl = `tcp://127.0.0.1:${server.port}`;
    const isAlone = company === 'alone';
    const chain = connectElectrumGroup({
      servers: [liar.url, ...(isAlone ? [] : [honestUrl])],
      expectedGenesis: LIQUID_NETWORKS.regtest.genesis,
      log,
      timeouts: { requestMs: SILENCE_MS, reconnectWaitMs: 300, retryMinMs: 10, retryMaxMs: 50 },
    });
    const opened = new Map<string, CachedOutput>();
    const cache = {
      get: (key: string) => opened.get(key),
      put: (key: string, output: CachedOutput) => void opened.set(key, output),
    };
    const ctx: EngineContext = {
      ...engine.ctx,
      chain,
      wallet: openWallet({ seed: SEED, network: 'regtest', chain, worker, log, cache }),
      serversNeeded: isAlone ? 1 : 2,
      health: { ...engine.ctx.health, tip: undefined, alarms: [] },
      comparison: { pending: new Set(), knownSpends: new Set(), withNode: undefined },
      strangers: new Set(),
    };
    const close = async (): Promise<void> => {
      chain.close();
      await liar.close();
      await server.close();
      await engine[Symbol.asyncDispose]();
    };
    const world = new HostileWorld({ engine, liar, honestUrl, chain, ctx, close });
    await world.look();
    await world.#deposit();
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reconciler.idle();
    await this.#close();
  }

  /** One sweep, in which nothing is spared. */
  async sweep(): Promise<void> {
    await sweepChain(this.ctx, this.reconciler);
    await this.reconciler.reconcileAll();
  }

  /** Sweeps until it is so. */
  async until(what: string, probe: () => boolean): Promise<void> {
    await eventually(`${what} (${this.ctx.health.degradedReason ?? 'not degraded'})`, async () => {
      if (probe()) return true;
      await this.sweep();
      return probe();
    });
  }

  /** Sweeps until the tip is accepted as it is, and once more. */
  async look(): Promise<void> {
    const { health } = this.ctx;
    const isSeen = (): boolean =>
      health.tip?.hash === this.engine.sandbox.tip().hash && health.degradedReason === undefined;
    await this.until('the engine sees the tip', isSeen);
    await this.sweep();
  }

  /** Sweeps until the liar has told so many more lies; then whatever they lead to has been decided. */
  async untilLied(times = 2): Promise<void> {
    const before = this.liar.told;
    await this.until('the lie is told', () => this.liar.told >= before + times);
    await this.sweep();
  }

  /** The liar ends its lies and its connections: clients ask everything anew. */
  async repent(): Promise<void> {
    this.liar.behave();
    this.liar.drop();
    await this.look();
  }

  /** Blocks one by one, each seen by the engine. */
  async mine(blocks = 1): Promise<void> {
    for (let i = 0; i < blocks; i += 1) {
      this.engine.sandbox.mine(1);
      await this.look();
    }
  }

  async mineTo(height: number): Promise<void> {
    const left = height - this.engine.sandbox.tip().height;
    if (left > 0) this.engine.sandbox.mine(left);
    await this.look();
  }

  /** Stores a swap; the engine takes it from there. */
  order(over: Partial<Intent> = {}): Intent {
    this.#bought += 1;
    const { id } = nthIntent(this.#bought);
    const { engine } = this;
    const times = { createdAt: unixSecs(engine.now), fundBy: unixSecs(engine.now + 120) };
    const paymentHash = hashPreimage(engine.preimage(id));
    return insertNew(
      this.ctx.store,
      nthIntent(this.#bought, { paymentHash, assetId: engine.token, priceMsat: PRICE, ...times, ...over }),
    );
  }

  /** A swap whose funding was signed and handed to the servers once. */
  async buy(over: Partial<Intent> = {}): Promise<FundedSwap> {
    const { id } = this.order(over);
    await this.until('it is funded', () => isFunded(this.engine.swap(id)));
    return this.engine.funded(id);
  }

  /** A swap with its depth, and an invoice that can be paid. */
  async buyFunded(): Promise<FundedSwap> {
    const swap = await this.buy();
    await this.mine(swap.minFundingConfs);
    await this.until('it is FUNDED', () => this.engine.swap(swap.id).state === 'FUNDED');
    return this.engine.funded(swap.id);
  }

  /** A swap that nobody paid, canceled, at its refund height; no refund is signed yet. */
  async buyRefundable(): Promise<FundedSwap> {
    const swap = await this.buyFunded();
    this.engine.now += 601;
    await this.until('it is canceled', () => this.standing(swap) === 'FUNDED CANCELED');
    return swap;
  }

  /** Someone pays the invoice. */
  pay(swap: FundedSwap): void {
    this.engine.node.states.set(swap.paymentHash, 'HELD');
  }

  standing(swap: Pick<Intent, 'id'>): string {
    return this.engine.standing(swap.id);
  }

  async untilStanding(swap: Pick<Intent, 'id'>, standing: string): Promise<void> {
    const found = (): string => this.standing(swap);
    try {
      await this.until(standing, () => found() === standing);
    } catch (cause) {
      throw new Error(`expected ${standing}, found ${found()} ${this.engine.swap(swap.id).reason}`, { cause });
    }
  }

  /** Calls to the node since the last time that this was asked. */
  nodeCalls(): string[] {
    return this.engine.node.calls.splice(0);
  }

  /** Ids of all that the engine handed to the liar, each once. */
  sent(): Set<Txid> {
    return new Set(this.liar.broadcasts.map((rawHex) => txidOf(parseTransaction(Buffer.from(rawHex, 'hex')))));
  }

  balance(asset: AssetId): bigint {
    return this.ctx.wallet.coins().reduce((sum, coin) => (coin.assetId === asset ? sum + coin.value : sum), 0n);
  }

  /** Coins of the wallet that a row still keeps from being spent. */
  stuckCoins(): string[] {
    const reserved = reservedCoins(this.ctx.store);
    return this.ctx.wallet.coins().flatMap(({ outpoint }) => {
      const key = outpointKey(outpoint);
      return reserved.has(key) ? [key] : [];
    });
  }

  /** Pays to the wallet's receive address, in the mempool. */
  gift(amount: bigint, asset?: AssetId): Txid {
    const { scriptPubKey } = decodeAddress(this.ctx.wallet.receiveAddress().address);
    return this.engine.sandbox.faucet({ scriptPubKey, amount, ...(asset === undefined ? {} : { assetId: asset }) });
  }

  async #deposit(): Promise<void> {
    for (let i = 0; i < 6; i += 1) {
      this.gift(1_000n, this.engine.token);
      this.gift(50_000n);
    }
    await this.mine(2);
  }
}
