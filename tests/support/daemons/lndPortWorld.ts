/** lnd as both sides of the port's contract, on btcd. */
import type { Backend } from '../../contract/port/portWorld.js';
import { startBtcdPortWorld } from './btcdPortWorld.js';
import { LND, startLndPortNode } from './lndPortNode.js';

/** lnd pays lnd. */
export const LND_BACKEND: Backend = {
  payer: LND,
  payee: LND,
  start: (names) => startBtcdPortWorld(Object.fromEntries(names.map((name) => [name, startLndPortNode]))),
};
