/**
 * The head of a Rapid Gossip Sync snapshot (version 1): what LDK does not check, or checks too late. A snapshot has no
 * signature; TLS and an honest server protect it. A wrong one can make payments fail or cost more, up to the payer's own
 * fee limit; it cannot take money.
 */
import { reversedBytes } from '../../core/units.js';
import type { Network } from '../chain/headers.js';

const DAY_SECS = 86_400;
/** From seven days on LDK loads a snapshot and keeps nothing of it, because it dates the updates back by a week. */
const MAX_AGE_SECS = 6 * DAY_SECS;
/** LDK takes any time in the future. */
const MAX_AHEAD_SECS = 3600;
/** "LDK", then the version. */
const PREFIX = Buffer.from([76, 68, 75, 1]);
const HEAD_BYTES = PREFIX.length + 32 + 4;
const KEY_BYTES = 33;
/** A snapshot of the whole network has under 4 MiB. */
export const MAX_SNAPSHOT_BYTES = 32 * 1024 * 1024;

const GENESIS: Record<Network, string> = {
  bitcoin: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
  testnet: '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
  regtest: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
};

/**
 * Checks the head of a snapshot.
 *
 * @param now Unix seconds.
 * @returns when it was made, Unix seconds.
 * @throws Error saying what was expected and found.
 */
export function snapshotTime(bytes: Uint8Array, network: Network, now: number): number {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES));
  if (bytes.length > MAX_SNAPSHOT_BYTES) throw new Error(`gossip: ${bytes.length} bytes are too many`);
  if (head.length < HEAD_BYTES || !head.subarray(0, PREFIX.length).equals(PREFIX)) {
    throw new Error('gossip: expected a snapshot of version 1, found other bytes');
  }
  if (!head.subarray(PREFIX.length, -4).equals(reversedBytes(GENESIS[network]))) {
    throw new Error(`gossip: expected a snapshot of ${network}, found one of another chain`);
  }
  const madeAt = head.readUInt32BE(HEAD_BYTES - 4);
  if (madeAt > now + MAX_AHEAD_SECS) throw new Error(`gossip: made at ${madeAt}, which is later than now, ${now}`);
  if (madeAt < now - MAX_AGE_SECS) {
    throw new Error(`gossip: made at ${madeAt}, more than ${MAX_AGE_SECS / DAY_SECS} days before now, ${now}`);
  }
  if (channelCount(bytes) === 0) throw new Error('gossip: a snapshot without channels');
  return madeAt;
}

/** The number of channels that a snapshot says it has; it stands behind the list of node keys. */
function channelCount(bytes: Uint8Array): number {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (all.length < HEAD_BYTES + 4) throw new Error('gossip: the snapshot is cut short');
  const at = HEAD_BYTES + 4 + all.readUInt32BE(HEAD_BYTES) * KEY_BYTES;
  if (all.length < at + 4) throw new Error('gossip: the snapshot is cut short');
  return all.readUInt32BE(at);
}
