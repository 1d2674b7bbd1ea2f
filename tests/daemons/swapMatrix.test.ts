/** Whole swaps of real programs: each seller's node with each way to pay, undisturbed, killed, late, and never paid. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { daemonBinary } from '../support/daemons/binaries.js';
import { OURS, ranAgainst, type Played } from '../support/interoperability.js';
import { dryRun, type Pair } from '../support/daemons/swapBuyer.js';
import { PAIRS } from '../support/daemons/swapCast.js';
import { playClaimed, playHeld, playUnpaid, type Ends } from '../support/daemons/swapPlay.js';
import { CLAIMED, GIVEN_BACK, NEVER_PAID, type End } from '../support/daemons/swapEnd.js';
import { startSwapWorld, type SwapWorld } from '../support/daemons/swapWorld.js';

const isBuilt = (['btcd', 'lnd', 'lncli'] as const).every((name) => daemonBinary(name) !== undefined);
const START_MS = 300_000;
const PLAY_MS = 400_000;

const each = <T>(parts: Readonly<Record<string, T>>, act: (part: T) => Promise<void>): Promise<unknown> =>
  Promise.all(Object.values(parts).map(act));

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
  const CASES: readonly (readonly [name: string, end: End, play: () => Promise<Ends>])[] = [
    ['claimed', CLAIMED, once(() => playClaimed(world))],
    [
      "the seller's swapd killed while the payment is held",
      CLAIMED,
      once(() =>
        playHeld(world, 'swapd', () => each(world.sellers, ({ process }) => process.down().then(() => process.up()))),
      ),
    ],
    [
      "the seller's node killed while the payment is held",
      CLAIMED,
      once(() => playHeld(world, 'node', () => each(world.sellers, ({ node }) => node.restart('SIGKILL')))),
    ],
    [
      "the payer's node killed while the payment is held",
      CLAIMED,
      once(() => playHeld(world, 'payer', () => each(world.payers, (node) => node.restart('SIGKILL')))),
    ],
    ['paid too late, given back, refunded', GIVEN_BACK, async () => (await unpaid()).late],
    ['never paid, refunded', NEVER_PAID, async () => (await unpaid()).unpaid],
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
      for (const [name, end, play] of CASES) {
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
