/** The one binding to secp256k1-zkp: range proofs, surjection proofs, commitments. */
import { createRequire } from 'node:module';

import type { Secp256k1ZKP } from '@vulpemventures/secp256k1-zkp';

export type Zkp = Secp256k1ZKP;

let loaded: Promise<Zkp> | undefined;

/** Loads the library once; some 40 ms. */
export function loadZkp(): Promise<Zkp> {
  const require = createRequire(import.meta.url); // the package is CommonJS with its factory as "default"
  loaded ??= (require('@vulpemventures/secp256k1-zkp') as { default: () => Promise<Zkp> }).default();
  return loaded;
}
