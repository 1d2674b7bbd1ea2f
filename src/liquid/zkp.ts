/** Loads the libsecp256k1-zkp instance; its package is CommonJS with a default export that bundlers disagree about. */
import { createRequire } from 'node:module';

import type { Zkp } from '../core/blind.js';

const { default: load } = createRequire(import.meta.url)('@vulpemventures/secp256k1-zkp') as {
  readonly default: () => Promise<Zkp>;
};

/** A fresh instance, about 40 ms. */
export const loadZkp = async (): Promise<Zkp> => await load();
