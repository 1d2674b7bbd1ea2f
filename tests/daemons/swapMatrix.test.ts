/** Whole swaps of real programs: each seller's node with each way to pay, undisturbed, killed, late, and never paid. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { daemonBinary } from '../support/daemons/binaries.js';
import { OURS, ranAgainst, type Played } from '../support/interoperability.js';
import { dryRun, type Pair } from '../support/daemons/swapBuyer.js';
import { PAIRS } from '../support/daemons/swapCast.js';
import { playClaimed, playHeld, playUnpaid, type Ends } from '../support/daemons/swapPlay.js';
import { CLAIMED, GIVEN_BACK, NEVER_PAID, type End } from '../support/daemons/swapEnd.js';
import type { SwapSeller } from '../support/daemons/swapSeller.js';
import { startSwapWorld, type SwapWorld } from '../support/daemons/swapWorld.js';

const isBuilt = (['btcd', 'lnd', 'lncli'] as const).every((name) => daemonBinary(name) !== undefined);
const START_MS = 300_000;
const PLAY_MS = 400_000;

type Case = {
  readonly name: string;
  readonly end: End;
  /** Whom it concerns. */
  readonly pairs: readonly Pair[];
  readonly play: () => Promise<Ends>;
};

describe.skipIf(!isBuilt)('swap matrix', () => {
  let world: SwapWorld;
  beforeAll(async () => {
    world = await startSwapWorld();
  }, START_MS);
  afterAll(async () => {
    await world.close();
  }, START_MS);

  let last: Promise<unknown> = Promise.resolve();
  /** Played once, for all pairs, after everything before it. */
  const once = <T>(play: () => Promise<T>): (() => Promise<T>) => {
    let played: Promise<T> | undefined;
    return () => {
      played ??= last.then(play);
      last = played.catch(() => undefined);
      return played;
    };
  };
  const unpaid = once(() => playUnpaid(world));
  const everybody = { name: 'swapd', pairs: PAIRS };
  const onLnd = { name: 'seller-lnd', pairs: PAIRS.filter(({ seller }) => seller === 'lnd') };
  const fromLnd = { name: 'payer-lnd', pairs: PAIRS.filter(({ payer }) => payer !== 'lnnoded') };
  const restartSwapd = ({ process }: SwapSeller): Promise<void> => process.down().then(() => process.up());
  const restartSellers = (): Promise<unknown> => Promise.all(Object.values(world.sellers).map(restartSwapd));
  const CASES: readonly Case[] = [
    { name: 'claimed', end: CLAIMED, pairs: PAIRS, play: once(() => playClaimed(world)) },
    {
      name: "the seller's swapd killed while the payment is held",
      end: CLAIMED,
      pairs: everybody.pairs,
      play: once(() => playHeld(world, everybody, restartSellers)),
    },
    {
      name: "the seller's lnd killed while the payment is held",
      end: CLAIMED,
      pairs: onLnd.pairs,
      play: once(() => playHeld(world, onLnd, () => world.sellers.lnd.node.restart('SIGKILL'))),
    },
    {
      name: "the payer's lnd killed while the payment is held",
      end: CLAIMED,
      pairs: fromLnd.pairs,
      play: once(() => playHeld(world, fromLnd, () => world.payers.lnd.restart('SIGKILL'))),
    },
    {
      name: 'paid too late, given back, refunded',
      end: GIVEN_BACK,
      pairs: PAIRS,
      play: async () => (await unpaid()).late,
    },
    { name: 'never paid, refunded', end: NEVER_PAID, pairs: PAIRS, play: async () => (await unpaid()).unpaid },
  ];
  it('a dry run says that lnd can pay', { timeout: PLAY_MS }, async () => {
    const { node } = world.sellers.lnnoded;
    const { code, stdout } = await dryRun(world, { seller: 'lnnoded', payer: 'lnd' });
    const synced = `ok   who pays: our Lightning node ${world.payers.lnd.nodeId}, synced to Bitcoin block`;
    expect([code, stdout]).toEqual([0, expect.stringContaining(synced)]);
    expect(stdout).toContain(`ok   the seller's Lightning node: ${node.nodeId}`);
  });
  for (const pair of PAIRS) {
    describe(`seller ${pair.seller}, payer ${pair.payer}`, () => {
      ranAgainst(() => playedBy(world, pair));
      for (const { name, end, play } of CASES.filter(({ pairs }) => pairs.includes(pair))) {
        it(name, { timeout: PLAY_MS }, async () => {
          const found = (await play()).get(pair);
          if (found instanceof Error) throw found;
          expect(found).toEqual(end);
        });
      }
    });
  }
});

/** What a pair plays with. */
function playedBy({ bitcoin, sellers, payers }: SwapWorld, { seller, payer }: Pair): Played {
  const { node } = sellers[seller];
  const paying = payers[payer === 'lncli' ? 'lnd' : payer];
  const byHand = { program: 'lncli', version: payers.lnd.process.software.version };
  return {
    ours: [OURS.swaps, ...node.ours, ...(payer === 'lncli' ? [] : paying.ours)],
    what: `whole swaps: seller on ${seller}, paid from ${payer === 'lncli' ? 'lnd by hand (lncli)' : payer}`,
    software: [...bitcoin.software, ...node.software, ...paying.software, ...(payer === 'lncli' ? [byHand] : [])],
  };
}
