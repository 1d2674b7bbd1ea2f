/** The gRPC listeners: buyers on one, the operator on another. */
import { readFileSync } from 'node:fs';

import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { createServer, type Server } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';

import { AdminServiceDefinition } from '../gen/ln_liquid_swap/v1/admin.js';
import { SwapServiceDefinition } from '../gen/ln_liquid_swap/v1/swap.js';
import { adminService } from './admin.js';
import { adminMiddleware, buyerMiddleware, DEADLINE_KEY, type AuthMode } from './auth.js';
import type { RpcContext } from './context.js';
import { createSwap } from './createSwap.js';
import { createQuote, getQuote, listOffers } from './quotes.js';
import { errorMiddleware } from './status.js';
import { getSwap, watchSwap } from './swaps.js';

const MAX_MESSAGE_BYTES = 64 * 1024;

/** Passes the deadline on as metadata, so that a blocking call can answer before it. */
const deadlineInterceptor: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) => {
      next({
        onReceiveMetadata: (metadata, nextMetadata) => {
          metadata.remove(DEADLINE_KEY);
          const deadline = call.getDeadline();
          const time = deadline instanceof Date ? deadline.getTime() : deadline;
          if (Number.isFinite(time)) metadata.set(DEADLINE_KEY, String(time));
          nextMetadata(metadata);
        },
      });
    },
  });

const serverOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_concurrent_streams': 200,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  interceptors: [deadlineInterceptor],
};

/** Descriptors of the protos, made by the build beside the program. */
function descriptors(): Buffer {
  return readFileSync(new URL('../descriptors.binpb', import.meta.url));
}

export type Listener = { readonly server: Server; readonly health: HealthState };

/** SwapService with health and reflection. */
export function buyerServer(ctx: RpcContext, options: { readonly auth: AuthMode }): Listener {
  const base = createServer(serverOptions).use(errorDetailsServerMiddleware).use(errorMiddleware(ctx.log));
  base.with(buyerMiddleware(ctx, options.auth)).add(SwapServiceDefinition, {
    listOffers: () => listOffers(ctx),
    createQuote: (request, call) => createQuote(ctx, request, call),
    getQuote: (request, call) => getQuote(ctx, request, call),
    createSwap: (request, call) => createSwap(ctx, request, call),
    getSwap: (request, call) => getSwap(ctx, request, call),
    watchSwap: (request, call) => watchSwap(ctx, request, call),
  });
  return withHealth(base, SwapServiceDefinition.fullName);
}

/** AdminService with health and reflection. */
export function adminServer(ctx: RpcContext, options: { readonly token: string }): Listener {
  const base = createServer(serverOptions).use(errorDetailsServerMiddleware).use(errorMiddleware(ctx.log));
  base.with(adminMiddleware(options.token)).add(AdminServiceDefinition, adminService(ctx));
  return withHealth(base, AdminServiceDefinition.fullName);
}

function withHealth(server: Server, service: string): Listener {
  const health = HealthState();
  server.add(HealthDefinition, HealthServiceImpl(health));
  server.add(ServerReflectionService, ServerReflection(descriptors(), [service]));
  health.setStatus('healthy', service);
  return { server, health };
}

/** Stops taking calls, lets running ones finish for a while, then cuts the rest. */
export async function drain(listener: Listener, graceMs: number): Promise<void> {
  const timer = setTimeout(() => {
    listener.server.forceShutdown();
  }, graceMs);
  try {
    await listener.server.shutdown();
  } finally {
    clearTimeout(timer);
  }
}
