/** The plain parts that handlers and duties share. Wired in src/main.ts, nowhere else. */
import { EventEmitter } from 'node:events';

import type { Zkp } from '../core/blind.js';
import type { KeyPair } from '../core/keys.js';
import type { LiquidNetworkName } from '../core/network.js';
import type { Swap } from '../core/swap.js';
import type { TxInput, TxOutput } from '../core/tx.js';
import type { AssetId, BlockHash, Preimage, Sat, SatPerKvb, SwapId, Txid, UnixSecs } from '../core/units.js';
import type { LightningNode, NodeInfo } from '../lightning/node.js';
import type { LiquidChain, Tip } from '../liquid/chain.js';
import type { LiquidWallet } from '../liquid/wallet.js';
import type { Logger } from '../log.js';
import type { Store } from '../store/db.js';
import { savePause } from '../store/meta.js';
import type { Generation } from './generation.js';
import type { Mutex } from './mutex.js';

/** What the watchers found last. Everything money-relevant is looked up again before it is used. */
type Health = {
  tip: Tip | undefined;
  /** Why the tip rule does not hold; undefined while it does. */
  degradedReason: string | undefined;
  node: NodeInfo | undefined;
  /** Why the Lightning node is not usable; undefined while it is. */
  lightningProblem: string | undefined;
  /** The signs that this database is an old copy; undefined while none was found (engine/fence.ts). */
  fence: string | undefined;
  readonly alarms: string[];
};

/** How far this database was compared with the world since the start. Until all of it was the daemon is FENCED. */
export type Comparison = {
  readonly pending: Set<'the chain' | 'the node'>;
  /** Spends of the wallet that this database knows: they were looked up once. */
  readonly knownSpends: Set<Txid>;
  /** The comparison with the node that is under way. */
  withNode: Promise<void> | undefined;
};

export type EngineContext = {
  readonly store: Store;
  readonly chain: LiquidChain;
  readonly wallet: LiquidWallet;
  readonly lightning: LightningNode;
  readonly zkp: Zkp;
  readonly randomBytes: (length: number) => Buffer;
  /** Builds and blinds a transaction in the worker thread. @returns its unsigned bytes. */
  readonly blind: (spec: {
    readonly inputs: readonly TxInput[];
    readonly outputs: readonly TxOutput[];
    readonly locktime: number;
  }) => Promise<Buffer>;
  readonly keys: {
    readonly preimageFor: (id: SwapId) => Preimage;
    readonly refundKey: (index: number) => KeyPair;
  };
  readonly network: LiquidNetworkName;
  readonly genesis: BlockHash;
  readonly policyAsset: AssetId;
  /** Labels of our hold invoices start with this: `ln-liquid-swap/<key fingerprint>/`. */
  readonly labelPrefix: string;
  /** Counts the commits that an older database would not know, in the database and in a file. */
  readonly generation: Generation;
  /** So many Electrum servers have to tell their tip before money moves. */
  readonly serversNeeded: number;
  /** Recovery bundles are written here before a funding is broadcast. */
  readonly bundleDir: string;
  /** Above this fee rate nothing new is funded or quoted. */
  readonly feerateCeiling: SatPerKvb;
  /** L-BTC that is neither sold nor withdrawn, for each swap that may need a refund. */
  readonly feeReserveSatPerSwap: Sat;
  readonly now: () => UnixSecs;
  readonly log: Logger;
  /** Every spend of the wallet is planned, signed and committed inside it. */
  readonly walletSection: Mutex;
  readonly health: Health;
  readonly comparison: Comparison;
  /**
   * `swapId txid` of transactions that touch the swap's script and spend none of its outpoints: inputs cannot change, so
   * they are read once.
   */
  readonly strangers: Set<string>;
  /** Script (hex) of every HTLC that is listened to, with its swap. */
  readonly htlcScripts: Map<string, SwapId>;
  /** `swap` after every move, `block` after every sweep of the chain. */
  readonly changes: EventEmitter<{ swap: [id: SwapId]; block: [] }>;
};

/** Why new business is paused after an alarm. */
export const pauseReason = (alarm: string): string => `alarm: ${alarm}`;

/** Tells an alarm whose pause is committed: logged, and shown in the status until the next restart. */
export function tellAlarm(ctx: EngineContext, text: string): void {
  ctx.log.error({ alarm: text }, 'alarm');
  ctx.health.alarms.push(text);
}

/** Pauses new business and tells why, once in the life of the process. */
export function alarmOnce(ctx: EngineContext, text: string): void {
  if (ctx.health.alarms.includes(text)) return;
  // When nothing can be stored any more nothing new is begun either; the alarm must still be told.
  if (!ctx.store.isReadOnly) {
    ctx.store.tx(() => {
      savePause(ctx.store, pauseReason(text));
    });
  }
  tellAlarm(ctx, text);
}

/** Label of a swap's invoice at the node. */
export const invoiceLabel = (ctx: EngineContext, swap: Swap): string => `${ctx.labelPrefix}${swap.id}`;
