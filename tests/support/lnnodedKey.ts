/** The private key of an lnnoded, for tests that say something in its name. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { BIP32Factory } from 'bip32';
import * as ecc from 'tiny-secp256k1';

/** LDK's key, from the seed in a node's data folder. @throws Error if it is not the key of the node */
export function lnnodedKey(dataDir: string, nodeId: string): Buffer {
  const seed = Buffer.from(readFileSync(join(dataDir, 'seed'), 'utf8').trim(), 'hex');
  const ldkSeed = createHmac('sha256', seed).update('lnnoded ldk').digest();
  const { privateKey } = BIP32Factory(ecc).fromSeed(ldkSeed).deriveHardened(0);
  const publicKey = privateKey && ecc.pointFromScalar(privateKey, true);
  if (privateKey === undefined || !publicKey || Buffer.from(publicKey).toString('hex') !== nodeId) {
    throw new Error(`expected the key of node ${nodeId} in ${dataDir}`);
  }
  return Buffer.from(privateKey);
}
