/** Ports for programs that must be told one. */
import { createServer, type AddressInfo } from 'node:net';

const ATTEMPTS = 5;

/** A port of the loopback that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
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
      return await start(await freePort(), await freePort());
    } catch (error) {
      if (attempt === ATTEMPTS || !isPortTaken(error)) throw error;
    }
  }
}
