/**
 * Stands between swapd and a Lightning node: forwards every call of the seller to the real node and, where a test says
 * so, loses the call, its answer or the stream, or tells something else than the node.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';

import {
  ClientError,
  createChannel,
  createClientFactory,
  createServer,
  Metadata,
  ServerError,
  Status,
  type CallContext,
  type CallOptions,
  type Client,
  type ServiceImplementation,
} from 'nice-grpc';

import {
  LightningNodeServiceDefinition,
  type CreateHoldInvoiceRequest,
  type GetNodeInfoResponse,
  type Invoice,
  type SubscribeInvoicesRequest,
  type SubscribeInvoicesResponse,
} from '../../src/gen/lnnode/v1/lnnode.js';

/** The calls that the seller makes; anything else is UNIMPLEMENTED here. */
const { getNodeInfo, listChannels, createHoldInvoice, lookupInvoice, settleInvoice, cancelInvoice, listInvoices } =
  LightningNodeServiceDefinition.methods;
const { subscribeInvoices } = LightningNodeServiceDefinition.methods;
const SellerCalls = {
  ...LightningNodeServiceDefinition,
  methods: {
    getNodeInfo,
    listChannels,
    createHoldInvoice,
    lookupInvoice,
    settleInvoice,
    cancelInvoice,
    listInvoices,
    subscribeInvoices,
  },
} as const;

export type NodeMethod = Exclude<keyof typeof SellerCalls.methods, 'subscribeInvoices'>;
/** `hash` is empty for calls that are about no invoice. */
type NodeCall = { readonly method: NodeMethod; readonly hash: string };

/**
 * `stall`: never answered and never forwarded. `lose_answer`: forwarded, then the connection seems lost. `pretend`:
 * answered OK without being forwarded. `forget`: the node says that it knows no such invoice. `fail`: unavailable.
 * A promise: forwarded when it resolves, also if the caller has given up by then.
 */
type Fate = 'stall' | 'lose_answer' | 'pretend' | 'forget' | 'fail' | Promise<void>;

/** A node behind the proxy. */
export type ProxyTarget = { readonly address: string; readonly token_file: string };

/** What a test says; everything may change while calls are under way. */
export type LightningProxyRules = {
  /** Decides about a call; undefined forwards it. */
  fate: (call: NodeCall) => Fate | undefined;
  /** `mute`: open, but nothing comes. `refuse`: cannot be opened. */
  stream: 'forward' | 'mute' | 'refuse';
  changeInvoice: (invoice: Invoice) => Invoice;
  changeOrder: (order: CreateHoldInvoiceRequest) => CreateHoldInvoiceRequest;
  changeInfo: (info: GetNodeInfoResponse) => GetNodeInfoResponse;
  /** The node that stands behind the address. */
  target: 'own' | 'other';
};

export type LightningProxy = {
  /** host:port for `[lightning] address`. */
  readonly address: string;
  readonly rules: LightningProxyRules;
  /** Forwards everything again, and lets stalled calls fail at once. */
  readonly reset: () => void;
  /** Ends every open stream. */
  readonly cutStreams: () => void;
  /** How often a call arrived, forwarded or not. */
  readonly count: (method: NodeMethod, hash?: string) => number;
  readonly close: () => void;
};

type NodeClient = Client<typeof LightningNodeServiceDefinition>;

const ERROR_CODE_KEY = 'lnnode-error-code';
const CHANNEL_OPTIONS = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 };

const honest = (): LightningProxyRules => ({
  fate: () => undefined,
  stream: 'forward',
  changeInvoice: (invoice) => invoice,
  changeOrder: (order) => order,
  changeInfo: (info) => info,
  target: 'own',
});

