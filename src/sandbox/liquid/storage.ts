/**
 * The chain's history on disk: one JSON record a line, appended and synced before anyone is served what it says.
 *
 * A last line that a crash tore is cut off; damage anywhere else is refused.
 */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

const hexText = z.string().regex(/^([0-9a-f]{2})+$/);
const txids = z.array(z.string().regex(/^[0-9a-f]{64}$/));

const recordSchema = z.discriminatedUnion('op', [
  /** A transaction entered the mempool; what it replaces left. */
  z.object({ op: z.literal('tx'), raw: hexText }),
  /** A block; `raw` holds those of its transactions that were not in the mempool (the coinbase at least). */
  z.object({ op: z.literal('block'), header: hexText, txids, raw: z.array(hexText) }),
  /** The last blocks were taken back; of the then unconfirmed transactions these were dropped. */
  z.object({ op: z.literal('reorg'), blocks: z.int().positive(), dropped: txids }),
  /** The relay floor changed; these transactions fell out of the mempool. */
  z.object({ op: z.literal('floor'), satPerKvb: z.string().regex(/^\d+$/), dropped: txids }),
]);

/** One step of the chain's history. */
export type ChainRecord = z.infer<typeof recordSchema>;

/** Where the history goes. */
export type Storage = {
  /** Records of earlier runs, oldest first. */
  readonly replay: readonly ChainRecord[];
  /** Writes a record; it is on disk when this returns. Throws on a full or failing disk, and has then written nothing. */
  append(record: ChainRecord): void;
  close(): void;
};

/** Keeps nothing. */
export const memoryStorage = (): Storage => ({
  replay: [],
  append: () => undefined,
  close: () => undefined,
});

function parseLine(line: string): ChainRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** The whole records at the start of the file, and the bytes they fill. */
function readRecords(path: string, file: Buffer): { records: ChainRecord[]; bytes: number } {
  const records: ChainRecord[] = [];
  let start = 0;
  for (let end = file.indexOf(0x0a); end >= 0; end = file.indexOf(0x0a, start)) {
    const record = parseLine(file.toString('utf8', start, end));
    if (record === undefined) {
      if (file.indexOf(0x0a, end + 1) < 0) break;
      throw new Error(`${path}: line ${records.length + 1} is damaged; remove the directory to start a new chain`);
    }
    records.push(record);
    start = end + 1;
  }
  return { records, bytes: start };
}

/** Opens or makes the history in a directory. */
export function openStorage(dir: string): Storage {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'liquid-chain.jsonl');
  const file = openSync(path, 'a+', 0o600);
  const { records, bytes } = readRecords(path, readFileSync(file));
  ftruncateSync(file, bytes);
  let size = bytes;
  return {
    replay: records,
    append: (record) => {
      const line = Buffer.from(`${JSON.stringify(record)}\n`);
      try {
        for (let written = 0; written < line.length;) written += writeSync(file, line, written);
        fsyncSync(file);
      } catch (error) {
        ftruncateSync(file, size);
        throw error;
      }
      size += line.length;
    },
    close: () => {
      closeSync(file);
    },
  };
}
