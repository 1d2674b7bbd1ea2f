/** One Lightning node: the parts, the order of their start, the loop that follows the chain, and the timers. */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import * as ldk from 'lightningdevkit';

import { pubkey, type PaymentHash, type Pubkey, type SatPerKvb } from '../core/units.js';
import { errorChain } from '../errors.js';
import type { Logger } from '../log.js';
import type { ChainSource } from './chain/bitcoind.js';
import { catchUpMonitor } from './chain/catchUp.js';
import { makeFeeRates, type FeeRates } from './chain/fees.js';
import { makeFollower, type ChainListener, type ConnectedBlock, type Follower } from './chain/follower.js';
import type { Network } from './chain/headers.js';
import { makeChannels, type Channels } from './channels.js';
import { makeFeed, type Feed } from './feed.js';
import { makeInvoices, type Invoices } from './invoices.js';
import { assembleLdk, type Ldk } from './ldk/assembly.js';
import { handleEvent, type EventParts } from './ldk/events.js';
import { flag } from './ldk/result.js';
import { makeSweeper, type Sweeper } from './ldk/sweeper.js';
import { makeTransport, type Transport } from './ldk/transport.js';
import { makeTurns, type Turns } from './ldk/turn.js';
import type { ChannelPolicy } from './ldk/userConfig.js';
import { heapBytes, loadLdk } from './ldk/wasm.js';
import { makePayments, type Payments } from './payments.js';
import { makePeerBook, type PeerBook } from './peerBook.js';
import type { Database } from './store/db.js';
import { headerRows, type HeaderRows } from './store/headers.js';
import { invoiceRows } from './store/invoices.js';
import { ldkRows } from './store/ldkRows.js';
import { paymentRows } from './store/payments.js';
import { peerRows } from './store/peers.js';
import { walletRows } from './store/wallet.js';
import { makeWallet, type Wallet } from './wallet.js';

const PEER_TICK_MS = 10_000;
const REBROADCAST_MS = 30_000;
const MANAGER_TICK_MS = 60_000;
const EXPIRY_MS = 500;
const FEE_REFRESH_MS = 60_000;
const START_RETRY_MS = 1000;
/** LDK's glue breaks at 2 GiB; a restart takes a second and is safe between any two turns. */
const MAX_HEAP_BYTES = 1_500_000_000;
const SWEEP_TARGET = 12;

export type NodeOptions = {
  readonly db: Database;
  readonly source: ChainSource;
  /** 32 secret bytes. */
  readonly seed: Uint8Array;
  readonly network: Network;
  readonly policy: ChannelPolicy;
  readonly feeFloor: SatPerKvb;
  readonly pollIntervalMs: number;
  readonly p2pListen: { readonly host: string; readonly port: number };
  readonly log: Logger;
  /** The WebAssembly memory is nearly full: stop and start again. */
  readonly onHeapFull: () => void;
  /** Ends the start too. */
  readonly signal: AbortSignal;
};

export type LnNode = {
  readonly nodeId: Pubkey;
  readonly network: Network;
  readonly p2pPort: number;
  readonly follower: Follower;
  readonly invoices: Invoices;
  readonly payments: Payments;
  readonly channels: Channels;
  readonly peerBook: PeerBook;
  readonly wallet: Wallet;
  readonly turns: Turns;
  readonly manager: ldk.ChannelManager;
  readonly connectedPeers: ReadonlySet<string>;
  /** Hashes of invoices that changed. */
  readonly invoiceFeed: Feed<PaymentHash>;
  /** LDK holds our objects weakly: they live as long as this. */
  readonly keep: unknown;
  /** Offers a transaction to the full node again, now. */
  readonly repeat: (raw: Uint8Array) => Promise<void>;
  /** Ends calls that wait for something. */
  releaseCallers(): void;
  /** Ends connections and loops; the database is consistent with or without it. */
  stop(): Promise<void>;
};

type Base = {
  readonly turns: Turns;
  readonly headers: HeaderRows;
  readonly follower: Follower;
  readonly fees: FeeRates;
  readonly wallet: Wallet;
  readonly feed: Feed<PaymentHash>;
  /** Records a transaction as ours and sends it after the turn. */
  readonly broadcast: (raw: Uint8Array) => string;
};

type Services = {
  readonly invoices: Invoices;
  readonly payments: Payments;
  readonly channels: Channels;
  readonly sweeper: Sweeper;
  readonly transport: Transport;
  readonly peerBook: PeerBook;
};

/** Independent keys for LDK and for the wallet. */
const derive = (seed: Uint8Array, purpose: string): Uint8Array =>
  Uint8Array.from(createHmac('sha256', seed).update(purpose).digest());

