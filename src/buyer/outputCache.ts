/** Opened outputs of the buyer's wallet, kept in a file: they can always be opened again. */
import { z } from 'zod';

import { assetAmount, assetId } from '../core/units.js';
import type { CachedOutput, OutputCache } from '../liquid/wallet.js';
import { readPrivateFile, writePrivateFile } from './files.js';

const cacheSchema = z.record(
  z.string(),
  z.object({ assetId: z.string(), value: z.string(), assetBlinder: z.string(), valueBlinder: z.string() }),
);

/** A file that does not parse is dropped. */
export function openOutputCache(path: string): OutputCache {
  const outputs = readCache(path);
  return {
    get: (key) => {
      const output = outputs[key];
      return output === undefined ? undefined : decodeOutput(output);
    },
    put: (key, output) => {
      outputs[key] = {
        assetId: output.assetId,
        value: output.value.toString(),
        assetBlinder: output.assetBlinder.toString('hex'),
        valueBlinder: output.valueBlinder.toString('hex'),
      };
      writePrivateFile(path, JSON.stringify(outputs));
    },
  };
}

function readCache(path: string): z.output<typeof cacheSchema> {
  try {
    return cacheSchema.parse(JSON.parse(readPrivateFile(path) ?? '{}'));
  } catch {
    return {};
  }
}

const decodeOutput = (output: z.output<typeof cacheSchema>[string]): CachedOutput => ({
  assetId: assetId(output.assetId),
  value: assetAmount(BigInt(output.value)),
  assetBlinder: Buffer.from(output.assetBlinder, 'hex'),
  valueBlinder: Buffer.from(output.valueBlinder, 'hex'),
});
