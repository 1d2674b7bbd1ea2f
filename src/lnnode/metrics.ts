/** Figures for Prometheus: plain HTTP on a loopback address, no names of peers, no hashes. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { flag } from './ldk/result.js';
import { heapBytes } from './ldk/wasm.js';
import type { Logger } from '../log.js';
import type { LnNode } from './node.js';
import type { Database } from './store/db.js';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Listen = { readonly host: string; readonly port: number };

export type MetricsOptions = {
  readonly node: LnNode;
  readonly db: Database;
  readonly version: string;
  readonly heapLimitBytes: number;
  readonly log: Logger;
};

type Value = number | bigint;
type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: Value };
type Figure = { readonly name: string; readonly help: string; readonly samples: readonly Sample[] };

const labelText = (labels: Readonly<Record<string, string>>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, '_')}"`)
    .join(',')}}`;

/** Prometheus' text format; a name that ends in _total is a counter. */
function expose(figures: readonly Figure[]): string {
  return figures
    .flatMap(({ name, help, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}`,
      ...samples.map(({ labels, value }) => `${name}${labels === undefined ? '' : labelText(labels)} ${value}`),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function counted(db: Database, table: 'invoices' | 'payments'): () => Sample[] {
  const statement = db.prepare<[], { state: string; count: bigint }>(
    `SELECT state, count(*) AS count FROM ${table} GROUP BY state ORDER BY state`,
  );
  return () => statement.all().map(({ state, count }) => ({ labels: { state }, value: count }));
}

/** Reads every figure now. */
function makeReader({ node, db, version, heapLimitBytes }: MetricsOptions): () => Figure[] {
  const invoices = counted(db, 'invoices');
  const payments = counted(db, 'payments');
  const startedAt = Math.floor(Date.now() / 1000);
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const one = (name: string, help: string, value: Value): Figure => ({ name, help, samples: [{ value }] });
  return () => {
    const channels = node.manager.list_channels();
    const usable = channels.filter((channel) => flag(channel.get_is_usable()));
    const sum = (read: (channel: (typeof channels)[number]) => bigint): bigint =>
      usable.reduce((total, channel) => total + read(channel), 0n);
    const balance = node.wallet.balance(node.follower.tip().height);
    const delayNs = Number.isFinite(delay.max) ? delay.max : 0;
    delay.reset();
    const info = { version: version, network: node.network };
    return [
      { name: 'lnnoded_info', help: 'Always 1.', samples: [{ labels: info, value: 1 }] },
      one('lnnoded_start_time_seconds', 'When the process was ready, Unix seconds.', startedAt),
      one('lnnoded_synced', '1 if the view of the chain is fresh.', node.follower.isSynced() ? 1 : 0),
      one('lnnoded_block_height', 'Last block that was applied.', node.follower.tip().height),
      one('lnnoded_peers', 'Connected peers.', node.links.nodeIds().length),
      {
        name: 'lnnoded_channels',
        help: 'Channels that are not closed.',
        samples: [
          { labels: { usable: 'yes' }, value: usable.length },
          { labels: { usable: 'no' }, value: channels.length - usable.length },
        ],
      },
      one('lnnoded_channels_sweeping', 'Closed channels with coins on the way.', node.channelBook.sweeping().length),
      one(
        'lnnoded_outbound_msat',
        'What usable channels can send.',
        sum((channel) => channel.get_outbound_capacity_msat()),
      ),
      one(
        'lnnoded_inbound_msat',
        'What usable channels can receive.',
        sum((channel) => channel.get_inbound_capacity_msat()),
      ),
      one('lnnoded_wallet_confirmed_sats', 'Confirmed coins of the wallet.', balance.confirmedSats),
      one('lnnoded_wallet_unconfirmed_sats', 'Unconfirmed coins of the wallet.', balance.unconfirmedSats),
      { name: 'lnnoded_invoices', help: 'Invoices by state.', samples: invoices() },
      { name: 'lnnoded_payments', help: 'Outgoing payments by state.', samples: payments() },
      one('lnnoded_turns_total', 'Turns since the start.', node.turns.count()),
      one('lnnoded_heap_bytes', 'Memory of LDK.', heapBytes()),
      one('lnnoded_heap_limit_bytes', 'The node restarts above this.', heapLimitBytes),
      one('lnnoded_resident_bytes', 'Memory of the process.', process.memoryUsage.rss()),
      one('lnnoded_event_loop_delay_seconds', 'Longest pause since the last reading.', delayNs / 1e9),
    ];
  };
}

/** Answers `GET /metrics`, nothing else; no server without an address. */
export async function serveMetrics(
  listen: Listen | undefined,
  options: MetricsOptions,
): Promise<{ readonly port: number | undefined; stop: () => void }> {
  if (listen === undefined) return { port: undefined, stop: () => undefined };
  const read = makeReader(options);
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    request.resume();
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    try {
      response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(expose(read()));
    } catch (error) {
      options.log.error({ err: error }, 'metrics');
      response.destroy();
    }
  });
  server.maxConnections = 20;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
