/** Ports for programs that must be told one. */
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

import { LASTING_PORTS } from '../../src/sandbox/world/ports.js';

const ATTEMPTS = 5;

/** A port of the loopback that was free a moment ago; 0: any. */
function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** A port for a program that goes away and comes back to it: no connection of another one is given it meanwhile. */
export async function lastingPort(): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await freePort(LASTING_PORTS.least + randomInt(LASTING_PORTS.count));
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/** Starts something on a free port, and on another one if somebody else was quicker. */
export const onFreePort = <T>(start: (port: number) => Promise<T>): Promise<T> =>
  onFreePorts(
    (port) => start(port),
    () => true,
  );

/** The same for two ports; only errors that say that a port was taken are worth another attempt. */
export async function onFreePorts<T>(
  start: (first: number, second: number) => Promise<T>,
  isPortTaken: (error: unknown) => boolean,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await lastingPort(), await lastingPort());
    } catch (error) {
      if (attempt === ATTEMPTS || !isPortTaken(error)) throw error;
    }
  }
}
