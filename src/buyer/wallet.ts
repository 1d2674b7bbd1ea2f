/**
 * The buyer's own wallet, of the same seed as the claim keys: where assets and change go, and L-BTC that helps a claim to
 * pay its fee. Nothing is asked of a server before the wallet is used.
 */
import { join } from 'node:path';

import type { Transaction } from 'liquidjs-lib';

import { LIQUID_NETWORKS, type LiquidNetworkName } from '../core/network.js';
import { parseTransaction, txidOf } from '../core/tx.js';
import {
  blockHeight,
  displayHex,
  outpoint,
  outpointKey,
  sat,
  type AssetId,
  type Pubkey,
  type Sat,
} from '../core/units.js';
import { SwapError } from '../errors.js';
import { startBlindingWorker, type BlindingWorker } from '../liquid/blinding.js';
import type { LiquidChain } from '../liquid/chain.js';
import { openWallet, type Coin, type LiquidWallet } from '../liquid/wallet.js';
import type { Logger } from '../log.js';
import { readRecords } from './dataDir.js';
import type { NamedChain } from './observe.js';
import { openOutputCache } from './outputCache.js';

/** What the buyer's wallet holds of one asset, smallest units. */
type WalletBalance = { readonly assetId: AssetId; readonly confirmed: bigint; readonly unconfirmed: bigint };

/** What a person wants to know of a wallet. */
export type PayoutWallet = {
  /** The next address that was never used (confidential). */
  readonly address: string;
  /** Its script; a claim to it is unblinded, for the HTLC showed the amount anyway and blinding costs fee. */
  readonly scriptPubKey: Buffer;
  readonly balances: readonly WalletBalance[];
};

/** A purchase whose claim asks for coins, with the versions of the claim so far. */
type FeeCoinsFor = { readonly number: number; readonly earlier: readonly Uint8Array[] };

export type BuyerWallet = {
  /** Confirmed L-BTC that no purchase's claim takes, satoshi. @throws SwapError `chain_unavailable`. */
  readonly lbtcSat: () => Promise<Sat>;
  /**
   * Confirmed L-BTC coins that no other purchase's claim takes, smallest first; those that earlier versions of the same
   * claim took come before all others. @throws SwapError `chain_unavailable`.
   */
  readonly feeCoins: (claim?: FeeCoinsFor) => Promise<readonly Coin[]>;
  /** Signs inputs of the transaction in place, the first of them at `firstInput`. */
  readonly sign: (tx: Transaction, coins: readonly Coin[], firstInput: number) => void;
  /** An unused script of the wallet for L-BTC change, and the key that blinds it. @throws SwapError `chain_unavailable`. */
  readonly change: () => Promise<{ readonly scriptPubKey: Buffer; readonly blindingPubkey: Pubkey }>;
  /** The script of {@link change}. @throws SwapError `chain_unavailable`. */
  readonly changeScript: () => Promise<Buffer>;
  /** Whether the wallet has the script's key, as far as it looks ahead. @throws SwapError `chain_unavailable`. */
  readonly owns: (scriptPubKey: Uint8Array) => Promise<boolean>;
  /** Address and balances. @throws SwapError `chain_unavailable`. */
  readonly look: () => Promise<PayoutWallet>;
  readonly close: () => void;
};

/** The servers that show the wallet. */
type Side = { readonly network: LiquidNetworkName; readonly chains: readonly NamedChain[] };

type Options = { readonly dir: string; readonly seed: Uint8Array; readonly log: Logger };

/** Anyone can send dust to the wallet; no more coins than this are looked at, the largest. */
const MAX_COINS = 20;

/** A wallet and the server that it looks at. */
type View = { readonly wallet: LiquidWallet; readonly chain: LiquidChain };

const byValue = (a: Coin, b: Coin): number => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0);

/** Outpoints that a stored claim of another purchase spends. */
function takenByOthers(dir: string, own: number | undefined): Set<string> {
  const others = readRecords(dir).filter(({ number }) => number !== own);
  const claims = others.flatMap(({ progress }) => (progress.step === 'claiming' ? progress.claims : []));
  return new Set(claims.flatMap(({ raw }) => inputsOf(Buffer.from(raw, 'hex')).map(outpointKey)));
}

const inputsOf = (raw: Uint8Array): ReturnType<typeof outpoint>[] =>
  parseTransaction(raw).ins.map((input) => outpoint(displayHex(input.hash), input.index));

class LazyWallet {
  readonly #side: Side;
  readonly #options: Options;
  #worker: BlindingWorker | undefined;
  #views: readonly View[] | undefined;

  constructor(side: Side, options: Options) {
    this.#side = side;
    this.#options = options;
  }

