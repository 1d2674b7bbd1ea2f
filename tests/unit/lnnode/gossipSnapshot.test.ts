import { describe, expect, it } from 'vitest';

import { snapshotTime } from '../../../src/lnnode/gossip/snapshot.js';
import { rgsSnapshot } from '../../support/rgsSnapshot.js';

const NOW = 1_800_000_000;
const DAY = 86_400;
const between = [`02${'11'.repeat(32)}`, `03${'22'.repeat(32)}`] as const;
const channels = [{ scid: 1n << 40n, between, feeBaseMsat: 1000, cltvDelta: 72 }];
const made = (madeAt: number): Buffer => rgsSnapshot({ madeAt, channels });

describe('the head of a gossip snapshot', () => {
  it.each([NOW, NOW - 6 * DAY, NOW + 3600])('made at %i tells its time', (madeAt) => {
    expect(snapshotTime(made(madeAt), 'regtest', NOW)).toBe(madeAt);
  });
  it.each<[string, Buffer, string]>([
    ['older than six days, which LDK loads as nothing', made(NOW - 6 * DAY - 1), 'more than 6 days'],
    ['of the future, which LDK takes', made(NOW + 3601), 'later than now'],
    ['of another chain', rgsSnapshot({ madeAt: NOW, channels, genesis: '00'.repeat(32) }), 'another chain'],
    ['of another version', Buffer.concat([Buffer.from([76, 68, 75, 2]), made(NOW).subarray(4)]), 'version 1'],
    ['cut short', made(NOW).subarray(0, 39), 'other bytes'],
    ['cut in its keys', made(NOW).subarray(0, 80), 'cut short'],
    ['without channels', rgsSnapshot({ madeAt: NOW, channels: [] }), 'without channels'],
    ['that is empty', Buffer.alloc(0), 'other bytes'],
    ['that is a page', Buffer.from('<html>'.repeat(20)), 'other bytes'],
    ['that is far too large', Buffer.alloc(33 * 1024 * 1024), 'too many'],
  ])('%s is refused', (_, bytes, why) => {
    expect(() => snapshotTime(bytes, 'regtest', NOW)).toThrow(why);
  });
});
