/** Core's transactions on a real Elements node: the cases of the sandbox's chain, word for word. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe } from 'vitest';

import { coreTransactionsSuite, type JudgingChain } from '../support/coreTransactions.js';
import { OURS, ranAgainst, type Software } from '../support/interoperability.js';
import { RpcError, startElements } from '../support/regtest/elements.js';
import { regtestPrograms, SKIPPED } from '../support/regtest/programs.js';
import { openPurse } from '../support/regtest/purse.js';

const FREE_SAT = 2_000_000n;
const NAME = "core's transactions on a real node";

const programs = regtestPrograms();
if (programs === undefined) process.stdout.write(`${NAME}: ${SKIPPED}\n`);

let software: Software | undefined;

async function openNode(): Promise<JudgingChain> {
  if (programs === undefined) throw new Error(SKIPPED);
  const dir = mkdtempSync(join(tmpdir(), 'regtest-node-'));
  const node = await startElements({ exe: programs.elementsd, dir });
  ({ software } = node);
  const purse = await openPurse(node);
  return {
    freeCoin: async () => {
      const coin = await purse.free(FREE_SAT);
      await node.mine(1);
      return coin;
    },
    verdict: async (rawHex) => {
      try {
        return String(await node.rpc('sendrawtransaction', rawHex));
      } catch (error) {
        if (error instanceof RpcError) return error.message;
        throw error;
      }
    },
    mine: async (blocks) => {
      await node.mine(blocks);
    },
    height: async () => (await node.tip()).height,
    hasCoin: async (txid, vout) => (await node.rpc('gettxout', txid, vout, false)) !== null,
    close: async () => {
      await node.stop();
      if (process.env['KEEP_E2E'] === '1') process.stdout.write(`kept: ${dir}\n`);
      else rmSync(dir, { recursive: true, force: true });
    },
  };
}

describe.skipIf(programs === undefined)(NAME, () => {
  coreTransactionsSuite(openNode);
  ranAgainst(() => {
    if (software === undefined) throw new Error('the node is not open yet');
    return { ours: [OURS.transactions], what: 'taken and refused by its mempool and its blocks', software: [software] };
  });
});
