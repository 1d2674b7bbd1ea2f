/** The configuration of lnnoded. */
import { isIPv4, isIPv6 } from 'node:net';

import { z } from 'zod';

import { satPerKvb } from '../core/units.js';

const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:]+):\d{1,5}$/, 'host:port')
  .refine((text) => Number(/\d+$/.exec(text)?.[0] ?? 0) <= 65_535, 'a port of at most 65535')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
  });

/** True for addresses that never leave the machine. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || (isIPv6(host) && host === '::1');

const httpUrl = z.url({ protocol: /^https?$/, error: 'a URL with http:// or https://' });
const wholeNumber = (min: number, max: number) => z.number().int().min(min).max(max);

const grpcSection = z
  .strictObject({
    listen: listen.default({ host: '127.0.0.1', port: 0 }),
    token_file: z.string().min(1),
    tls_cert_file: z.string().min(1).optional(),
    tls_key_file: z.string().min(1).optional(),
    tls_names: z
      .array(z.string().regex(/^[0-9a-zA-Z.:-]{1,253}$/, 'host names and addresses'))
      .max(50)
      .default([]),
  })
  .superRefine(({ tls_cert_file: certFile, tls_key_file: keyFile }, context) => {
    if ((certFile === undefined) === (keyFile === undefined)) return;
    const message = 'tls_cert_file and tls_key_file together';
    context.addIssue({ code: 'custom', path: ['tls_key_file'], message, input: keyFile });
  });

const nodeConfig = z.strictObject({
  node: z.strictObject({
    network: z.enum(['bitcoin', 'testnet', 'regtest']),
    data_dir: z.string().min(1),
    generation_file: z.string().min(1).optional(),
    p2p_listen: listen.default({ host: '127.0.0.1', port: 0 }),
    alias: z
      .string()
      .refine((text) => Buffer.byteLength(text) <= 32, 'at most 32 bytes')
      .default('lnnoded'),
    heap_limit_mib: wholeNumber(64, 1800).default(1430),
  }),
  grpc: grpcSection,
  bitcoind: z
    .strictObject({
      url: httpUrl,
      user: z.string(),
      password_file: z.string().min(1),
      ca_file: z.string().min(1).optional(),
      poll_interval_ms: wholeNumber(50, 60_000).default(1000),
    })
    .optional(),
  esplora: z
    .strictObject({
      url: httpUrl,
      ca_file: z.string().min(1).optional(),
      poll_interval_ms: wholeNumber(50, 600_000).default(10_000),
    })
    .optional(),
  metrics: z.strictObject({ listen: listen.refine(({ host }) => isLoopback(host), 'a loopback address') }).optional(),
  messages: z.strictObject({ types: z.array(wholeNumber(32_768, 65_535)).max(1000).default([]) }).prefault({}),
  gossip: z
    .strictObject({
      url: httpUrl.optional(),
      file: z.string().min(1).optional(),
      refresh_interval_secs: wholeNumber(1, 604_800).default(21_600),
    })
    .refine(({ url, file }) => (url === undefined) !== (file === undefined), 'either url or file')
    .optional(),
  fees: z
    .strictObject({
      floor_sat_per_kvb: wholeNumber(1000, 1_000_000)
        .default(1000)
        .transform((rate) => satPerKvb(BigInt(rate))),
      ceiling_sat_per_kvb: wholeNumber(10_000, 10_000_000)
        .default(1_000_000)
        .transform((rate) => satPerKvb(BigInt(rate))),
    })
    .refine((fees) => fees.floor_sat_per_kvb <= fees.ceiling_sat_per_kvb, 'a floor of at most the ceiling')
    .prefault({}),
  policy: z
    .strictObject({
      min_funding_depth: wholeNumber(1, 100).default(3),
      accept_inbound_channels: z.boolean().default(true),
      forward_to_private_channels: z.boolean().default(false),
      direct_only: z.boolean().default(false),
      min_invoice_expiry_secs: wholeNumber(1, 60).default(60),
      anchor_channels: z.boolean().default(false),
      anchor_reserve_sats: wholeNumber(1000, 100_000_000).default(25_000),
    })
    .prefault({}),
  log: z
    .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info') })
    .prefault({}),
});

/** Every key with its default; unknown keys are refused. */
export const configSchema = nodeConfig.superRefine(({ bitcoind, esplora }, context) => {
  if ((bitcoind === undefined) !== (esplora === undefined)) return;
  const message = 'either bitcoind or esplora';
  context.addIssue({ code: 'custom', path: ['bitcoind'], message, input: bitcoind });
});

export type LnnodedConfig = z.output<typeof configSchema>;
