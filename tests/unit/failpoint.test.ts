import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { failpoint, failpointsAroundCall, failpointsAroundCommit } from '../../src/failpoint.js';

const MODULE = new URL('../../dist/failpoint.js', import.meta.url).href;
const dir = mkdtempSync(join(tmpdir(), 'failpoints-'));
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a program that hits `a`, then `b` three times, then ends well. */
function run(armed: string | undefined): {
  signal: string | null;
  status: number | null;
  trace: string[];
  out: string;
} {
  const trace = join(dir, `trace-${armed ?? 'none'}`);
  const program = `
    import { failpoint } from ${JSON.stringify(MODULE)};
    failpoint('a');
    for (let i = 0; i < 3; i += 1) failpoint('b');
    process.stdout.write('end');
  `;
  const { signal, status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, FAILPOINT_TRACE: trace, ...(armed === undefined ? {} : { FAILPOINT: armed }) },
    encoding: 'utf8',
  });
  return { signal, status, out: stdout, trace: readFileSync(trace, 'utf8').trimEnd().split('\n') };
}

describe('a failpoint', () => {
  it('does nothing and passes results and errors through while nobody names it', async () => {
    failpoint('a');
    expect(failpointsAroundCommit('a', () => 1)).toBe(1);
    expect(await failpointsAroundCall('a', () => Promise.resolve(2))).toBe(2);
    await expect(failpointsAroundCall('a', () => Promise.reject(new Error('no answer')))).rejects.toThrow('no answer');
  });

  it('that is not named lets the process live, and the trace lists every hit', () => {
    expect(run(undefined)).toEqual({ signal: null, status: 0, out: 'end', trace: ['a', 'b', 'b', 'b'] });
    expect(run('c')).toMatchObject({ signal: null, out: 'end' });
  });

  it('that is named ends the process by SIGKILL at its first or its n-th hit, and nothing after it runs', () => {
    expect(run('a')).toEqual({ signal: 'SIGKILL', status: null, out: '', trace: ['a'] });
    expect(run('b')).toMatchObject({ signal: 'SIGKILL', trace: ['a', 'b'] });
    expect(run('b:3')).toMatchObject({ signal: 'SIGKILL', out: '', trace: ['a', 'b', 'b', 'b'] });
    expect(run('b:4')).toMatchObject({ signal: null, out: 'end' });
  });
});
