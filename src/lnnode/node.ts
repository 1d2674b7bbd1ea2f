/** One Lightning node: the order of its start and of its stop. */
import { setTimeout as sleep } from 'node:timers/promises';

import type * as ldk from 'lightningdevkit';

import type { PaymentHash, Pubkey } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import { catchUpMonitor, moveMonitorToTip } from './chain/catchUp.js';
import type { Network } from './chain/headers.js';
import { makeConfirmListener } from './confirmEngine.js';
import { makeListener, useEngine } from './engine.js';
import type { Feed } from './feed.js';
import { archiveMonitors } from './ldk/archive.js';
import { assembleLdk, type Ldk } from './ldk/assembly.js';
import type { Turns } from './ldk/turn.js';
import { loadLdk } from './ldk/wasm.js';
import type { Links } from './links.js';
import { followChain, startTimers } from './loops.js';
import type { Messages } from './messages.js';
import {
  derive,
  makeBase,
  makeServices,
  type Base,
  type Follower,
  type NodeOptions,
  type PeerChange,
  type Services,
} from './parts.js';
import type { PeerBook } from './peerBook.js';
import { ldkRows } from './store/ldkRows.js';
import { walletRows } from './store/wallet.js';
import type { Wallet } from './wallet.js';

const START_RETRY_MS = 1000;
/** The same problem is told again after this. */
const REMIND_MS = 60_000;

/** A running node as its callers see it. */
export type LnNode = Pick<
  Services,
  'invoices' | 'payments' | 'channels' | 'channelBook' | 'gossip' | 'sends' | 'peerBook'
> & {
  readonly nodeId: Pubkey;
  readonly network: Network;
  readonly p2pPort: number;
  readonly follower: Follower;
  /** Why money does not move now; empty while it may. */
  syncProblem(): string;
  readonly wallet: Wallet;
  readonly turns: Turns;
  readonly manager: ldk.ChannelManager;
  readonly links: Links;
  readonly messages: Messages;
  readonly peerFeed: Feed<PeerChange>;
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

/** Repeats until it works: at the start the full node may not be there yet. */
async function insist<T>(
  what: string,
  { log, signal }: NodeOptions,
  body: () => Promise<T>,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<T> {
  let told = { why: '', at: 0 };
  for (;;) {
    try {
      return await body();
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
      const why = errorChain(error);
      if (why !== told.why || performance.now() - told.at > REMIND_MS) {
        log.warn({ why }, `${what}: trying again until it works`);
        told = { why, at: performance.now() };
      }
      await sleep(START_RETRY_MS, undefined, { signal });
    }
  }
}

const isWrongConfig = (error: unknown): boolean => error instanceof SwapError && error.code === 'bad_config';

/** A new node begins at the full node's tip. Nothing depends on it yet, so it does not wait for another configuration. */
async function begin(options: NodeOptions, { turns, headers, follower }: Base): Promise<void> {
  if (headers.tip() !== undefined) return;
  const start = await insist('first block', options, follower.start, isWrongConfig);
  turns.run(() => {
    headers.connect(start);
  });
}

async function loadParts(options: NodeOptions, base: Base): Promise<{ parts: Ldk; services: Services; keep: unknown }> {
  const { db, log, network, policy } = options;
  const { turns, headers, follower, fees, broadcast, watch } = base;
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
    messages: {
      turns,
      links: base.links,
      isKnown: base.messages.isKnown,
      received: base.messages.received,
      peerChanged: (nodeId, isUp) => {
        turns.after(() => {
          log.debug({ nodeId, isUp }, 'peer');
          late.peerBook?.peerChanged(nodeId, isUp);
          base.peerFeed.publish({ nodeId, isUp });
        });
      },
    },
    watch,
    catchUp: async (monitor, tools) => {
      if (follower.kind === 'confirm') moveMonitorToTip(monitor, tools, { headers, turns });
      else
        await catchUpMonitor(monitor, tools, {
          headers,
          turns,
          fetchBlock: (header) => insist('missed block', options, () => follower.fetchBlock(header)),
        });
    },
  });
  const services = makeServices(options, base, parts);
  late.peerBook = services.peerBook;
  const keep = useEngine(base, parts, services, log);
  turns.run(() => {
    services.invoices.resume();
    services.channels.releaseAbandoned();
    services.channelBook.rememberAll();
    base.restored.giveUpChannels(parts.manager, base.wallet);
  });
  turns.run(services.payments.resume);
  return { parts, services, keep };
}

/** Starts a node; resolves when it is synced and listens for peers. */
export async function startNode(options: NodeOptions): Promise<LnNode> {
  const { source, log, network } = options;
  const base = makeBase(options);
  const { turns, follower, fees, wallet, feed } = base;
  await Promise.all([loadLdk(log), begin(options, base)]);
  const { parts, services, keep } = await loadParts(options, base);
  const listener = {
    ...makeListener(base, parts, services),
    ...makeConfirmListener(base, parts, services, walletRows(options.db)),
  };
  await insist('first sync', options, async () => {
    await follower.round(listener);
    if (!follower.hasSynced()) throw new Error('the chain source is behind our own chain');
  });
  turns.run(() => {
    archiveMonitors(parts.chainMonitor, ldkRows(options.db));
  });
  await fees.refresh(source).catch(() => undefined);
  const p2pPort = await services.transport.listen(options.p2pListen.host, options.p2pListen.port);
  services.gossip?.start();
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
    syncProblem: () => (follower.isSynced() ? '' : base.chain.problem || follower.problem()),
    wallet,
    turns,
    manager: parts.manager,
    links: base.links,
    messages: base.messages,
    peerFeed: base.peerFeed,
    invoiceFeed: feed,
    repeat: source.broadcast,
    keep: [parts, keep],
    releaseCallers: () => {
      feed.close();
      base.messages.close();
      base.peerFeed.close();
      services.channels.stop();
      services.payments.stop();
    },
    stop: async () => {
      stopping.abort();
      for (const timer of timers) clearInterval(timer);
      services.gossip?.stop();
      services.peerBook.stop();
      await loop;
      await services.transport.stop();
      turns.stop();
    },
  };
}
