/**
 * The hot wallet: P2WPKH keys of one seed, confidential addresses, coins found through the chain port.
 *
 * It knows nothing of swaps: which coins are promised to whom is the caller's business.
 */
import type { Transaction } from 'liquidjs-lib';

import type { SelectableCoin } from '../core/coinSelect.js';
import { refundKey, type KeyPair } from '../core/keys.js';
import { encodeAddress, type LiquidNetworkName } from '../core/network.js';
import { isP2wpkhSignedBy, parseTransaction, signP2wpkhInput } from '../core/tx.js';
import { displayHex, hex, outpointKey, type Outpoint, type Pubkey } from '../core/units.js';
import { SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import type { BlindingWorker, UnblindedOutput } from './blinding.js';
import type { HistoryEntry, LiquidChain } from './chain.js';
import { createKeyRing, type KeyChain, type KeyRing } from './walletKeys.js';
import { GAP_LIMIT, WalletScan, type UnspentOutput } from './walletScan.js';

/** An unspent output of the wallet with all that spending it takes; the blinders are zero if it hides nothing. */
export type Coin = SelectableCoin & {
  readonly scriptPubKey: Buffer;
  /** The value as serialized: part of what is signed. */
  readonly valueBytes: Buffer;
  readonly assetBlinder: Buffer;
  readonly valueBlinder: Buffer;
  readonly keyChain: KeyChain;
  readonly keyIndex: number;
};

/** An opened output, kept so that no range proof is opened twice. */
export type CachedOutput = UnblindedOutput;

/** Where opened outputs are kept; the key is `txid:vout`. */
export type OutputCache = {
  readonly get: (key: string) => CachedOutput | undefined;
  readonly put: (key: string, output: CachedOutput) => void;
};

/** Where change goes. */
type ChangeKey = { readonly scriptPubKey: Buffer; readonly blindingPubkey: Pubkey; readonly index: number };

export type LiquidWallet = {
  /**
   * Learns what changed on the chain; cheap when nothing did. Calls do not overlap: one that comes during another runs
   * after it.
   *
   * @throws SwapError `chain_unavailable`; the coins stay as they were.
   */
  readonly sync: () => Promise<void>;
  /** Unspent outputs by the last sync, unconfirmed ones included; heights are signed. */
  readonly coins: () => readonly Coin[];
  /** An output of the wallet by the last sync, spent or not; undefined if it is none. @throws SwapError `chain_unavailable`. */
  readonly coinAt: (outpoint: Outpoint) => Promise<Coin | undefined>;
  /** The transaction that spends an output of the wallet by the last sync; its height is signed. */
  readonly spenderOf: (outpoint: Outpoint) => HistoryEntry | undefined;
  /** Transactions that spend outputs of the wallet by the last sync, with their signed heights. A server may make them up. */
  readonly spends: () => readonly HistoryEntry[];
  /** Whether an input of the transaction spends an output of the wallet with a signature of its key: nobody makes that up. */
  readonly hasSigned: (rawTx: Uint8Array) => boolean;
  /** The next address that was never used, the same until it is. @throws SwapError `chain_unavailable` before a sync. */
  readonly receiveAddress: () => { readonly address: string; readonly scriptPubKey: Buffer };
  /**
   * An unused change key, another one with each call. Only after 20 keys in a row that no transaction took does it begin
   * again with the first of them: a key further on would not be found when the wallet is restored from its seed.
   *
   * @throws SwapError `chain_unavailable` before a sync.
   */
  readonly changeKey: () => ChangeKey;
  /**
   * Signs inputs of the transaction in place.
   *
   * @param coins what the inputs spend, in their order.
   * @param firstInput index of the input that spends the first coin, default 0.
   */
  readonly sign: (tx: Transaction, coins: readonly Coin[], firstInput?: number) => void;
  readonly refundKey: (index: number) => KeyPair;
  /** Whether the script belongs to a key that was derived so far. */
  readonly ownsScript: (scriptPubKey: Uint8Array) => boolean;
};

export type WalletOptions = {
  /** 64 bytes of BIP39. */
  readonly seed: Uint8Array;
  readonly network: LiquidNetworkName;
  readonly chain: LiquidChain;
  readonly worker: BlindingWorker;
  readonly cache: OutputCache;
  readonly log: Logger;
};

const NO_BLINDER = Buffer.alloc(32);

class Wallet {
  readonly #options: WalletOptions;
  readonly #keys: KeyRing;
  readonly #scan: WalletScan;
  /** Outputs that did not open; forgotten when everything is asked again, for it may have been the server's fault. */
  readonly #junk = new Set<string>();
  #coins: readonly Coin[] = [];
  /** Outpoint key to what spends it; made when it is asked for. */
  #spenders: ReadonlyMap<string, HistoryEntry> | undefined;
  #spends: readonly HistoryEntry[] | undefined;
  #nextChange = 0;
  /** Version of the scan that the coins reflect; undefined before the first sync. */
  #seenVersion: number | undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;

  constructor(options: WalletOptions) {
    const { seed, network, chain, log } = options;
    this.#options = options;
    this.#keys = createKeyRing(seed, network);
    this.#scan = new WalletScan({ chain, keys: this.#keys, log });
  }

  async sync(): Promise<void> {
    if (this.#running !== undefined) {
      this.#queued ??= this.#running
        .catch(() => undefined) // whoever started it hears of its failure
        .then(async () => {
          this.#queued = undefined;
          await this.sync();
        });
      await this.#queued;
      return;
    }
    this.#running = this.#syncNow();
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  coins(): readonly Coin[] {
    return this.#coins;
  }

  async coinAt(point: Outpoint): Promise<Coin | undefined> {
    const output = this.#scan.outputAt(outpointKey(point));
    return output === undefined ? undefined : this.#coinOf(output);
  }

  spenderOf(point: Outpoint): HistoryEntry | undefined {
    this.#spenders ??= new Map(this.#scan.spends().flatMap((tx) => tx.spends.map((key) => [key, tx])));
    return this.#spenders.get(outpointKey(point));
  }

  spends(): readonly HistoryEntry[] {
    if (this.#spends === undefined) {
      const own = this.#scan.ownSpends();
      this.#spends = this.#scan.spends().filter(({ txid }) => own.has(txid));
    }
    return this.#spends;
  }

  hasSigned(rawTx: Uint8Array): boolean {
    const tx = parseTransaction(rawTx);
    return tx.ins.some((input, i) => {
      const spent = this.#scan.outputAt(`${displayHex(input.hash)}:${input.index}`);
      if (spent === undefined) return false;
      return isP2wpkhSignedBy(tx, i, { pubkey: spent.key.pubkey, prevoutValue: spent.valueBytes });
    });
  }

  receiveAddress(): { address: string; scriptPubKey: Buffer } {
    this.#requireSync();
    const { scriptPubKey, blindingPubkey } = this.#keys.at(0, this.#scan.firstUnused(0));
    return { address: encodeAddress({ scriptPubKey, blindingPubkey }, this.#options.network), scriptPubKey };
  }

  changeKey(): ChangeKey {
    this.#requireSync();
    const first = this.#scan.firstUnused(1);
    const isInReach = this.#nextChange >= first && this.#nextChange < first + GAP_LIMIT;
    const index = isInReach ? this.#nextChange : first;
    this.#nextChange = index + 1;
    const { scriptPubKey, blindingPubkey } = this.#keys.at(1, index);
    return { scriptPubKey, blindingPubkey, index };
  }

  sign(tx: Transaction, coins: readonly Coin[], firstInput = 0): void {
    coins.forEach((coin, i) => {
      const index = firstInput + i;
      const input = tx.ins[index];
      const spends = input === undefined ? 'nothing' : `${displayHex(input.hash)}:${input.index}`;
      if (spends !== outpointKey(coin.outpoint)) {
        throw new Error(`input ${index} was to spend ${outpointKey(coin.outpoint)}, it spends ${spends}`);
      }
      const { pubkey, privateKey } = this.#keys.at(coin.keyChain, coin.keyIndex);
      signP2wpkhInput(tx, index, { pubkey, privateKey, prevoutValue: coin.valueBytes });
    });
  }

  ownsScript(scriptPubKey: Uint8Array): boolean {
    return this.#keys.find(hex(scriptPubKey)) !== undefined;
  }

  #requireSync(): void {
    if (this.#seenVersion === undefined)
      throw new SwapError('chain_unavailable', 'the wallet has not been scanned yet');
  }

  async #syncNow(): Promise<void> {
    const isComplete = await this.#scan.refresh();
    if (isComplete) this.#junk.clear();
    const { version } = this.#scan;
    if (version === this.#seenVersion) return;
    const coins: Coin[] = [];
    for (const output of this.#scan.unspent()) {
      const coin = await this.#coinOf(output);
      if (coin !== undefined) coins.push(coin);
    }
    this.#coins = coins;
    this.#spenders = undefined;
    this.#spends = undefined;
    this.#seenVersion = version;
  }

  async #coinOf(output: UnspentOutput): Promise<Coin | undefined> {
    const { explicit, key } = output;
    const opened =
      explicit === undefined
        ? await this.#open(output)
        : { ...explicit, assetBlinder: NO_BLINDER, valueBlinder: NO_BLINDER };
    if (opened === undefined || opened.value === 0n) return undefined;
    return {
      ...opened,
      outpoint: output.outpoint,
      height: output.height,
      isConfidential: explicit === undefined,
      scriptPubKey: key.scriptPubKey,
      valueBytes: output.valueBytes,
      keyChain: key.chain,
      keyIndex: key.index,
    };
  }

  /** Opens a confidential output, at most once. */
  async #open(output: UnspentOutput): Promise<CachedOutput | undefined> {
    const { cache, chain, worker, log } = this.#options;
    const id = outpointKey(output.outpoint);
    const cached = cache.get(id);
    if (cached !== undefined || this.#junk.has(id)) return cached;
    const rawTx = await chain.transaction(output.outpoint.txid);
    if (rawTx === undefined) return undefined;
    const { blindingPrivateKey } = output.key;
    const opened = await worker.unblind({ rawTx, vout: output.outpoint.vout, blindingPrivateKey });
    if (opened === undefined) {
      this.#junk.add(id);
      log.debug({ outpoint: id }, 'an output to the wallet does not open and is ignored');
      return undefined;
    }
    cache.put(id, opened);
    return opened;
  }
}

/** Opens the wallet of a seed. It knows no coins until the first `sync()`. */
export function openWallet(options: WalletOptions): LiquidWallet {
  const wallet = new Wallet(options);
  return {
    sync: async () => {
      await wallet.sync();
    },
    coins: () => wallet.coins(),
    coinAt: (outpoint) => wallet.coinAt(outpoint),
    spenderOf: (outpoint) => wallet.spenderOf(outpoint),
    spends: () => wallet.spends(),
    hasSigned: (rawTx) => wallet.hasSigned(rawTx),
    receiveAddress: () => wallet.receiveAddress(),
    changeKey: () => wallet.changeKey(),
    sign: (tx, coins, firstInput) => {
      wallet.sign(tx, coins, firstInput);
    },
    refundKey: (index) => refundKey(options.seed, options.network, index),
    ownsScript: (scriptPubKey) => wallet.ownsScript(scriptPubKey),
  };
}
