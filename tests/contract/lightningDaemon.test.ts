/** The daemon around the port: start, stop, access, health and reflection. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createChannel, createClient, Status } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { ServerReflectionService } from 'nice-grpc-server-reflection';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LightningNodeServiceDefinition } from '../../src/gen/lnnode/v1/lnnode.js';
import { connectLnnoded } from '../../src/lightning/lnnoded.js';
import { createLogger } from '../../src/log.js';
import { LnnodedProcess } from '../support/lnnodedProcess.js';
import { startRegtestServer, type RegtestServer } from '../support/regtestServer.js';

const PROGRAM = fileURLToPath(new URL('../../dist/lnnode/main.js', import.meta.url));

let dir: string;
let server: RegtestServer;
let node: LnnodedProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lnnoded-'));
  server = await startRegtestServer();
  node = new LnnodedProcess({ dir, bitcoind: server.login });
  await node.start();
});

afterAll(async () => {
  await node.stop('SIGKILL');
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs lnnoded to its end. */
async function runToEnd(env: Record<string, string>, args = ['--config', join(dir, 'lnnoded.toml')]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let text = '';
  child.stderr.on('data', (data: Buffer) => (text += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text };
}

describe('files', () => {
  it('are readable by nobody else', () => {
    for (const name of ['data/seed', 'token']) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'data')).mode & 0o777).toBe(0o700);
  });
  it('belong to one process: a second one refuses to start', async () => {
    expect(await runToEnd({})).toMatchObject({ code: 2, text: expect.stringContaining('in use') as string });
  });
  it('of a seed that others can read are refused', async () => {
    const dataDir = mkdtempSync(join(dir, 'open-'));
    writeFileSync(join(dataDir, 'seed'), '11'.repeat(32));
    chmodSync(join(dataDir, 'seed'), 0o644);
    const { code, text } = await runToEnd({ LNNODED_NODE__DATA_DIR: dataDir });
    expect(code).toBe(2);
    expect(text).toContain('expected mode 0600');
  });
});

describe('configuration', () => {
  it('names every problem at once', async () => {
    const { code, text } = await runToEnd({ LNNODED_NODE__NETWORK: 'mainnet', LNNODED_GRPC__LISTNE: 'x' });
    expect(code).toBe(2);
    expect(text).toContain('node.network');
    expect(text).toContain('grpc.listne');
  });
});

describe('access', () => {
  it.each(['', 'wrong'])('with the token "%s" is refused', async (token) => {
    const tokenFile = join(dir, 'wrong-token');
    writeFileSync(tokenFile, token);
    const port = connectLnnoded({ address: node.ready.grpc, tokenFile, log: createLogger('test', 'silent') });
    await expect(port.getInfo()).rejects.toMatchObject({ code: 'lightning_unavailable' });
    port.close();
    const channel = createChannel(node.ready.grpc);
    const call = createClient(LightningNodeServiceDefinition, channel).getNodeInfo({});
    await expect(call).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
    channel.close();
  });
  it('names every wrong field of a request', async () => {
    const { client, close } = node.connect();
    const request = { paymentHash: Buffer.alloc(31), amountMsat: 0n, expirySecs: 0 };
    await expect(client.createHoldInvoice(request)).rejects.toMatchObject({
      code: Status.INVALID_ARGUMENT,
      details: expect.stringMatching(
        /^(?=.*\bpayment_hash: )(?=.*\bamount_msat: )(?=.*\bdescription_hash: )(?=.*\bexpiry_secs: )/,
      ) as string,
    });
    close();
  });
  it('with a node id that is no point of the curve is refused, and the node lives on', async () => {
    const { client, close } = node.connect();
    const beyondTheField = Buffer.alloc(33, 0xff).fill(2, 0, 1);
    for (const bad of [beyondTheField, Buffer.alloc(32), Buffer.alloc(0)]) {
      const call = client.connectPeer({ nodeId: bad, address: '127.0.0.1:1' });
      await expect(call).rejects.toMatchObject({ code: Status.INVALID_ARGUMENT });
    }
    expect((await client.getNodeInfo({})).isSynced).toBe(true);
    close();
  });
  it('to health needs no token, to reflection it does', async () => {
    const channel = createChannel(node.ready.grpc);
    expect((await createClient(HealthDefinition, channel).check({ service: '' })).status).toBe(1);
    const reflection = createClient(ServerReflectionService, channel);
    const answers = reflection.serverReflectionInfo((async function* () {})());
    await expect(answers[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
    channel.close();
  });
});

describe('a stop', () => {
  it('by signal is orderly even with a subscriber, and the next start has the same identity', async () => {
    const before = node.ready;
    const { client, close } = node.connect();
    const stream = (async () => {
      for await (const change of client.subscribeInvoices({})) expect(change).toBeDefined();
    })().catch((error: unknown) => error);
    await client.getNodeInfo({});
    const start = performance.now();
    const stopped = node.stop('SIGTERM');
    expect(await stream).toMatchObject({ code: Status.UNAVAILABLE });
    expect(performance.now() - start).toBeLessThan(2500);
    expect(await stopped).toBe(0);
    close();
    const after = await node.start();
    expect(after.node_id).toBe(before.node_id);
    expect(after.p2p).toBe(before.p2p);
    expect(readFileSync(node.tokenFile, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
  });
});
