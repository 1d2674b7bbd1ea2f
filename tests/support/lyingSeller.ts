/** A seller that lies: a real gRPC server in front of the real seller, which changes its answers as a test says. */
import { ClientError, createServer, ServerError } from 'nice-grpc';

import { openSeller } from '../../src/buyer/rpcClient.js';
import {
  SwapServiceDefinition,
  type CreateQuoteRequest,
  type CreateQuoteResponse,
  type Swap,
  type SwapServiceImplementation,
} from '../../src/gen/ln_liquid_swap/v1/swap.js';

/** What the seller in between changes; what is left out stays honest. */
export type SellerLie = {
  readonly order?: (request: CreateQuoteRequest) => CreateQuoteRequest;
  readonly quote?: (answer: CreateQuoteResponse, request: CreateQuoteRequest) => CreateQuoteResponse;
  /** What CreateSwap answers. */
  readonly created?: (swap: Swap) => Swap;
  /** What is told in place of one honest state; a stream tells all of them, GetSwap the last. */
  readonly swap?: (swap: Swap) => readonly Swap[];
  /** GetSwap answers with this, made from the last honest state, and does not ask the real seller. */
  readonly instead?: (swap: Swap) => Swap;
};

export type LyingSeller = {
  readonly address: string;
  /** From now on it tells this; an empty lie is the truth. */
  readonly tell: (lie: SellerLie) => void;
  readonly close: () => void;
};

const STREAM_MS = 300_000;

/** The real seller's errors with their codes. */
async function passed<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    throw cause instanceof ClientError ? new ServerError(cause.code, cause.details) : error;
  }
}

/** Listens on a free port of the loopback, in front of the seller at that address. */
export async function startLyingSeller(address: string): Promise<LyingSeller> {
  const upstream = openSeller({ address });
  const { client } = upstream;
  const seen = new Map<string, Swap>();
  let lie: SellerLie = {};
  const keyOf = (swapId: Uint8Array): string => Buffer.from(swapId).toString('hex');
  const told = (swap: Swap | undefined): readonly Swap[] => {
    if (swap === undefined) return [];
    seen.set(keyOf(swap.swapId), swap);
    return lie.swap?.(swap) ?? [swap];
  };
  const implementation: SwapServiceImplementation = {
    listOffers: (request) => client.listOffers(request),
    getQuote: (request) => client.getQuote(request),
    createQuote: async (request) => {
      const answer = await passed(client.createQuote(lie.order?.(request) ?? request));
      return lie.quote?.(answer, request) ?? answer;
    },
    createSwap: async (request) => {
      const { swap } = await passed(client.createSwap(request));
      const last = told(swap).at(-1);
      return { swap: last === undefined ? undefined : (lie.created?.(last) ?? last) };
    },
    getSwap: async (request) => {
      const known = lie.instead === undefined ? undefined : seen.get(keyOf(request.swapId));
      if (known !== undefined) return { swap: lie.instead?.(known) };
      return { swap: told((await passed(client.getSwap(request))).swap).at(-1) };
    },
    async *watchSwap(request, { signal }) {
      const stream = client.watchSwap(request, { signal, deadline: STREAM_MS });
      for await (const { swap } of stream) for (const one of told(swap)) yield { swap: one };
    },
  };
  const server = createServer();
  server.add(SwapServiceDefinition, implementation);
  const port = await server.listen('127.0.0.1:0');
  return {
    address: `127.0.0.1:${port}`,
    tell: (next) => {
      lie = next;
    },
    close: () => {
      server.forceShutdown();
      upstream.close();
    },
  };
}
