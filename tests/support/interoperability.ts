/** Says which software that nobody here wrote a suite ran beside; docs/interoperability.md shows it. */
import { beforeAll } from 'vitest';
import { z } from 'zod';

/** What is ours, by the name that the page gives it. */
export const OURS = {
  lnd: 'adapter of lnd',
  lnnoded: 'lnnoded',
  swaps: 'swapd, swap',
  transactions: 'transactions of swaps',
} as const;

const softwareSchema = z.object({
  program: z.string(),
  /** In its own words. */
  version: z.string(),
  /** Somebody brought it, in whatever version; the others are pinned by this repository. */
  isBrought: z.boolean().optional(),
});
/** A program of others. */
export type Software = Readonly<z.infer<typeof softwareSchema>>;

const playedSchema = z.object({
  /** The parts of ours that it shows, e.g. `lnnoded`. */
  ours: z.array(z.string()),
  /** What was played, e.g. `a channel from its opening to its close`. */
  what: z.string(),
  software: z.array(softwareSchema),
});
export type Played = z.infer<typeof playedSchema>;

const KEY = 'ranAgainst';

/**
 * A row for the tests of this group, or of the whole file if called outside of any: it counts once all of them passed.
 *
 * @param played asked before the first test, after what was registered earlier has started the programs.
 */
export function ranAgainst(played: () => Played | Promise<Played>): void {
  beforeAll(async ({}, { meta }) => {
    Object.assign(meta, { [KEY]: await played() });
  });
}

/** What {@link ranAgainst} left in a group's metadata, if it was called there. */
export const playedIn = (meta: object): Played | undefined =>
  z.object({ [KEY]: playedSchema.optional() }).parse(meta)[KEY];
