/** The libsecp256k1-zkp instance and other material of the core tests. */
import { createHash, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';

import { expect } from 'vitest';

import type { Zkp } from '../../../src/core/blind.js';
import { pubkeyHash, publicKeyOf } from '../../../src/core/htlc.js';
import { preimage, type Preimage, type Pubkey } from '../../../src/core/units.js';
import type { ErrorCode } from '../../../src/errors.js';

type ZkpFactory = { readonly default: () => Promise<Zkp> };

const factory = createRequire(import.meta.url)('@vulpemventures/secp256k1-zkp') as ZkpFactory;

export const loadZkp = (): Promise<Zkp> => factory.default();

export { randomBytes };

export type TestKey = { readonly privateKey: Buffer; readonly pubkey: Pubkey; readonly pkh: string };

/** The key of a name, always the same. */
export function keyOf(name: string): TestKey {
  const privateKey = createHash('sha256').update(name).digest();
  const key = publicKeyOf(privateKey);
  if (key === undefined) throw new Error('no public key');
  return { privateKey, pubkey: key, pkh: pubkeyHash(key) };
}

export const preimageOf = (name: string): Preimage =>
  preimage(Uint8Array.from(createHash('sha256').update(name).digest()));

/** An error with this code whose message contains the text. */
export const refusal = (message: string, code: ErrorCode = 'invalid_argument'): Error =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error;
