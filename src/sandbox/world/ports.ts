/** TCP ports that stay the same over restarts of a world, as long as nobody else took them meanwhile. */
import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

import { WorldError } from '../problem.js';

const HOST = '127.0.0.1';
/** Below the ports that systems give to connections: none of those takes one while its program is down. */
export const LASTING_PORTS = { least: 12_000, count: 20_000 };
const ATTEMPTS = 5;

/**
 * A free port for each name: the remembered one if it is still free.
 *
 * All are held at the same time while looking, so no port is given out twice.
 */
export async function choosePorts<Name extends string>(
  names: readonly Name[],
  remembered: Readonly<Record<string, number>>,
): Promise<Record<Name, number>> {
  const held: Server[] = [];
  const chosen: Partial<Record<Name, number>> = {};
  try {
    for (const name of names) {
      const server = await holdOne(remembered[name]);
      const address = server?.address();
      if (server === undefined || typeof address !== 'object' || address === null) {
        throw new WorldError('failed', `ports: expected a free port on ${HOST}, found none`);
      }
      held.push(server);
      chosen[name] = address.port;
    }
  } finally {
    await Promise.all(held.map(release));
  }
  return chosen as Record<Name, number>;
}

async function holdOne(remembered: number | undefined): Promise<Server | undefined> {
  const candidates = Array.from({ length: ATTEMPTS }, () => LASTING_PORTS.least + randomInt(LASTING_PORTS.count));
  for (const port of [...(remembered === undefined ? [] : [remembered]), ...candidates, 0]) {
    const server = await hold(port);
    if (server !== undefined) return server;
  }
  return undefined;
}

function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen(port, HOST, () => {
      resolve(server);
    });
  });
}

const release = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
