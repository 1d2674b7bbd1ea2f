/** How the Lightning nodes of a test follow the Bitcoin chain: suites that run on both sources name the other one here. */
export const CHAIN_VARIABLE = 'LIGHTNING_TEST_CHAIN';

/** A full node, or Esplora if the environment says so. */
export const isOnEsplora = (): boolean => process.env[CHAIN_VARIABLE] === 'esplora';
