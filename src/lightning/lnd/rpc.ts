/**
 * The wire to lnd: calls by name, each with a deadline of ours. The library gives the services' definitions; connection,
 * deadlines and cancellation are ours (docs/adr/0016-lnd.md).
 */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';

import { Client, credentials, Metadata, type ChannelCredentials, type ClientReadableStream } from '@grpc/grpc-js';
import type * as Library from 'lightning';

import { SwapError } from '../../errors.js';

/** A call that only asks or tells. lnd itself has no deadline. */
export const CALL_MS = 10_000;
const NO_DEADLINE = Infinity;

/** Every call that the adapter makes, by the library's name of its service: the rights of a macaroon, too. */
const METHODS = {
  GetInfo: 'default',
  ListChannels: 'default',
  ClosedChannels: 'default',
  WalletBalance: 'default',
  LookupInvoice: 'default',
  ListInvoices: 'default',
  AddHoldInvoice: 'invoices',
  SettleInvoice: 'invoices',
  CancelInvoice: 'invoices',
  SubscribeSingleInvoice: 'invoices',
  SendPaymentV2: 'router',
  TrackPaymentV2: 'router',
  GetTransaction: 'wallet',
} as const satisfies Record<string, keyof Library.AuthenticatedLnd>;

export type LndMethod = keyof typeof METHODS;

/** What a generated client carries of a method; requests are plain objects in the protocol's own names. */
type MethodDefinition = {
  readonly path: string;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
};

/** Answers are as the library decodes them: 64-bit integers as text, enums by name, bytes as Buffer. Parse them. */
export type LndRpc = {
  /** One call; rejects with the error of gRPC. */
  call(method: LndMethod, request: object, ms?: number): Promise<unknown>;
  /** A stream of answers; without a deadline it lives until it is canceled or lost. */
  stream(method: LndMethod, request: object, ms?: number): ClientReadableStream<unknown>;
  /** Full name of a method, as macaroons know it: `/lnrpc.Lightning/GetInfo`. */
  path(method: LndMethod): string;
  close(): void;
};

export type LndEndpoint = {
  /** host:port of lnd's gRPC. */
  readonly address: string;
  /** PEM certificate of lnd. */
  readonly tlsCertFile: string;
  /** Binary macaroon, as lnd writes it. */
  readonly macaroonFile: string;
};

const CHANNEL_OPTIONS = {
  // A restarted node is found again at once: grpc's own backoff grows to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A frozen lnd sends no error; lnd allows a ping every five seconds.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.max_receive_message_length': 256 * 1024 * 1024,
};

/** Connects lazily. @throws SwapError `bad_config` if a file cannot be read, or the macaroon can by everybody. */
export function openRpc({ address, tlsCertFile, macaroonFile }: LndEndpoint): LndRpc {
  const certificate = readFile('lightning.tls_cert_file', tlsCertFile);
  const macaroon = readMacaroon(macaroonFile);
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  const client = new Client(address, secured({ certificate, macaroon, host }), {
    ...CHANNEL_OPTIONS,
    // TLS has no server names that are IP addresses (Node warns, DEP0123); the certificate is still checked for the address.
    ...(isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  });
  definitions ??= loadDefinitions();
  const known = definitions;
  const deadline = (ms: number): { deadline?: number } => (ms === NO_DEADLINE ? {} : { deadline: Date.now() + ms });
  return {
    call: (method, request, ms = CALL_MS) => {
      const { path, requestSerialize, responseDeserialize } = known[method];
      return new Promise((resolve, reject) => {
        const done = (error: Error | null, answer?: unknown): void => {
          if (error === null) resolve(answer);
          else reject(error);
        };
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new Metadata(),
          deadline(ms),
          done,
        );
      });
    },
    stream: (method, request, ms = NO_DEADLINE) => {
      const { path, requestSerialize, responseDeserialize } = known[method];
      return client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        deadline(ms),
      );
    },
    path: (method) => known[method].path,
    close: () => {
      client.close();
    },
  };
}

function secured(parts: {
  readonly certificate: Buffer;
  readonly macaroon: string;
  readonly host: string;
}): ChannelCredentials {
  const verify =
    isIP(parts.host) === 0
      ? {}
      : {
          checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
            checkServerIdentity(parts.host, certificate),
        };
  const metadata = new Metadata();
  metadata.set('macaroon', parts.macaroon);
  return credentials.combineChannelCredentials(
    credentials.createSsl(parts.certificate, null, null, verify),
    credentials.createFromMetadataGenerator((_, done) => {
      done(null, metadata);
    }),
  );
}

function readFile(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SwapError('bad_config', `${key}: expected a readable file at ${path}`, { cause });
  }
}

/** In hex. lnd's own macaroons can be read by its group, those that lncli saves by everybody. */
function readMacaroon(path: string): string {
  const key = 'lightning.macaroon_file';
  const macaroon = readFile(key, path).toString('hex');
  if (macaroon.length === 0) throw new SwapError('bad_config', `${key}: expected a macaroon, found an empty file`);
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o007) === 0) return macaroon;
  throw new SwapError('bad_config', `${key}: expected mode 0600 on ${path}, found 0${mode.toString(8)}`);
}

type Definitions = Readonly<Record<LndMethod, MethodDefinition>>;

let definitions: Definitions | undefined;

/** Once, and only when lnd is really used: it takes half a second. */
function loadDefinitions(): Definitions {
  const library = createRequire(import.meta.url)('lightning') as typeof Library;
  const { lnd } = library.authenticatedLndGrpc({}); // never connected
  const definition = (name: LndMethod): MethodDefinition => {
    const service = lnd[METHODS[name]] as Client & {
      readonly constructor: { readonly service: Readonly<Record<string, MethodDefinition | undefined>> };
    };
    const found = service.constructor.service[name];
    if (found === undefined) throw new Error(`lightning: no definition of ${name}`);
    return found;
  };
  const names = Object.keys(METHODS) as LndMethod[];
  const found = Object.fromEntries(names.map((name) => [name, definition(name)] as const));
  for (const service of Object.values(lnd) as Client[]) service.close();
  return found as Definitions;
}
