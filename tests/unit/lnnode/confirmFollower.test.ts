import { afterEach, beforeEach, expect, it } from 'vitest';

import {
  makeConfirmFollower,
  type ConfirmListener,
  type FilteredBlock,
} from '../../../src/lnnode/chain/confirmFollower.js';
import { connectEsplora, type EsploraSource } from '../../../src/lnnode/chain/esplora.js';
import { makeWatch } from '../../../src/lnnode/chain/watch.js';
import { openDatabase } from '../../../src/lnnode/store/db.js';
import { headerRows } from '../../../src/lnnode/store/headers.js';
import { startRegtestServer, type RegtestServer } from '../../support/regtestServer.js';

const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';

let server: RegtestServer;
let source: EsploraSource;

beforeEach(async () => {
  server = await startRegtestServer();
  source = connectEsplora({ url: server.esplora });
});

afterEach(async () => {
  source.close();
  await server.close();
});

it('tells of a block only once it is in the chain, whatever is registered while a reorg is looked at', async () => {
  const headers = headerRows(openDatabase(':memory:'));
  const watch = makeWatch();
  const told: string[] = [];
  const tell = (how: string, { height, findings }: FilteredBlock): void => {
    for (const { proven } of findings) told.push(`${how} ${proven.txid} at ${height}`);
  };
  const listener: ConfirmListener = {
    walletInterests: () => ({ txids: [], outputs: [], scriptHashes: [] }),
    connectFiltered: (block) => {
      headers.connect(block);
      tell('connected', block);
    },
    confirmLate: (block) => {
      expect(headers.find(block.hash)).toMatchObject({ isBest: true });
      tell('late', block);
    },
    reorganizeFiltered: (gone, fresh) => {
      for (const { hash } of gone) headers.disconnect(hash);
      for (const block of fresh) {
        headers.connect(block);
        tell('reorganized', block);
      }
    },
  };
  let meanwhile = (): void => undefined;
  const parts = {
    source: {
      ...source,
      blockOf: (id: Parameters<EsploraSource['blockOf']>[0]) => {
        meanwhile();
        return source.blockOf(id);
      },
    },
    headers,
    network: 'regtest' as const,
    watch,
  };
  const follower = makeConfirmFollower(parts);
  headers.connect(await follower.start());
  const id = server.chain.faucet(ADDRESS, 10_000n);
  const other = server.chain.faucet(ADDRESS, 20_000n);
  server.chain.mine(2);
  watch.addTransaction(id);
  await follower.round(listener);
  expect(told).toEqual([`connected ${id} at 121`]);

  told.length = 0;
  server.chain.reorg(2);
  meanwhile = () => {
    watch.addTransaction(other); // as LDK does when a channel is opened
  };
  await follower.round(listener);
  expect([...told].sort()).toEqual([`reorganized ${id} at 121`, `reorganized ${other} at 121`].sort());
});
