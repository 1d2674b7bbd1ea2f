/** A group of tests in a regtest world with a stocked seller, or one sentence and as many skipped tests. */
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';

import { OURS, ranAgainst } from '../interoperability.js';
import { openLightningStage, type LightningStage } from '../lightningStage.js';
import { regtestPrograms, SKIPPED } from './programs.js';
import { startRegtestWorld, stockSeller, type RegtestWorld } from './world.js';

export type RegtestStage = LightningStage & { readonly regtest: RegtestWorld };

async function openRegtestStage(hasSecond: boolean): Promise<RegtestStage> {
  const programs = regtestPrograms();
  if (programs === undefined) throw new Error(SKIPPED);
  const regtest = await startRegtestWorld(programs, hasSecond);
  const stage = await openLightningStage(
    () => Promise.resolve(regtest),
    () => {
      const urls = [regtest.electrs.url, regtest.second?.electrs.url];
      return regtest.second === undefined ? {} : { SWAPD_ELECTRUM__SERVERS: JSON.stringify(urls) };
    },
  ).catch(async (error: unknown) => {
    await regtest.close();
    throw error;
  });
  try {
    await stockSeller(regtest, stage.admin);
  } catch (error) {
    process.stderr.write(`${regtest.tails()}\n`);
    await stage.close();
    throw error;
  }
  return { ...stage, regtest };
}

/**
 * @param body gets a function that gives the stage once a test runs.
 * @param options.hasSecond the seller asks two servers, each on a node of its own.
 */
export function regtestSuite(
  name: string,
  body: (stage: () => RegtestStage) => void,
  { hasSecond = false }: { readonly hasSecond?: boolean } = {},
): void {
  const isThere = regtestPrograms() !== undefined;
  if (!isThere) process.stdout.write(`${name}: ${SKIPPED}\n`);
  describe.skipIf(!isThere)(name, () => {
    let stage: RegtestStage | undefined;
    beforeAll(async () => {
      stage = await openRegtestStage(hasSecond);
    });
    afterEach(async ({ task }) => {
      if (stage === undefined) return;
      if (task.result?.state === 'fail') process.stderr.write(`${stage.regtest.tails()}\n`);
      stage.lightning.reset();
      stage.proxy.setAway(false);
      await stage.admin.resume({});
      expect(stage.watch.leaks).toEqual([]);
    });
    afterAll(async () => {
      await stage?.close();
    });
    const opened = (): RegtestStage => {
      if (stage === undefined) throw new Error('the stage is not open yet');
      return stage;
    };
    ranAgainst(() => {
      const { node, electrs } = opened().regtest;
      return { ours: [OURS.swaps], what: name, software: [node.software, electrs.software] };
    });
    body(opened);
  });
}
