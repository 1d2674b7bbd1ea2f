import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { LiquidNetworkName } from '../../../src/core/network.js';
import { judgeTips, type AcceptedTip, type ReportedTip, type TipVerdict } from '../../../src/core/tipRule.js';
import { blockHeight, unixSecs } from '../../../src/core/units.js';

const NOW = 1_800_000_000;
const HEIGHT = 3_000_000;
/** 2018-09-27 00:00 UTC. */
const LIQUID_START = Date.UTC(2018, 8, 27) / 1000;

const tip = (height: number, secsAgo = 30): ReportedTip => ({
  height: blockHeight(height),
  time: unixSecs(NOW - secsAgo),
});
const accepted = (height: number, secsAgo: number): AcceptedTip => ({
  height: blockHeight(height),
  at: unixSecs(NOW - secsAgo),
});
const judge = (
  tips: readonly ReportedTip[],
  over: { network?: LiquidNetworkName; lastAccepted?: AcceptedTip | undefined } = {},
): TipVerdict =>
  judgeTips({ tips, network: 'liquidv1', now: unixSecs(NOW), lastAccepted: accepted(HEIGHT, 60), ...over });
const height = (verdict: TipVerdict): number | string => (verdict.ok ? verdict.height : verdict.problem);

describe('the tip rule', () => {
  it.each<[string, TipVerdict, number | string]>([
    ['the same height', judge([tip(HEIGHT)]), HEIGHT],
    ['no server', judge([]), 'no server told its tip'],
    ['two servers 2 blocks apart: the higher counts', judge([tip(HEIGHT), tip(HEIGHT - 2)]), HEIGHT],
    [
      'two servers 3 blocks apart',
      judge([tip(HEIGHT), tip(HEIGHT - 3)]),
      `servers are 3 blocks apart (${HEIGHT - 3} and ${HEIGHT})`,
    ],
    ['a header 10 minutes old', judge([tip(HEIGHT, 600)]), HEIGHT],
    ['a header one second older', judge([tip(HEIGHT, 601)]), `the header of block ${HEIGHT} is 601 s off our clock`],
    ['a header 10 minutes ahead', judge([tip(HEIGHT, -600)]), HEIGHT],
    [
      'a header one second further ahead',
      judge([tip(HEIGHT, -601)]),
      `the header of block ${HEIGHT} is 601 s off our clock`,
    ],
    [
      'one old header of two',
      judge([tip(HEIGHT), tip(HEIGHT, 700)]),
      `the header of block ${HEIGHT} is 700 s off our clock`,
    ],
    ['60 blocks more than the minutes allow', judge([tip(HEIGHT + 61)]), HEIGHT + 61],
    ['61 blocks more', judge([tip(HEIGHT + 62)]), `height ${HEIGHT + 62} is above ${HEIGHT + 61}, one block a minute`],
    [
      'a day later, a day of blocks',
      judge([tip(HEIGHT + 1_500)], { lastAccepted: accepted(HEIGHT, 86_400) }),
      HEIGHT + 1_500,
    ],
    [
      'a day later, one block more than that',
      judge([tip(HEIGHT + 1_501)], { lastAccepted: accepted(HEIGHT, 86_400) }),
      `height ${HEIGHT + 1_501} is above ${HEIGHT + 1_500}, one block a minute`,
    ],
    ['59 s are no minute yet', judge([tip(HEIGHT + 60)], { lastAccepted: accepted(HEIGHT, 59) }), HEIGHT + 60],
    [
      'a clock that was set back allows the slack and no more',
      judge([tip(HEIGHT + 61)], { lastAccepted: accepted(HEIGHT, -5_000) }),
      `height ${HEIGHT + 61} is above ${HEIGHT + 60}, one block a minute`,
    ],
    ['a lower tip after a reorganisation', judge([tip(HEIGHT - 1)]), HEIGHT - 1],
    [
      'testnet is judged like mainnet',
      judge([tip(HEIGHT, 601)], { network: 'liquidtestnet' }),
      `the header of block ${HEIGHT} is 601 s off our clock`,
    ],
    ['regtest blocks carry no time', judge([tip(HEIGHT + 5_000, 9_999_999)], { network: 'regtest' }), HEIGHT + 5_000],
    [
      'regtest servers must agree, too',
      judge([tip(10), tip(13)], { network: 'regtest' }),
      'servers are 3 blocks apart (10 and 13)',
    ],
  ])('%s', (_name, verdict, expected) => {
    expect(height(verdict)).toBe(expected);
  });
  it('allows one block a minute since Liquid began when nothing was accepted yet', () => {
    const most = Math.floor((NOW - LIQUID_START) / 60);
    expect(height(judge([tip(most)], { lastAccepted: undefined }))).toBe(most);
    expect(height(judge([tip(most + 1)], { lastAccepted: undefined }))).toBe(
      `height ${most + 1} is above ${most}, one block a minute`,
    );
  });
  it('never accepts a height that no server told, nor a lower one than some server told', () => {
    const anyTip = fc.tuple(fc.integer({ min: -70, max: 70 }), fc.integer({ min: -700, max: 700 }));
    fc.assert(
      fc.property(fc.array(anyTip, { maxLength: 4 }), (list) => {
        const tips = list.map(([blocks, secs]) => tip(HEIGHT + blocks, secs));
        const verdict = judge(tips);
        return !verdict.ok || verdict.height === Math.max(...tips.map((each) => each.height));
      }),
    );
  });
});
