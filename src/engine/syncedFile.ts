/** Small files that must be on disk before the next step: the recovery bundles and the generation counter. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces a file as a whole, mode 0600, and returns when it is on disk: draft, fsync, rename, fsync of the folder. A
 * crash leaves the old text or the new one.
 */
export function writeSyncedFile(path: string, text: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSynced(draft, path);
}

/** Renames within a folder and returns when the new name is on disk. */
export function renameSynced(from: string, to: string): void {
  renameSync(from, to);
  const folder = openSync(dirname(to), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
