/**
 * Folders of worlds. In memory where there is room: nodes write to disk at every block and message, and a process that is
 * killed, unlike a machine that loses power, leaves the same files there as anywhere.
 */
import { mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const ROOM_BYTES = 1024 ** 3;

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > ROOM_BYTES;
  } catch {
    return false; // not on Linux
  }
}

/** A new folder that the caller removes. */
export const makeTempDir = (prefix: string): string => mkdtempSync(join(hasRoom() ? MEMORY : tmpdir(), prefix));
