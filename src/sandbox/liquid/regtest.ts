/** The constants of Liquid's regtest chain ("liquidregtest"), which the sandbox's chain begins with. */
import { assetId, blockHash } from '../../core/units.js';

/** Asset in which fees are paid: the L-BTC of regtest. */
export const POLICY_ASSET = assetId('5ac9f65c0efcc4775e0baec4ec03abdde22473cd3cf33c0419ca290e0751b225');
export const GENESIS_HASH = blockHash('00902a6b70c2ca83b5d9c815d96a0e2f4202179316970d14ea1847dae5b1ca21');
/** Header of the real block 0. Its transactions are not served: nobody can spend them here. */
export const GENESIS_HEADER = Buffer.from(
  '0100000000000000000000000000000000000000000000000000000000000000000000002e4bf9e14086c32e38baa4fc6caf94ae73d18946' +
    '8d97153f131bc2489b1941bbdae5494d00000000015100',
  'hex',
);

/** Block 1 creates this many coins of {@link FREE_COIN_SAT}, 21 million L-BTC in all, which anyone may spend. */
export const FREE_COINS = 21;
export const FREE_COIN_SAT = 100_000_000_000_000n;