  /** The wallet as the first server that answers shows it. */
  async view(): Promise<View> {
    let failure: unknown = new Error('a buyer has at least one Electrum server');
    for (const view of (this.#views ??= this.#open())) {
      try {
        await view.wallet.sync();
        return view;
      } catch (error) {
        if (!(error instanceof SwapError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async feeCoins(claim?: FeeCoinsFor): Promise<Coin[]> {
    const view = await this.view();
    const taken = takenByOthers(this.#options.dir, claim?.number);
    const earlier = await this.#coinsOf(view, claim?.earlier ?? []);
    const isOurs = new Set(earlier.map((coin) => outpointKey(coin.outpoint)));
    const free = view.wallet.coins().filter((coin) => !isOurs.has(outpointKey(coin.outpoint)));
    const { policyAsset } = LIQUID_NETWORKS[this.#side.network];
    const useful = (coins: readonly Coin[]): Coin[] =>
      coins
        .filter((coin) => coin.assetId === policyAsset && !taken.has(outpointKey(coin.outpoint)))
        .sort(byValue)
        .slice(-MAX_COINS);
    const coins = [...useful(earlier), ...useful(free)];
    const isConfirmed = await Promise.all(coins.map(async (coin) => await this.#isConfirmed(view, coin)));
    return coins.filter((_, i) => isConfirmed[i]);
  }

  /** The wallet's coins that transactions of ours spend and no other does. */
  async #coinsOf({ wallet }: View, raws: readonly Uint8Array[]): Promise<Coin[]> {
    const own = new Set(raws.map((raw) => txidOf(parseTransaction(raw))));
    const coins = new Map<string, Coin>();
    for (const point of raws.flatMap(inputsOf)) {
      const spender = wallet.spenderOf(point);
      const coin = spender === undefined || own.has(spender.txid) ? await wallet.coinAt(point) : undefined;
      if (coin !== undefined) coins.set(outpointKey(point), coin);
    }
    return [...coins.values()];
  }

  /** Merkle-proven: a coin that one server made up would spoil the claim everywhere. */
  async #isConfirmed({ chain }: View, coin: Coin): Promise<boolean> {
    if (coin.height <= 0) return false;
    try {
      await chain.proveInclusion(coin.outpoint.txid, blockHeight(coin.height));
      return true;
    } catch (error) {
      if (!(error instanceof SwapError)) throw error;
      this.#options.log.warn({ outpoint: outpointKey(coin.outpoint), cause: error.message }, 'a coin is in no block');
      return false;
    }
  }

  sign(tx: Transaction, coins: readonly Coin[], firstInput: number): void {
    const [any] = (this.#views ??= this.#open()); // signing takes keys, no server
    any?.wallet.sign(tx, coins, firstInput);
  }

  #open(): View[] {
    const { dir, seed, log } = this.#options;
    const { network } = this.#side;
    const worker = (this.#worker ??= startBlindingWorker());
    const cache = openOutputCache(join(dir, `outputs-${network}.json`));
    return this.#side.chains.map(({ chain }) => ({
      chain,
      wallet: openWallet({ seed, network, chain, worker, cache, log }),
    }));
  }

  close(): void {
    this.#worker?.close();
  }
}

function balancesOf(coins: readonly Coin[]): WalletBalance[] {
  const balances = new Map<AssetId, WalletBalance>();
  for (const coin of coins) {
    const before = balances.get(coin.assetId) ?? { assetId: coin.assetId, confirmed: 0n, unconfirmed: 0n };
    const key = coin.height > 0 ? 'confirmed' : 'unconfirmed';
    balances.set(coin.assetId, { ...before, [key]: before[key] + coin.value });
  }
  return [...balances.values()];
}

/** The wallet of a data directory. `close` ends its thread, not the servers. */
export function openBuyerWallet(side: Side, options: Options): BuyerWallet {
  const lazy = new LazyWallet(side, options);
  const change: BuyerWallet['change'] = async () => (await lazy.view()).wallet.changeKey();
  return {
    lbtcSat: async () => sat((await lazy.feeCoins()).reduce((sum, coin) => sum + coin.value, 0n)),
    feeCoins: async (claim) => await lazy.feeCoins(claim),
    sign: (tx, coins, firstInput) => {
      lazy.sign(tx, coins, firstInput);
    },
    change,
    changeScript: async () => (await change()).scriptPubKey,
    owns: async (scriptPubKey) => (await lazy.view()).wallet.ownsScript(scriptPubKey),
    look: async () => {
      const { wallet } = await lazy.view();
      return { ...wallet.receiveAddress(), balances: balancesOf(wallet.coins()) };
    },
    close: () => {
      lazy.close();
    },
  };
}
