/** Option values that several commands share. */
import { z } from 'zod';

const integer = (least: number, most: number) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, `expected an integer ${least}..${most}`)
    .transform((text) => Number.parseInt(text, 10))
    .refine((value) => value >= least && value <= most, `expected an integer ${least}..${most}`);

/** Satoshi. */
export const satOption = integer(0, 2_100_000_000_000_000).transform((value) => BigInt(value));
/** Seconds a command may take. */
export const timeoutOption = integer(1, 86_400).default(900);
/** Depth of the funding. */
export const confsOption = integer(1, 100);
/** Greatest number of rows. */
export const limitOption = integer(1, 1_000);
/** Coins that a split makes. */
export const partsArgument = integer(2, 20);
/** Parts per million. */
export const ppmOption = integer(0, 1_000_000);
/** An unsigned 64-bit integer. */
export const uint64Option = z
  .string()
  .regex(/^[0-9]{1,18}$/, 'expected an integer below 10^18')
  .transform((text) => BigInt(text));

/** No options of its own. */
export const noOptions = z.object({});