const unixNow = (): number => Math.floor(Date.now() / 1000);

/** Repeats until it works: at the start the full node may not be there yet. */
async function insist<T>(what: string, { log, signal }: NodeOptions, body: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await body();
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ why: errorChain(error) }, `${what}: trying again`);
      await sleep(START_RETRY_MS, undefined, { signal });
    }
  }
}

function makeBase(options: NodeOptions): Base {
  const { db, source, log, network } = options;
  const turns = makeTurns(db, log);
  const headers = headerRows(db);
  const wallet = makeWallet(walletRows(db), derive(options.seed, 'lnnoded wallet'), network);
  return {
    turns,
    headers,
    wallet,
    follower: makeFollower({ source, headers, network }),
    fees: makeFeeRates(options.feeFloor),
    feed: makeFeed(),
    broadcast: (raw) => {
      const id = wallet.sent(raw);
      turns.after(() => {
        source.broadcast(raw).catch((error: unknown) => {
          log.debug({ txid: id, why: errorChain(error) }, 'broadcast');
        });
      });
      return id;
    },
  };
}

function makeServices(options: NodeOptions, base: Base, parts: Ldk): Services {
  const { log, network, policy, db } = options;
  const { turns, wallet, fees, feed, follower } = base;
  const { manager, chainMonitor, keys, nodeId } = parts;
  const isConnected = (id: Pubkey): boolean => parts.presence.connected.has(id);
  const tipHeight = (): number => follower.tip().height;
  const common = { manager, chainMonitor, turns, log, now: unixNow };
  const transport = makeTransport(parts.peers, turns, log);
  return {
    invoices: makeInvoices({ ...common, rows: invoiceRows(db), keys, network, feed }),
    payments: makePayments({ ...common, rows: paymentRows(db), nodeId }),
    channels: makeChannels({ manager, turns, wallet, fees, policy, isConnected, tipHeight }),
    sweeper: makeSweeper({
      keys,
      rows: walletRows(db),
      destination: () => wallet.nextKey().script,
      feePerKw: () => fees.perKw(SWEEP_TARGET),
      broadcast: base.broadcast,
      log,
    }),
    transport,
    peerBook: makePeerBook({ rows: peerRows(db), turns, transport, isConnected, log }),
  };
}

/** Connects LDK to the turn: what one round of its events is, and where its bytes go. */
function useEngine({ turns, wallet }: Base, parts: Ldk, services: Services, log: Logger): unknown {
  const { manager, chainMonitor, peers } = parts;
  let happened = 0;
  let forwardsWait = false;
  const eventParts: EventParts = {
    ...services,
    log,
    forgetFunding: wallet.giveUp,
    forwardSoon: () => {
      forwardsWait = true;
    },
  };
  const done = ldk.Result_NoneReplayEventZ.constructor_ok();
  const handler = ldk.EventHandler.new_impl({
    handle_event: (event) =>
      turns.guarded('event', () => {
        happened += 1;
        handleEvent(event, eventParts);
        return done;
      }),
  });
  turns.use({
    pump: () => {
      happened = 0;
      peers.process_events();
      manager.as_EventsProvider().process_pending_events(handler);
      chainMonitor.as_EventsProvider().process_pending_events(handler);
      if (forwardsWait) {
        forwardsWait = false;
        manager.process_pending_htlc_forwards();
        happened += 1;
      }
      if (happened === 0) peers.process_events();
      return happened > 0;
    },
    changedManager: (isForced) => {
      const needsStoring = flag(manager.get_and_clear_needs_persistence());
      return needsStoring || isForced ? manager.write() : undefined;
    },
    storeManager: parts.storeManager,
    flush: services.transport.flush,
  });
  return [handler, done];
}

function makeListener({ turns, headers, wallet }: Base, parts: Ldk, services: Services): ChainListener {
  const { manager, chainMonitor } = parts;
  const connect = ({ hash, height, header, raw, block }: ConnectedBlock): void => {
    headers.connect({ hash, height, header });
    wallet.connect(block.transactions ?? [], height);
    manager.as_Listen().block_connected(raw, height);
    chainMonitor.as_Listen().block_connected(raw, height);
    services.invoices.atHeight(height);
    services.sweeper.sweep();
    turns.markDirty();
  };
  return {
    connect: (block) => {
      turns.run(() => {
        connect(block);
      });
    },
    reorganize: (gone, fresh) => {
      turns.run(() => {
        for (const { hash, height, header } of gone) {
          manager.as_Listen().block_disconnected(header, height);
          chainMonitor.as_Listen().block_disconnected(header, height);
          wallet.disconnect(height);
          headers.disconnect(hash);
        }
        fresh.forEach(connect);
      });
    },
  };
}

