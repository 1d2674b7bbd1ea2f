/** The suite of ../lightning.test.ts with nodes that follow the chain through an Esplora server. */
import { CHAIN_VARIABLE } from '../../support/chainSource.js';

process.env[CHAIN_VARIABLE] = 'esplora';
await import('../lightning.test.js');
