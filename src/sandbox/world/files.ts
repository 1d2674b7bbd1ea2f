/** Files of a world: secrets and states are written atomically and for the owner's eyes only. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

import { z } from 'zod';

import { WorldError } from '../problem.js';

/** Replaces a file as a whole, mode 0600; a reader sees the old or the new text. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** The text of a file; if there is none, it is made with `create`. */
export function readOrCreate(path: string, create: () => string): string {
  const found = readIfThere(path);
  if (found !== undefined) return found.trim();
  const text = create();
  writePrivateFile(path, `${text}\n`);
  return text;
}

/** 256 random bits in hex. */
export const randomSecret = (): string => randomBytes(32).toString('hex');

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const assetSchema = z.strictObject({ id: z.string().regex(/^[0-9a-f]{64}$/), precision: z.int().min(0).max(8) });

/** An issued asset: display-order id and decimal places. */
export type WorldAsset = z.output<typeof assetSchema>;

const stateSchema = z.strictObject({
  ports: z.record(z.string(), z.int().min(1).max(65_535)).default({}),
  assets: z.record(z.string(), assetSchema).default({}),
  nodeIds: z.strictObject({ seller: z.string(), buyer: z.string() }).default({ seller: '', buyer: '' }),
  /** True once the seller got its first coins. */
  isStocked: z.boolean().default(false),
});

/** What a world must remember beside its chains and the programs' own data. */
export type WorldState = z.output<typeof stateSchema>;

/** @throws WorldError `bad_config` if the file is damaged. */
export function readState(path: string): WorldState {
  const text = readIfThere(path);
  if (text === undefined) return stateSchema.parse({});
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new WorldError(
      'bad_config',
      `${path}: expected the state of a world, found something else; use another --dir`,
      {
        cause,
      },
    );
  }
}
