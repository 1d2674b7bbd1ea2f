/**
 * Puts LDK together. The order matters: traits, keys, chain monitor, monitors, manager, the monitors' missed blocks,
 * `watch_channel`, peers. LDK holds trait objects weakly, so everything lands in `keep` for the life of the node.
 */
import * as ldk from 'lightningdevkit';

import { displayHex, hex, outpoint, pubkey, reversedBytes, txid, type Pubkey } from '../../core/units.js';
import type { Logger } from '../../log.js';
import type { FeeRates } from '../chain/fees.js';
import type { Network } from '../chain/headers.js';
import type { Watch } from '../chain/watch.js';
import type { LdkRows } from '../store/ldkRows.js';
import { makeCustomMessages, type CustomMessageParts } from './customMessages.js';
import { makeKvStore, makePersister, readMonitors } from './persister.js';
import { assertOk, dispose, unwrap } from './result.js';
import type { Turns } from './turn.js';
import { userConfig, type ChannelPolicy } from './userConfig.js';

const MANAGER_KEY = ['', '', 'manager'] as const;

const LDK_NETWORK: Record<Network, ldk.Network> = {
  bitcoin: ldk.Network.LDKNetwork_Bitcoin,
  testnet: ldk.Network.LDKNetwork_Testnet,
  regtest: ldk.Network.LDKNetwork_Regtest,
};

export type LdkOptions = {
  /** 32 secret bytes. */
  readonly seed: Uint8Array;
  readonly network: Network;
  readonly policy: ChannelPolicy;
  readonly rows: LdkRows;
  readonly turns: Turns;
  readonly fees: FeeRates;
  readonly log: Logger;
  /** Tip of the stored chain. */
  readonly tip: { readonly hash: string; readonly height: number };
  readonly broadcast: (raw: Uint8Array) => void;
  readonly messages: CustomMessageParts;
  /** Brings a monitor to the tip; called before LDK watches it. */
  readonly catchUp: (monitor: ldk.ChannelMonitor, tools: MonitorTools) => Promise<void>;
  /** Hears what LDK wants to know of the chain; undefined if it gets whole blocks. */
  readonly watch: Watch | undefined;
};

/** What a monitor needs to look at a block by itself. */
export type MonitorTools = {
  readonly broadcaster: ldk.BroadcasterInterface;
  readonly fees: ldk.FeeEstimator;
  readonly logger: ldk.Logger;
};

export type Ldk = {
  readonly nodeId: Pubkey;
  readonly keys: ldk.KeysManager;
  readonly chainMonitor: ldk.ChainMonitor;
  readonly manager: ldk.ChannelManager;
  readonly peers: ldk.PeerManager;
  /** The network's channels as far as gossip told them. */
  readonly graph: ldk.NetworkGraph;
  readonly tools: MonitorTools;
  readonly signers: ldk.SignerProvider;
  readonly storeManager: (manager: Uint8Array) => void;
  readonly keep: readonly unknown[];
};

type Leaves = MonitorTools & { readonly keep: readonly unknown[] };

function makeLeaves(options: LdkOptions): Leaves {
  const { turns, log } = options;
  const { LDKLevel_Warn: warn, LDKLevel_Error: severe } = ldk.Level;
  const logger = ldk.Logger.new_impl({
    log: (record) => {
      turns.guarded('log', () => {
        const level = record.get_level();
        // Callers and peers can cause LDK's warnings, so they do not fill the log by themselves.
        if (level >= warn)
          log[level >= severe ? 'warn' : 'debug']({ module: record.get_module_path() }, record.get_args());
        dispose(record, 'Record'); // dozens per payment
      });
    },
  });
  const fees = ldk.FeeEstimator.new_impl({
    get_est_sat_per_1000_weight: (target) => turns.guarded('fees', () => options.fees.forTarget(target)),
  });
  const broadcaster = ldk.BroadcasterInterface.new_impl({
    broadcast_transactions: (txs) => {
      turns.guarded('broadcast', () => {
        for (const tx of txs) options.broadcast(tx);
      });
    },
  });
  return { logger, fees, broadcaster, keep: [logger, fees, broadcaster] };
}

function makeFilter({ watch, turns }: LdkOptions) {
  if (watch === undefined) return { option: ldk.Option_FilterZ.constructor_none() };
  const filter = ldk.Filter.new_impl({
    register_tx: (id) => {
      turns.guarded('filter', () => {
        watch.addTransaction(txid(displayHex(id)));
      });
    },
    register_output: (output) => {
      turns.guarded('filter', () => {
        const point = output.get_outpoint();
        watch.addOutput(outpoint(displayHex(point.get_txid()), point.get_index()));
      });
    },
  });
  return { option: ldk.Option_FilterZ.constructor_some(filter), filter };
}

