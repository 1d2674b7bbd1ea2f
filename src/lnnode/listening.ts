/** Looks early whether the configured addresses can be listened on: the node listens only after its first sync. */
import { once } from 'node:events';
import { createServer } from 'node:net';

import { codeOf } from '../config.js';
import type { LnnodedConfig } from './config.js';

type Listen = LnnodedConfig['node']['p2p_listen'];

async function problemOf(key: string, listen: Listen | undefined): Promise<string | undefined> {
  if (listen === undefined) return undefined;
  const { host, port } = listen;
  const server = createServer();
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    return `${key}: expected an address to listen on, found ${codeOf(error)} at ${host}:${port}`;
  }
  server.close();
  await once(server, 'close');
  return undefined;
}

/** Names the key of the first address that is taken or is none of this machine, which may pass by itself. */
export async function addressProblem({ node, grpc, metrics }: LnnodedConfig): Promise<string | undefined> {
  return (
    (await problemOf('node.p2p_listen', node.p2p_listen)) ??
    (await problemOf('grpc.listen', grpc.listen)) ??
    (await problemOf('metrics.listen', metrics?.listen))
  );
}
