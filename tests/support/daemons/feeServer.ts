/** The fee source of lnd's `--fee.url`: btcd's own estimate on an almost empty chain is more than a hundred sat/vB. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const TARGETS = [1, 2, 3, 6, 12, 144, 1008];
const MIN_RELAY_SAT_PER_KVB = 1000;

export type FeeServer = { readonly url: string; close(): Promise<void> };

/** One rate for every target, sat/vB. */
export function startFeeServer(satPerVb = 2): Promise<FeeServer> {
  const rates = Object.fromEntries(TARGETS.map((target) => [target, satPerVb * 1000]));
  const body = JSON.stringify({ fee_by_block_target: rates, min_relay_feerate: MIN_RELAY_SAT_PER_KVB });
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(body);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      resolve({
        url: `http://127.0.0.1:${port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => {
              closed();
            });
            server.closeAllConnections();
          }),
      });
    });
  });
}