function makeRouter(graph: ldk.NetworkGraph, logger: ldk.Logger, entropy: ldk.EntropySource) {
  const scorer = ldk.ProbabilisticScorer.constructor_new(
    ldk.ProbabilisticScoringDecayParameters.constructor_default(),
    graph,
    logger,
  );
  const score = ldk.MultiThreadedLockableScore.constructor_new(scorer.as_Score());
  const router = ldk.DefaultRouter.constructor_new(
    graph,
    logger,
    entropy,
    score.as_LockableScore(),
    ldk.ProbabilisticScoringFeeParameters.constructor_default(),
  );
  const messageRouter = ldk.DefaultMessageRouter.constructor_new(graph, entropy);
  return { router, messageRouter, keep: [graph, scorer, score, router, messageRouter] };
}

/** Builds a node from its database, or a new one that begins at the tip. Runs before any turn has an engine. */
export async function assembleLdk(options: LdkOptions): Promise<Ldk> {
  const { network, rows, turns, tip } = options;
  const leaves = makeLeaves(options);
  const { logger, fees, broadcaster } = leaves;
  const now = Date.now();
  const nowSecs = Math.floor(now / 1000);
  const keys = ldk.KeysManager.constructor_new(options.seed, BigInt(nowSecs), (now % 1000) * 1_000_000);
  const entropy = keys.as_EntropySource();
  const signer = keys.as_NodeSigner();
  const signers = keys.as_SignerProvider();
  const kv = makeKvStore(rows, turns);
  const mup = makePersister({ store: kv.store, logger, entropy, signers, broadcaster, fees });
  const persist = mup.as_Persist();
  const filter = makeFilter(options);
  const chainMonitor = ldk.ChainMonitor.constructor_new(filter.option, broadcaster, logger, fees, persist);
  const graph = ldk.NetworkGraph.constructor_new(LDK_NETWORK[network], logger);
  const routing = makeRouter(graph, logger, entropy);
  const { router, messageRouter } = routing;
  const config = userConfig(options.policy, false);
  const keep: unknown[] = [
    leaves.keep,
    keys,
    entropy,
    signer,
    signers,
    kv.keep,
    mup,
    persist,
    routing.keep,
    config,
    filter,
  ];

  const stored = rows.get(...MANAGER_KEY);
  let manager: ldk.ChannelManager;
  if (stored === undefined) {
    const best = ldk.BestBlock.constructor_new(reversedBytes(tip.hash), tip.height);
    const parameters = ldk.ChainParameters.constructor_new(LDK_NETWORK[network], best);
    // prettier-ignore
    manager = ldk.ChannelManager.constructor_new(
      fees, chainMonitor.as_Watch(), broadcaster, router.as_Router(), messageRouter.as_MessageRouter(), logger,
      entropy, signer, signers, config, parameters, nowSecs,
    );
  } else {
    // In a turn, because the update of a forced close is applied again, and broadcasts.
    const { monitors, keep: monitorParts } = turns.run(() => readMonitors(mup));
    // prettier-ignore
    const pair = turns.run(() => unwrap(
      ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelManagerZ_read(
        stored, entropy, signer, signers, fees, chainMonitor.as_Watch(), broadcaster, router.as_Router(),
        messageRouter.as_MessageRouter(), logger, config, monitors,
      ),
      ldk.Result_C2Tuple_ThirtyTwoBytesChannelManagerZDecodeErrorZ_OK,
      'channel manager',
    ));
    manager = pair.get_b();
    keep.push(pair, monitorParts);
    for (const monitor of monitors) await options.catchUp(monitor, leaves);
    watchAll(chainMonitor, mup, monitors, turns);
  }
  assertSameTip(manager, tip);
  const messages = makeCustomMessages(options.messages);
  const ignorer = ldk.IgnoringMessageHandler.constructor_new();
  // prettier-ignore
  const peers = ldk.PeerManager.constructor_new(
    manager.as_ChannelMessageHandler(), ignorer.as_RoutingMessageHandler(), ignorer.as_OnionMessageHandler(),
    messages.handler, nowSecs, entropy.get_secure_random_bytes(), logger, signer,
  );
  return {
    nodeId: pubkey(hex(manager.get_our_node_id())),
    keys,
    chainMonitor,
    manager,
    peers,
    graph,
    tools: leaves,
    signers,
    storeManager: (bytes) => {
      rows.put([...MANAGER_KEY], bytes);
    },
    keep: [...keep, messages.keep, ignorer],
  };
}

function watchAll(
  chainMonitor: ldk.ChainMonitor,
  mup: ldk.MonitorUpdatingPersister,
  monitors: readonly ldk.ChannelMonitor[],
  turns: Turns,
): void {
  turns.run(() => {
    for (const monitor of monitors) {
      const funding = monitor.get_funding_txo().get_a();
      unwrap(
        chainMonitor.as_Watch().watch_channel(funding, monitor),
        ldk.Result_ChannelMonitorUpdateStatusNoneZ_OK,
        'watch_channel',
      );
    }
    assertOk(mup.cleanup_stale_updates(false), 'stale monitor updates');
  });
}

function assertSameTip(manager: ldk.ChannelManager, tip: { readonly hash: string; readonly height: number }): void {
  const best = manager.current_best_block();
  if (hex(best.get_block_hash()) !== reversedBytes(tip.hash).toString('hex')) {
    throw new Error(
      `channel manager: expected tip ${tip.height}, found ${best.get_height()}: the database was changed`,
    );
  }
}