const unavailable = (why: string): ServerError => new ServerError(Status.UNAVAILABLE, why);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function connect({ address, token_file: tokenFile }: ProxyTarget): { client: NodeClient; close: () => void } {
  const channel = createChannel(address, undefined, CHANNEL_OPTIONS);
  const metadata = Metadata({ authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` });
  const client = createClientFactory().create(LightningNodeServiceDefinition, channel, { '*': { metadata } });
  return {
    client,
    close: () => {
      channel.close();
    },
  };
}

/** Passes the node's own error on, with its code. */
async function forward<T>(context: CallContext, ask: (options: CallOptions) => Promise<T>): Promise<T> {
  let code: string | undefined;
  const onTrailer = (trailer: Metadata): void => {
    code = trailer.get(ERROR_CODE_KEY);
  };
  try {
    return await ask({ onTrailer });
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    if (code !== undefined) context.trailer.set(ERROR_CODE_KEY, code);
    throw new ServerError(error.code, error.details);
  }
}

/** Listens on a free port of the loopback; `close` must be called. */
export async function startLightningProxy(own: ProxyTarget, other: ProxyTarget): Promise<LightningProxy> {
  const targets = { own: connect(own), other: connect(other) };
  const rules = honest();
  const counts = new Map<string, number>();
  let released = new AbortController();
  let cut = new AbortController();
  const node = (): NodeClient => targets[rules.target].client;

  /** One call under its fate. `pretended` is the OK that the node never gave. */
  const call = async <T>(
    { method, hash }: NodeCall,
    context: CallContext,
    parts: { readonly ask: (options: CallOptions) => Promise<T>; readonly pretended?: T },
  ): Promise<T> => {
    for (const key of [method, `${method} ${hash}`]) counts.set(key, (counts.get(key) ?? 0) + 1);
    const fate = rules.fate({ method, hash });
    switch (fate) {
      case undefined:
        return forward(context, parts.ask);
      case 'stall':
        await Promise.race([once(context.signal, 'abort'), once(released.signal, 'abort')]);
        throw unavailable('stalled');
      case 'lose_answer':
        await forward(context, parts.ask);
        throw unavailable('the answer was lost');
      case 'pretend':
        if (parts.pretended === undefined) throw new Error(`${method} cannot be pretended`);
        return parts.pretended;
      case 'forget':
        context.trailer.set(ERROR_CODE_KEY, 'invoice_not_found');
        throw new ServerError(Status.NOT_FOUND, 'no such invoice');
      case 'fail':
        throw unavailable('told to fail');
      default:
        await fate;
        return forward(context, parts.ask);
    }
  };

  async function* follow(
    request: SubscribeInvoicesRequest,
    context: CallContext,
  ): AsyncGenerator<SubscribeInvoicesResponse> {
    if (rules.stream === 'refuse') throw unavailable('told to refuse');
    const stop = new AbortController();
    const end = (): void => {
      stop.abort();
    };
    for (const { signal } of [context, cut]) signal.addEventListener('abort', end, { once: true });
    try {
      for await (const event of node().subscribeInvoices(request, { signal: stop.signal })) {
        if (rules.stream === 'forward') yield event;
      }
    } catch {
      throw unavailable('the stream was cut');
    }
  }

  const implementation: ServiceImplementation<typeof SellerCalls> = {
    getNodeInfo: (request, context) =>
      call({ method: 'getNodeInfo', hash: '' }, context, {
        ask: async (options) => rules.changeInfo(await node().getNodeInfo(request, options)),
      }),
    listChannels: (request, context) =>
      call({ method: 'listChannels', hash: '' }, context, {
        ask: (options) => node().listChannels(request, options),
      }),
    createHoldInvoice: (request, context) =>
      call({ method: 'createHoldInvoice', hash: hex(request.paymentHash) }, context, {
        ask: (options) => node().createHoldInvoice(rules.changeOrder(request), options),
      }),
    lookupInvoice: (request, context) =>
      call({ method: 'lookupInvoice', hash: hex(request.paymentHash) }, context, {
        ask: async (options) => {
          const { invoice } = await node().lookupInvoice(request, options);
          return { invoice: invoice === undefined ? undefined : rules.changeInvoice(invoice) };
        },
      }),
    settleInvoice: (request, context) =>
      call({ method: 'settleInvoice', hash: hex(createHash('sha256').update(request.preimage).digest()) }, context, {
        ask: (options) => node().settleInvoice(request, options),
        pretended: {},
      }),
    cancelInvoice: (request, context) =>
      call({ method: 'cancelInvoice', hash: hex(request.paymentHash) }, context, {
        ask: (options) => node().cancelInvoice(request, options),
        pretended: {},
      }),
    listInvoices: (request, context) =>
      call({ method: 'listInvoices', hash: '' }, context, {
        ask: (options) => node().listInvoices(request, options),
      }),
    subscribeInvoices: follow,
  };
  const server = createServer();
  server.add(SellerCalls, implementation);
  const port = await server.listen('127.0.0.1:0');
  const cutStreams = (): void => {
    cut.abort();
    cut = new AbortController();
  };
  return {
    address: `127.0.0.1:${port}`,
    rules,
    cutStreams,
    reset: () => {
      // Nobody subscribes anew to a stream that stays open without a word, and one to another node is of no use.
      if (rules.target !== 'own') cutStreams();
      Object.assign(rules, honest());
      released.abort();
      released = new AbortController();
    },
    count: (method, hash) => counts.get(hash === undefined ? method : `${method} ${hash}`) ?? 0,
    close: () => {
      server.forceShutdown();
      targets.own.close();
      targets.other.close();
    },
  };
}
