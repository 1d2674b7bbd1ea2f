/** The parts of a node: what needs no LDK, and the services over it. */
import { createHmac } from 'node:crypto';

import type { PaymentHash, Pubkey } from '../core/units.js';
import { errorChain } from '../errors.js';
import type { Logger } from '../log.js';
import type { ChainSource } from './chain/bitcoind.js';
import { makeFeeRates, type FeeCache, type FeeLimits, type FeeRates } from './chain/fees.js';
import { makeConfirmFollower, type ConfirmFollower } from './chain/confirmFollower.js';
import type { EsploraSource } from './chain/esplora.js';
import { makeFollower, type BlockFollower } from './chain/follower.js';
import type { Network } from './chain/headers.js';
import { makeHtlcWatch, type HtlcWatch } from './chain/htlcEnds.js';
import { makeWatch, type Watch } from './chain/watch.js';
import { makeAnchors, type Anchors } from './anchors.js';
import { makeChannelBook, type ChannelBook } from './channelBook.js';
import { makeChannels, type Channels } from './channels.js';
import { makeFeed, type Feed } from './feed.js';
import type { Generation } from './generation.js';
import type { GossipSource } from './gossip/fetch.js';
import { makeGossip, type Gossip } from './gossip/gossip.js';
import { makeInvoices, type Invoices } from './invoices.js';
import type { Ldk } from './ldk/assembly.js';
import { makeBumps, type Bumps } from './ldk/bumps.js';
import { makeSweeper, type Sweeper } from './ldk/sweeper.js';
import { bytes } from './ldk/result.js';
import { makeTransport, type Transport } from './ldk/transport.js';
import { makeTurns, type Turns } from './ldk/turn.js';
import type { ChannelPolicy } from './ldk/userConfig.js';
import { makeLinks, type Links } from './links.js';
import { makeMessages, type Messages } from './messages.js';
import { makePayments, type Payments } from './payments.js';
import { makePeerBook, type PeerBook } from './peerBook.js';
import { makeRestored, type Restored } from './restored.js';
import { makeSends, type Sends } from './sends.js';
import { channelRows } from './store/channels.js';
import { sendRows } from './store/sends.js';
import type { Database } from './store/db.js';
import { feeRateRows } from './store/feeRates.js';
import { generationRows } from './store/generation.js';
import { gossipRows } from './store/gossip.js';
import { headerRows, type HeaderRows } from './store/headers.js';
import { htlcEndRows } from './store/htlcEnds.js';
import { invoiceRows } from './store/invoices.js';
import { paymentRows } from './store/payments.js';
import { peerRows } from './store/peers.js';
import { walletRows } from './store/wallet.js';
import { makeWallet, type Wallet } from './wallet.js';

/** Blocks within which a sweep should confirm. */
const SWEEP_TARGET = 12;

export type NodeOptions = {
  readonly db: Database;
  readonly generation: Generation;
  readonly source: ChainSource | EsploraSource;
  /** 32 secret bytes. */
  readonly seed: Uint8Array;
  readonly network: Network;
  readonly policy: ChannelPolicy;
  readonly feeLimits: FeeLimits;
  /** Pay only peers with a channel. */
  readonly isDirectOnly: boolean;
  /** Where snapshots of the network come from, and how often. */
  readonly gossip: { readonly source: GossipSource; readonly refreshMs: number } | undefined;
  readonly pollIntervalMs: number;
  /** Types of custom messages that are always known. */
  readonly messageTypes: readonly number[];
  readonly p2pListen: { readonly host: string; readonly port: number };
  readonly log: Logger;
  /** LDK's glue breaks at 2 GiB of WebAssembly memory; a restart takes a second and is safe between any two turns. */
  readonly heapLimitBytes: number;
  /** The WebAssembly memory is above the limit: stop and start again. */
  readonly onHeapFull: () => void;
  /** Ends the start too. */
  readonly signal: AbortSignal;
};

/** A handshake is complete, or a connection ended. */
export type PeerChange = { readonly nodeId: Pubkey; readonly isUp: boolean };

/** Whole blocks of a full node, or proven transactions of an Esplora server. */
export type Follower = BlockFollower | ConfirmFollower;

/** What exists before LDK. */
export type Base = {
  readonly turns: Turns;
  readonly headers: HeaderRows;
  readonly follower: Follower;
  /** LDK's wishes to the chain source; undefined where it sees whole blocks. */
  readonly watch: Watch | undefined;
  readonly fees: FeeRates;
  readonly wallet: Wallet;
  readonly feed: Feed<PaymentHash>;
  readonly links: Links;
  readonly messages: Messages;
  readonly peerFeed: Feed<PeerChange>;
  /** Why the last round with the chain source failed; empty after one that worked. */
  readonly chain: { problem: string };
  readonly restored: Restored;
  /** Records a transaction as ours and sends it after the turn. */
  readonly broadcast: (raw: Uint8Array) => string;
};

