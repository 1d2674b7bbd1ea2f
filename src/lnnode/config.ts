/** The configuration of lnnoded. */
import { z } from 'zod';

import { satPerKvb } from '../core/units.js';

const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:]+):\d{1,5}$/, 'host:port')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'a port of at most 65535');

const wholeNumber = (min: number, max: number) => z.number().int().min(min).max(max);

/** Every key with its default; unknown keys are refused. */
export const configSchema = z
  .strictObject({
    node: z.strictObject({
      network: z.enum(['bitcoin', 'testnet', 'regtest']),
      data_dir: z.string().min(1),
      p2p_listen: listen.default({ host: '127.0.0.1', port: 0 }),
      alias: z
        .string()
        .refine((text) => Buffer.byteLength(text) <= 32, 'at most 32 bytes')
        .default('lnnoded'),
    }),
    grpc: z.strictObject({
      listen: listen.default({ host: '127.0.0.1', port: 0 }),
      token_file: z.string().min(1),
      tls_cert_file: z.string().min(1).optional(),
      tls_key_file: z.string().min(1).optional(),
    }),
    bitcoind: z.strictObject({
      url: z.url({ protocol: /^https?$/ }),
      user: z.string(),
      password_file: z.string().min(1),
      ca_file: z.string().min(1).optional(),
      poll_interval_ms: wholeNumber(50, 60_000).default(1000),
    }),
    fees: z
      .strictObject({
        floor_sat_per_kvb: wholeNumber(1000, 1_000_000)
          .default(1000)
          .transform((rate) => satPerKvb(BigInt(rate))),
      })
      .prefault({}),
    policy: z
      .strictObject({
        min_funding_depth: wholeNumber(1, 100).default(3),
        accept_inbound_channels: z.boolean().default(true),
        forward_to_private_channels: z.boolean().default(false),
        min_invoice_expiry_secs: wholeNumber(1, 60).default(60),
      })
      .prefault({}),
    log: z
      .strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info') })
      .prefault({}),
  })
  .refine(({ grpc }) => (grpc.tls_cert_file === undefined) === (grpc.tls_key_file === undefined), {
    message: 'tls_cert_file and tls_key_file together',
    path: ['grpc', 'tls_key_file'],
  });

export type LnnodedConfig = z.output<typeof configSchema>;