async function followChain(
  options: NodeOptions,
  base: Base,
  listener: ChainListener,
  signal: AbortSignal,
): Promise<void> {
  const { log, source } = options;
  let feesAt = performance.now();
  let isFailing = false;
  while (!signal.aborted) {
    try {
      await base.follower.round(listener);
      if (performance.now() - feesAt > FEE_REFRESH_MS) {
        feesAt = performance.now();
        await base.fees.refresh(source);
      }
      if (isFailing) log.info('chain: following again');
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn({ why: errorChain(error) }, 'chain: cannot follow');
      isFailing = true;
    }
    await sleep(options.pollIntervalMs, undefined, { signal }).catch(() => undefined);
  }
}

function startTimers(options: NodeOptions, base: Base, parts: Ldk, services: Services): NodeJS.Timeout[] {
  const { turns, wallet } = base;
  const every = (ms: number, body: () => void): NodeJS.Timeout =>
    setInterval(() => {
      turns.run(body);
    }, ms);
  return [
    every(PEER_TICK_MS, () => {
      parts.peers.timer_tick_occurred();
    }),
    every(MANAGER_TICK_MS, () => {
      parts.manager.timer_tick_occurred();
    }),
    every(REBROADCAST_MS, () => {
      parts.chainMonitor.rebroadcast_pending_claims();
      const waiting = wallet.unconfirmed();
      turns.after(() => {
        for (const { raw } of waiting) options.source.broadcast(raw).catch(() => undefined);
      });
    }),
    setInterval(services.invoices.expireDue, EXPIRY_MS),
    setInterval(() => {
      if (heapBytes() > MAX_HEAP_BYTES) options.onHeapFull();
    }, MANAGER_TICK_MS),
  ];
}

async function loadParts(options: NodeOptions, base: Base): Promise<{ parts: Ldk; services: Services; keep: unknown }> {
  const { db, log, network, policy } = options;
  const { turns, headers, follower, fees, broadcast } = base;
  const late: { peerBook?: PeerBook } = {}; // LDK wants to know whom to tell before it exists
  const parts = await assembleLdk({
    seed: derive(options.seed, 'lnnoded ldk'),
    network,
    policy,
    rows: ldkRows(db),
    turns,
    fees,
    log,
    tip: follower.tip(),
    broadcast,
    peerChanged: (nodeId, isConnected) => {
      turns.after(() => {
        log.debug({ nodeId, isConnected }, 'peer');
        late.peerBook?.peerChanged(pubkey(nodeId), isConnected);
      });
    },
    catchUp: (monitor, tools) =>
      catchUpMonitor(monitor, tools, {
        headers,
        turns,
        fetchBlock: (header) => insist('missed block', options, () => follower.fetchBlock(header)),
      }),
  });
  const services = makeServices(options, base, parts);
  late.peerBook = services.peerBook;
  const keep = useEngine(base, parts, services, log);
  turns.run(() => {
    services.invoices.resume();
    services.channels.releaseAbandoned();
  });
  turns.run(services.payments.resume);
  return { parts, services, keep };
}

/** Starts a node; resolves when it is synced and listens for peers. */
export async function startNode(options: NodeOptions): Promise<LnNode> {
  const { source, log, network } = options;
  const base = makeBase(options);
  const { turns, headers, follower, fees, wallet, feed } = base;
  const loading = loadLdk(log);
  if (headers.tip() === undefined) {
    const start = await insist('first block', options, follower.start);
    turns.run(() => {
      headers.connect(start);
    });
  }
  await loading;
  const { parts, services, keep } = await loadParts(options, base);
  const listener = makeListener(base, parts, services);
  await insist('first sync', options, async () => {
    await follower.round(listener);
    if (!follower.isSynced()) throw new Error('the full node is behind our own chain');
  });
  await fees.refresh(source).catch(() => undefined);
  const p2pPort = await services.transport.listen(options.p2pListen.host, options.p2pListen.port);
  services.peerBook.start();
  const stopping = new AbortController();
  const loop = followChain(options, base, listener, stopping.signal);
  const timers = startTimers(options, base, parts, services);
  return {
    ...services,
    nodeId: parts.nodeId,
    network,
    p2pPort,
    follower,
    wallet,
    turns,
    manager: parts.manager,
    connectedPeers: parts.presence.connected,
    invoiceFeed: feed,
    repeat: source.broadcast,
    keep: [parts, keep],
    releaseCallers: () => {
      feed.close();
      services.channels.stop();
      services.payments.stop();
    },
    stop: async () => {
      stopping.abort();
      for (const timer of timers) clearInterval(timer);
      services.peerBook.stop();
      await loop;
      await services.transport.stop();
      turns.stop();
    },
  };
}
