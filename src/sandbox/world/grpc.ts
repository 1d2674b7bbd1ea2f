/** gRPC clients of the world's programs: plain text on loopback, a bearer token, a deadline on every call. */
import { readFileSync } from 'node:fs';

import { type Channel, type Client, createChannel, createClientFactory, Metadata } from 'nice-grpc';
import { deadlineMiddleware, type DeadlineOptions } from 'nice-grpc-client-middleware-deadline';

import { AdminServiceDefinition } from '../../gen/ln_liquid_swap/v1/admin.js';
import { LightningNodeServiceDefinition } from '../../gen/lnnode/v1/lnnode.js';

const DEADLINE_MS = 15_000;

/** A client that must be closed. */
export type Connected<T> = { readonly client: T; readonly close: () => void };
export type NodeClient = Client<LightningNodeServiceDefinition, DeadlineOptions>;
export type AdminClient = Client<AdminServiceDefinition, DeadlineOptions>;

/** Where a program listens and the file of its token. */
export type Endpoint = { readonly address: string; readonly tokenFile: string };

const options = ({ tokenFile }: Endpoint): { '*': { metadata: Metadata; deadline: number } } => ({
  '*': {
    metadata: Metadata({ authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` }),
    deadline: DEADLINE_MS,
  },
});

const closer = (channel: Channel) => (): void => {
  channel.close();
};

/** A client of a Lightning node. */
export function connectNode(endpoint: Endpoint): Connected<NodeClient> {
  const channel = createChannel(endpoint.address);
  const factory = createClientFactory().use(deadlineMiddleware);
  return {
    client: factory.create(LightningNodeServiceDefinition, channel, options(endpoint)),
    close: closer(channel),
  };
}

/** A client of the seller's operator interface. */
export function connectAdmin(endpoint: Endpoint): Connected<AdminClient> {
  const channel = createChannel(endpoint.address);
  const factory = createClientFactory().use(deadlineMiddleware);
  return { client: factory.create(AdminServiceDefinition, channel, options(endpoint)), close: closer(channel) };
}