/** What callers and events use. */
export type Services = {
  readonly invoices: Invoices;
  readonly htlcWatch: HtlcWatch;
  readonly payments: Payments;
  readonly channels: Channels;
  readonly channelBook: ChannelBook;
  readonly sends: Sends;
  readonly sweeper: Sweeper;
  readonly anchors: Anchors;
  readonly bumps: Bumps;
  readonly transport: Transport;
  readonly peerBook: PeerBook;
  /** Undefined if no snapshots are configured. */
  readonly gossip: Gossip | undefined;
};

/** Independent keys for LDK and for the wallet. */
export const derive = (seed: Uint8Array, purpose: string): Uint8Array =>
  Uint8Array.from(createHmac('sha256', seed).update(purpose).digest());

const unixNow = (): number => Math.floor(Date.now() / 1000);

function feeCache(db: Database, turns: Turns): FeeCache {
  const rows = feeRateRows(db);
  return {
    known: rows.all(),
    store: (targetBlocks, rate) => {
      turns.run(() => {
        rows.put(targetBlocks, rate);
      });
    },
  };
}

function makeChain(
  { source, network }: NodeOptions,
  headers: HeaderRows,
): { follower: Follower; watch: Watch | undefined } {
  if (!('history' in source)) return { follower: makeFollower({ source, headers, network }), watch: undefined };
  const watch = makeWatch();
  return { follower: makeConfirmFollower({ source, headers, network, watch }), watch };
}

/** Opens the rows and makes what needs no LDK. */
export function makeBase(options: NodeOptions): Base {
  const { db, source, log, network } = options;
  const turns = makeTurns(db, options.generation, log);
  const restored = makeRestored(generationRows(db), log);
  const headers = headerRows(db);
  const wallet = makeWallet(walletRows(db), derive(options.seed, 'lnnoded wallet'), network);
  const links = makeLinks();
  let line: Promise<unknown> = Promise.resolve();
  return {
    turns,
    headers,
    wallet,
    ...makeChain(options, headers),
    fees: makeFeeRates(options.feeLimits, feeCache(db, turns)),
    feed: makeFeed(),
    links,
    messages: makeMessages({ links, turns, types: options.messageTypes }),
    peerFeed: makeFeed(),
    chain: { problem: '' },
    restored,
    broadcast: (raw) => {
      const withheld = restored.withheld(raw);
      if (withheld !== undefined) return withheld;
      const id = wallet.sent(raw);
      turns.after(() => {
        // one after the other: a child is refused before its parent
        line = line
          .then(() => source.broadcast(raw))
          .catch((error: unknown) => {
            log.debug({ txid: id, why: errorChain(error) }, 'broadcast');
          });
      });
      return id;
    },
  };
}

/** Makes the services over LDK. */
export function makeServices(options: NodeOptions, base: Base, parts: Ldk): Services {
  const { log, network, policy, db } = options;
  const { turns, wallet, fees, feed, follower } = base;
  const { manager, chainMonitor, keys, nodeId } = parts;
  const isConnected = base.links.isUp;
  const hasChannels = (id: Pubkey): boolean => manager.list_channels_with_counterparty(bytes(id)).length > 0;
  const tipHeight = (): number => follower.tip().height;
  const common = { manager, chainMonitor, turns, log, now: unixNow };
  const transport = makeTransport({ peers: parts.peers, turns, links: base.links, hasChannels, log });
  const channelBook = makeChannelBook({
    ...common,
    rows: channelRows(db),
    coins: walletRows(db),
    isConnected,
    tipHeight,
  });
  const htlcWatch = makeHtlcWatch({ chainMonitor, rows: htlcEndRows(db) });
  return {
    invoices: makeInvoices({ ...common, rows: invoiceRows(db), keys, network, feed, htlcWatch }),
    htlcWatch,
    payments: makePayments({ ...common, rows: paymentRows(db), nodeId, isDirectOnly: options.isDirectOnly }),
    channels: makeChannels({ manager, turns, wallet, fees, policy, isConnected, tipHeight }),
    channelBook,
    anchors: makeAnchors({ manager, channelBook, wallet, policy, tipHeight, log }),
    bumps: makeBumps({ wallet, turns, tools: parts.tools, signers: parts.signers, tipHeight, log }),
    sends: makeSends({ rows: sendRows(db), turns, wallet, fees, network, tipHeight, broadcast: base.broadcast }),
    sweeper: makeSweeper({
      keys,
      rows: walletRows(db),
      destination: () => wallet.nextKey().script,
      feePerKw: () => fees.perKw(SWEEP_TARGET),
      broadcast: base.broadcast,
      replaced: wallet.replaced,
      tipHeight,
      log,
    }),
    transport,
    gossip:
      options.gossip &&
      makeGossip({
        ...options.gossip,
        rows: gossipRows(db),
        graph: parts.graph,
        logger: parts.tools.logger,
        turns,
        network,
        log,
        now: unixNow,
      }),
    peerBook: makePeerBook({
      rows: peerRows(db),
      turns,
      transport,
      isConnected,
      hangUp: (id) => {
        parts.peers.disconnect_by_node_id(bytes(id));
      },
      hasChannels,
      log,
    }),
  };
}
