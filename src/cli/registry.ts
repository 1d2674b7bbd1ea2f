/** The user's own list of assets: which id a ticker means, and with how many decimals. Read once, from a file. */
import { readFileSync } from 'node:fs';

import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';

import { assetId } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { KnownAsset } from './asset.js';

const entrySchema = z.strictObject({
  ticker: z.string().regex(/^[A-Za-z0-9.-]{1,24}$/, 'expected 1 to 24 letters, digits, dots or dashes'),
  asset_id: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits'),
  precision: z.int().min(0).max(8),
  name: z.string().max(100).optional(),
});

function refuse(path: string, found: string, cause?: unknown): never {
  const expected = 'entries with ticker, asset_id, precision and name';
  throw new SwapError('bad_config', `assets.file ${path}: expected ${expected}, found ${found}`, { cause });
}

/**
 * Reads a registry: JSON (a list, or an object with the list `asset`) or TOML (`[[asset]]`), as its name ends.
 *
 * @throws SwapError `bad_config` if it cannot be read, an entry is malformed, or a ticker or id stands there twice.
 */
export function readRegistry(path: string): KnownAsset[] {
  const entries = parseEntries(path, readText(path));
  const twice = [entries.map(({ ticker }) => ticker.toLowerCase()), entries.map((entry) => entry.asset_id)]
    .map((names) => names.find((name, i) => names.indexOf(name) < i))
    .find((name) => name !== undefined);
  if (twice !== undefined) refuse(path, `${twice} twice`);
  return entries.map(({ ticker, asset_id: id, precision, name }) => ({
    assetId: assetId(id),
    ticker,
    precision,
    ...(name === undefined ? {} : { name }),
  }));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    return refuse(path, cause instanceof Error && 'code' in cause ? String(cause.code) : 'no file', cause);
  }
}

function parseEntries(path: string, text: string): z.output<typeof entrySchema>[] {
  let content: unknown;
  try {
    content = path.toLowerCase().endsWith('.json') ? JSON.parse(text) : parseToml(text);
  } catch (cause) {
    const [line = ''] = errorChain(cause).split('\n');
    return refuse(path, `a text that does not parse: ${line}`, cause);
  }
  const list: unknown = Array.isArray(content) ? { asset: content } : content;
  const parsed = z.strictObject({ asset: z.array(entrySchema) }).safeParse(list);
  if (parsed.success) return parsed.data.asset;
  const problems = parsed.error.issues.map(({ path: key, message }) => `${key.map(String).join('.')}: ${message}`);
  return refuse(path, problems.join('; '), parsed.error);
}
