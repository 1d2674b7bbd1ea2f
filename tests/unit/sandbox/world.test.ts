import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';

import { formatUnits, parseUnits } from '../../../src/sandbox/units.js';
import { readOrCreate, readState } from '../../../src/sandbox/world/files.js';
import { layoutOf } from '../../../src/sandbox/world/layout.js';
import { choosePorts } from '../../../src/sandbox/world/ports.js';

const folders: string[] = [];
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'world-unit-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe('amounts in whole units', () => {
  it.each([
    ['25', 8, 2_500_000_000n],
    ['0.5', 8, 50_000_000n],
    ['0.00000001', 8, 1n],
    ['7', 0, 7n],
  ] as const)('%s with %i decimals is %s', (text, precision, amount) => {
    expect(parseUnits(text, precision)).toBe(amount);
  });

  it.each([
    ['', 8],
    ['0', 8],
    ['.5', 8],
    ['5.', 8],
    ['-1', 8],
    ['1e3', 8],
    ['0x10', 8],
    ['0.5', 0],
    ['0.123', 2],
    ['99999999999', 8],
  ] as const)('"%s" with %i decimals is refused', (text, precision) => {
    expect(() => parseUnits(text, precision)).toThrow('expected');
  });

  it('come back as they went', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 2_100_000_000_000_000n }),
        fc.integer({ min: 0, max: 8 }),
        (amount, places) => {
          expect(parseUnits(formatUnits(amount, places), places)).toBe(amount);
        },
      ),
    );
  });
});

describe('ports', () => {
  it('stay the same while they are free, and move when somebody took one', async () => {
    const first = await choosePorts(['a', 'b', 'c'], {});
    expect(new Set(Object.values(first)).size).toBe(3);
    expect(await choosePorts(['a', 'b', 'c'], first)).toEqual(first);
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(first.b, '127.0.0.1', resolve));
    const second = await choosePorts(['a', 'b', 'c'], first);
    expect(second).toMatchObject({ a: first.a, c: first.c });
    expect(second.b).not.toBe(first.b);
    await new Promise((resolve) => squatter.close(resolve));
  });
});

describe('the files of a world', () => {
  it('put the control socket elsewhere when the folder is too long for one', () => {
    expect(layoutOf('/short').controlSocket).toBe('/short/control.sock');
    const long = layoutOf(`/${'long'.repeat(30)}`).controlSocket;
    expect(long.length).toBeLessThan(104);
    expect(long).not.toBe(layoutOf(`/${'Long'.repeat(30)}`).controlSocket);
  });

  it('keep a secret for the owner, and the same one for ever', () => {
    const path = join(temporaryFolder(), 'secret');
    expect(readOrCreate(path, () => 'first')).toBe('first');
    expect(readOrCreate(path, () => 'second')).toBe('first');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('refuse a state that is none', () => {
    const path = join(temporaryFolder(), 'state.json');
    expect(readState(path)).toMatchObject({ ports: {}, assets: {}, isStocked: false });
    for (const text of ['', '{', '[]', '{"ports":{"a":0}}', '{"unknown":1}']) {
      writeFileSync(path, text);
      expect(() => readState(path)).toThrow('expected the state of a world');
    }
  });
});
