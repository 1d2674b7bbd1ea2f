/** gRPC clients for the seller: a deadline on every call, and errors that carry the seller's own code. */
import { readFileSync } from 'node:fs';

import {
  ChannelCredentials,
  ClientError,
  createChannel,
  createClientFactory,
  Metadata,
  Status,
  type CallOptions,
  type ClientMiddleware,
  type Client,
} from 'nice-grpc';
import { deadlineMiddleware, type DeadlineOptions } from 'nice-grpc-client-middleware-deadline';
import { BadRequest, errorDetailsClientMiddleware, RichClientError } from 'nice-grpc-error-details';

import { SwapError, type FieldViolation } from '../errors.js';
import { AdminServiceDefinition } from '../gen/ln_liquid_swap/v1/admin.js';
import { SwapServiceDefinition } from '../gen/ln_liquid_swap/v1/swap.js';
import { LightningNodeServiceDefinition } from '../gen/lnnode/v1/lnnode.js';
import { RemoteError, type RemoteOutcome } from './buyerError.js';
import { printable } from './printable.js';

/** Where a server listens and how it is reached. */
export type RpcEndpoint = {
  /** `host:port` or `unix:PATH`. */
  readonly address: string;
  /** Bearer token, if the server wants one. */
  readonly token?: string | undefined;
  /** PEM file of the server's certificate or its authority; plain text without it. */
  readonly tlsCertFile?: string | undefined;
};

/** The seller's public service. */
export type SellerClient = Client<typeof SwapServiceDefinition, DeadlineOptions>;
/** The operator's service. */
export type AdminClient = Client<typeof AdminServiceDefinition, DeadlineOptions>;
/** The service of lnnoded. */
export type LnnodeClient = Client<typeof LightningNodeServiceDefinition, DeadlineOptions>;

/** An open connection. */
export type RpcConnection<C> = { readonly client: C; close(): void };

const DEFAULT_DEADLINE_MS = 20_000;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** gRPC status to what the caller can do about it. A status that is not listed is a failure of the server. */
const OUTCOMES: Partial<Record<Status, RemoteOutcome>> = {
  [Status.INVALID_ARGUMENT]: 'wrong_usage',
  [Status.UNAUTHENTICATED]: 'wrong_usage',
  [Status.PERMISSION_DENIED]: 'wrong_usage',
  [Status.NOT_FOUND]: 'refused',
  [Status.ALREADY_EXISTS]: 'refused',
  [Status.FAILED_PRECONDITION]: 'refused',
  [Status.OUT_OF_RANGE]: 'refused',
  [Status.UNAVAILABLE]: 'unavailable',
  [Status.DEADLINE_EXCEEDED]: 'unavailable',
  [Status.ABORTED]: 'unavailable',
  [Status.CANCELLED]: 'unavailable',
  [Status.UNKNOWN]: 'unavailable',
};

function violationsOf(error: ClientError): FieldViolation[] {
  if (!(error instanceof RichClientError)) return [];
  return error.extra.flatMap((detail) =>
    detail.$type === BadRequest.$type
      ? detail.fieldViolations.map(({ field, description }) => ({
          field: printable(field),
          description: printable(description),
        }))
      : [],
  );
}

function remoteError(
  { address, tlsCertFile }: RpcEndpoint,
  error: ClientError,
  swapErrorCode: string | undefined,
): RemoteError {
  const outcome = OUTCOMES[error.code] ?? 'failed';
  const way = tlsCertFile === undefined ? 'in plain text' : 'over TLS';
  const isSilent = outcome === 'unavailable' && swapErrorCode === undefined;
  const details = printable(error.details.replace(/\.? Resolution note: $/, ''));
  return new RemoteError({
    code: swapErrorCode === undefined ? Status[error.code].toLowerCase() : printable(swapErrorCode),
    outcome,
    message: isSilent ? `expected an answer from ${address} ${way}, found: ${details}` : details,
    violations: violationsOf(error),
    cause: error,
  });
}

/** Adds the token, and turns errors into RemoteError with the code of the trailing metadata. */
const translate = (endpoint: RpcEndpoint): ClientMiddleware =>
  async function* translateErrors(call, options) {
    let code: string | undefined;
    const metadata = Metadata(options.metadata);
    if (endpoint.token !== undefined) metadata.set('authorization', `Bearer ${endpoint.token}`);
    const watched: CallOptions = {
      ...options,
      metadata,
      onTrailer: (trailer) => {
        code = trailer.get('swap-error-code') ?? trailer.get('lnnode-error-code');
        options.onTrailer?.(trailer);
      },
    };
    try {
      return yield* call.next(call.request, watched);
    } catch (error) {
      throw error instanceof ClientError ? remoteError(endpoint, error, code) : error;
    }
  };

function credentials(endpoint: RpcEndpoint): ChannelCredentials {
  if (endpoint.tlsCertFile === undefined) return ChannelCredentials.createInsecure();
  try {
    return ChannelCredentials.createSsl(readFileSync(endpoint.tlsCertFile));
  } catch (cause) {
    throw new SwapError('bad_config', `expected a readable PEM certificate at ${endpoint.tlsCertFile}`, { cause });
  }
}

function open<C>(
  endpoint: RpcEndpoint,
  make: (factory: ReturnType<typeof clientFactory>, channel: ReturnType<typeof createChannel>) => C,
): RpcConnection<C> {
  const channel = createChannel(endpoint.address, credentials(endpoint), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 60_000,
    'grpc.initial_reconnect_backoff_ms': 200, // a restarted seller is found again at once
    'grpc.max_reconnect_backoff_ms': 2_000,
  });
  return {
    client: make(clientFactory(endpoint), channel),
    close: () => {
      channel.close();
    },
  };
}

/** The middleware that is added last runs first, so the translation sees what the others throw. */
function clientFactory(endpoint: RpcEndpoint) {
  return createClientFactory().use(errorDetailsClientMiddleware).use(deadlineMiddleware).use(translate(endpoint));
}

const withDeadline = { '*': { deadline: DEFAULT_DEADLINE_MS } };

/** Opens a channel to a seller; connects at the first call. */
export const openSeller = (endpoint: RpcEndpoint): RpcConnection<SellerClient> =>
  open(endpoint, (factory, channel) => factory.create(SwapServiceDefinition, channel, withDeadline));

/** Opens a channel to the operator's listener. */
export const openAdmin = (endpoint: RpcEndpoint): RpcConnection<AdminClient> =>
  open(endpoint, (factory, channel) => factory.create(AdminServiceDefinition, channel, withDeadline));

/** A stream lasts as long as it is read. */
const lnnodeDeadlines = Object.fromEntries(
  Object.entries(LightningNodeServiceDefinition.methods)
    .filter(([, { responseStream }]) => !responseStream)
    .map(([name]) => [name, withDeadline['*']]),
);

/** Opens a channel to lnnoded. */
export const openLnnode = (endpoint: RpcEndpoint): RpcConnection<LnnodeClient> =>
  open(endpoint, (factory, channel) => factory.create(LightningNodeServiceDefinition, channel, lnnodeDeadlines));
