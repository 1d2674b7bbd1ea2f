/** What tests of lnnoded on a chain of full nodes share: its configuration, and clients of one life of the process. */
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import type { LnnodedProcess } from './lnnodedProcess.js';

/** btcd's own estimate on an almost empty chain is more than a hundred sat/vB. */
export const LOW_FEES = '[fees]\nceiling_sat_per_kvb = 10_000\n';

/** The port and the plain client on one life of the process. */
export function attach(program: LnnodedProcess) {
  const { tokenFile, ready } = program;
  const port = connectLnnoded({ address: ready.grpc, tokenFile, log: createLogger('test', 'silent') });
  const { client, close } = program.connect();
  const hangUp = (): void => {
    port.close();
    close();
  };
  return { port, client, hangUp };
}
