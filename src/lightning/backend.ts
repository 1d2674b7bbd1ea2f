/** The Lightning node that a configuration names. */
import { SwapError } from '../errors.js';
import type { Logger } from '../log.js';
import { connectLnd } from './lnd.js';
import { connectLnnoded } from './lnnoded.js';
import type { LightningNode } from './node.js';

/** Where a Lightning node is, and what opens it: a token for lnnoded, macaroon and certificate for lnd. */
export type LightningEndpoint = {
  /** Left out: lnnoded. */
  readonly backend?: 'lnnoded' | 'lnd' | undefined;
  /** host:port of its gRPC. */
  readonly address: string;
  readonly tokenFile?: string | undefined;
  readonly macaroonFile?: string | undefined;
  readonly tlsCertFile?: string | undefined;
  /** lnd's `invoices.holdexpirydelta`, if its operator changed it. */
  readonly holdExpiryDelta?: number | undefined;
};

/** What the files of an endpoint lack or have too much for its backend, one line each. */
export function endpointProblems(endpoint: Omit<LightningEndpoint, 'address'>): readonly string[] {
  const { backend = 'lnnoded', tokenFile, macaroonFile, tlsCertFile, holdExpiryDelta } = endpoint;
  const wrong = (key: string, expected: string, isSet: boolean): string =>
    `lightning.${key}: expected ${expected} with backend "${backend}", found ${isSet ? 'one' : 'nothing'}`;
  if (backend === 'lnd') {
    return [
      ...(macaroonFile === undefined ? [wrong('macaroon_file', 'a file', false)] : []),
      ...(tlsCertFile === undefined ? [wrong('tls_cert_file', 'a file', false)] : []),
      ...(tokenFile === undefined ? [] : [wrong('token_file', 'none', true)]),
    ];
  }
  return [
    ...(macaroonFile === undefined ? [] : [wrong('macaroon_file', 'none', true)]),
    ...(holdExpiryDelta === undefined ? [] : [wrong('hold_expiry_delta_blocks', 'none', true)]),
  ];
}

/** Connects lazily. @throws SwapError `bad_config` if a file is missing or cannot be read. */
export function connectLightning(endpoint: LightningEndpoint, log: Logger): LightningNode {
  const { backend = 'lnnoded', address, tokenFile, macaroonFile, tlsCertFile, holdExpiryDelta } = endpoint;
  const problems = endpointProblems(endpoint);
  if (problems.length > 0) throw new SwapError('bad_config', problems.join('; '));
  if (backend === 'lnnoded') {
    return connectLnnoded({
      address,
      log,
      ...(tokenFile === undefined ? {} : { tokenFile }),
      ...(tlsCertFile === undefined ? {} : { tlsCertFile }),
    });
  }
  return connectLnd({
    address,
    log,
    macaroonFile: macaroonFile ?? '',
    tlsCertFile: tlsCertFile ?? '',
    ...(holdExpiryDelta === undefined ? {} : { holdExpiryDelta }),
  });
}
