/** LDK's memory is watched: above the limit the node ends in order, for its supervisor to start it again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { eventually } from '../support/eventually.js';
import { LnnodedProcess } from '../support/lnnodedProcess.js';
import { startRegtestServer } from '../support/regtestServer.js';

const MIB = 2n ** 20n;
/** LDK needs more at once. */
const TIGHT_MIB = 64n;

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it('a node above its limit ends with exit code 75, and one below goes on', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'lnnoded-heap-'));
  const server = await startRegtestServer();
  const common = { dir, bitcoind: server.login };
  const tight = new LnnodedProcess({ ...common, env: { LNNODED_NODE__HEAP_LIMIT_MIB: TIGHT_MIB.toString() } });
  const roomy = new LnnodedProcess(common);
  try {
    const { node_id: nodeId } = await tight.start();
    const { client, close } = tight.connect();
    const info = await client.getNodeInfo({});
    close();
    expect(info.heapLimitBytes).toBe(TIGHT_MIB * MIB);
    expect(info.heapBytes).toBeGreaterThan(TIGHT_MIB * MIB);
    const { pid } = tight;
    await eventually('its end', () => pid !== undefined && !isAlive(pid), 60_000);
    expect(await tight.stop()).toBe(75);

    expect((await roomy.start()).node_id).toBe(nodeId);
    const again = roomy.connect();
    const { heapBytes, heapLimitBytes } = await again.client.getNodeInfo({});
    again.close();
    expect(heapBytes).toBeLessThan(heapLimitBytes / 2n);
    expect(await roomy.stop()).toBe(0);
  } finally {
    await Promise.all([tight, roomy].map((node) => node.stop('SIGKILL')));
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
