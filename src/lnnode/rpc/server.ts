/** The gRPC server: the node's service behind a bearer token, health for everyone, reflection. */
import { readFileSync } from 'node:fs';
import { createHash, timingSafeEqual } from 'node:crypto';

import { ServerCredentials } from '@grpc/grpc-js';
import { createServer, type Server } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';

import { LightningNodeServiceDefinition } from '../../gen/lnnode/v1/lnnode.js';
import { invoiceHandlers } from './invoiceHandlers.js';
import { messageHandlers } from './messageHandlers.js';
import { nodeHandlers, type HandlerParts } from './nodeHandlers.js';
import { onchainHandlers } from './onchainHandlers.js';
import { paymentHandlers } from './paymentHandlers.js';
import { peerHandlers } from './peerHandlers.js';
import { authMiddleware, statusMiddleware } from './status.js';

const DESCRIPTORS = new URL('../../descriptors.binpb', import.meta.url);
/** The greatest custom message has 65,533 bytes of payload. */
const MAX_MESSAGE_BYTES = 96 * 1024;
const DRAIN_MS = 3000;

export type RpcOptions = HandlerParts & {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly token: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly minInvoiceExpirySecs: number;
};

export type RpcServer = {
  readonly port: number;
  /** Lets running calls finish for a moment, then cuts them. */
  stop(): Promise<void>;
};

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Starts to serve; plaintext without `tls`, which the configuration allows on loopback only. */
export async function serve(options: RpcOptions): Promise<RpcServer> {
  const credentials = credentialsFor(options);
  const token = digest(options.token);
  const server = createServer({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  })
    .use(errorDetailsServerMiddleware)
    .use(statusMiddleware(options.log));
  const auth = authMiddleware((text) => timingSafeEqual(digest(text), token));
  server.with(auth).add(LightningNodeServiceDefinition, {
    ...nodeHandlers(options),
    ...peerHandlers(options),
    ...messageHandlers(options),
    ...onchainHandlers(options),
    ...invoiceHandlers(options, options.minInvoiceExpirySecs),
    ...paymentHandlers(options),
  });
  const health = HealthState();
  health.setStatus('healthy');
  server.add(HealthDefinition, HealthServiceImpl(health));
  const names = [LightningNodeServiceDefinition.fullName];
  server.with(auth).add(ServerReflectionService, ServerReflection(readFileSync(DESCRIPTORS), names));
  const port = await server.listen(
    `${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`,
    credentials,
  );
  return {
    port,
    stop: async () => {
      health.setStatus('unhealthy');
      await drain(server);
    },
  };
}

function credentialsFor({ tls }: RpcOptions): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: readFileSync(tls.certFile), private_key: readFileSync(tls.keyFile) };
  return ServerCredentials.createSsl(null, [pair], false);
}

async function drain(server: Server): Promise<void> {
  const timer = setTimeout(() => {
    server.forceShutdown();
  }, DRAIN_MS);
  await server.shutdown().catch(() => undefined);
  clearTimeout(timer);
}
