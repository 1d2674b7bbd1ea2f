import { afterEach, describe, expect, it, vi } from 'vitest';

import type { PurchaseEvent } from '../../../src/buyer/drive.js';
import { colour } from '../../../src/cli/output.js';
import { narrate } from '../../../src/cli/progress.js';

const stream = (isTTY: boolean): { isTTY: boolean } => ({ isTTY });

describe('a colour', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ['on a terminal', true, {}, true],
    ['not in a pipe', false, {}, false],
    ['not in a pipe even when forced', false, { FORCE_COLOR: '1' }, false],
    ['not with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['on a terminal with an empty NO_COLOR, as no-color.org has it', true, { NO_COLOR: '' }, true],
    ['not on a dumb terminal', true, { TERM: 'dumb' }, false],
  ])('is shown %s', (_where, isTTY, env, isShown) => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('TERM', 'xterm');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    expect(colour('red', 'x', stream(isTTY)) === 'x').toBe(!isShown);
  });
});

describe('progress', () => {
  const told = (isLive: boolean, events: readonly PurchaseEvent[]): { lines: string[]; status: string[] } => {
    const lines: string[] = [];
    const status: string[] = [];
    const narrator = narrate({
      isJson: false,
      isLive,
      result: () => undefined,
      progress: (line) => lines.push(line),
      status: (line) => status.push(line),
    });
    for (const event of events) narrator.onEvent(event);
    narrator.close();
    return { lines, status };
  };
  const away: PurchaseEvent = { kind: 'waiting', problem: 'a server is away' };

  it('tells the same trouble once, and again after other trouble', () => {
    const other: PurchaseEvent = { kind: 'waiting', problem: 'the seller is away' };
    const sending: PurchaseEvent = { kind: 'payment', state: 'SENDING' };
    expect(told(false, [away, sending, away, other, away]).lines).toEqual([
      'waiting: a server is away',
      'payment: handed to our Lightning node',
      'waiting: the seller is away',
      'waiting: a server is away',
    ]);
  });

  it('shows nothing of a stranger that could steer a terminal', () => {
    const { lines } = told(false, [{ kind: 'waiting', problem: 'gone\x1b[2J\nstep paid' }]);
    expect(lines).toEqual(['waiting: gone?[2J?step paid']);
  });

  it('takes its changing line away at the end', () => {
    expect(told(true, [away]).status.at(-1)).toBe('');
  });
});
