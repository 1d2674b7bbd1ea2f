/**
 * Append-only file of checksummed records: what was served once is still there after a crash.
 *
 * A record is length (u32 LE), kind (u8), payload, and the first 4 bytes of SHA256 over kind and payload. A torn tail
 * (the process died while writing) ends the replay and is cut off; damage before it is refused.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** One step of the chain's history. */
export type JournalRecord = { readonly kind: number; readonly payload: Uint8Array };

const HEADER_BYTES = 5;
const CHECK_BYTES = 4;

/** Where a chain's history goes. {@link openJournal} keeps it in a file, {@link memoryJournal} nowhere. */
export type Journal = {
  /** Records of earlier runs, oldest first. */
  readonly replay: readonly JournalRecord[];
  /** Appends records; they are on disk when it returns. Throws on a full or failing disk. */
  append(records: readonly JournalRecord[]): void;
  close(): void;
};

/** A journal without memory of earlier runs. */
export const memoryJournal = (): Journal => ({ replay: [], append: () => undefined, close: () => undefined });

/** Opens or makes the file; its directory is made too. @throws Error if a record before the last is damaged. */
export function openJournal(path: string): Journal {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'a+', 0o600);
  const bytes = readFileSync(file);
  const { records, goodBytes } = parseRecords(bytes);
  if (isDamaged(bytes, goodBytes)) {
    closeSync(file);
    throw new Error(`${path}: damaged at byte ${goodBytes}; remove the folder to start a new chain`);
  }
  ftruncateSync(file, goodBytes);
  return {
    replay: records,
    append: (added) => {
      const bytes = Buffer.concat(added.map(encodeRecord));
      let written = 0;
      while (written < bytes.length) written += writeSync(file, bytes, written);
      fsyncSync(file);
    },
    close: () => {
      closeSync(file);
    },
  };
}

function checksum(kindAndPayload: Uint8Array): Buffer {
  return createHash('sha256').update(kindAndPayload).digest().subarray(0, CHECK_BYTES);
}

function encodeRecord({ kind, payload }: JournalRecord): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt8(kind, 4);
  const body = Buffer.concat([head.subarray(4), payload]);
  return Buffer.concat([head.subarray(0, 4), body, checksum(body)]);
}

function parseRecords(bytes: Buffer): { records: JournalRecord[]; goodBytes: number } {
  const records: JournalRecord[] = [];
  let at = 0;
  while (at + HEADER_BYTES + CHECK_BYTES <= bytes.length) {
    const payloadEnd = at + HEADER_BYTES + bytes.readUInt32LE(at);
    const end = payloadEnd + CHECK_BYTES;
    if (end > bytes.length) break;
    if (!checksum(bytes.subarray(at + 4, payloadEnd)).equals(bytes.subarray(payloadEnd, end))) break;
    records.push({ kind: bytes.readUInt8(at + 4), payload: bytes.subarray(at + HEADER_BYTES, payloadEnd) });
    at = end;
  }
  return { records, goodBytes: at };
}

/** Whether what follows the good records is more than the rest of one interrupted write, or zeros of a crashed disk. */
function isDamaged(bytes: Buffer, goodBytes: number): boolean {
  const rest = bytes.subarray(goodBytes);
  if (rest.length < HEADER_BYTES || rest.every((byte) => byte === 0)) return false;
  return goodBytes + HEADER_BYTES + rest.readUInt32LE() + CHECK_BYTES < bytes.length;
}
