/** The first start, access from other machines, the seed's words and the figures of a real lnnoded. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, Metadata, Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LightningNodeServiceDefinition } from '../../src/gen/lnnode/v1/lnnode.js';
import { LnnodedProcess } from '../support/lnnodedProcess.js';
import { startRegtestServer, type RegtestServer } from '../support/regtestServer.js';

const PROGRAM = fileURLToPath(new URL('../../dist/lnnode/main.js', import.meta.url));
const OPEN = { LNNODED_GRPC__LISTEN: '0.0.0.0:0', LNNODED_GRPC__TLS_NAMES: '["node.example"]' };
const METRICS = '[metrics]\nlisten = "127.0.0.1:0"';

let server: RegtestServer;
const dirs: string[] = [];
const nodes: LnnodedProcess[] = [];

beforeAll(async () => {
  server = await startRegtestServer();
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop('SIGKILL')));
  await server.close();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

function newNode(env: Record<string, string> = {}, more?: string): { node: LnnodedProcess; dir: string } {
  const dir = mkdtempSync(join(tmpdir(), 'lnnoded-'));
  dirs.push(dir);
  const node = new LnnodedProcess({ dir, bitcoind: server.login, env, more });
  nodes.push(node);
  return { node, dir };
}

function run(dir: string, words: readonly string[], input = ''): { code: number | null; text: string } {
  const args = [PROGRAM, ...words, '--config', join(dir, 'lnnoded.toml')];
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000, input });
  return { code: ended.status, text: ended.stdout + ended.stderr };
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

/** Asks for the node's facts over TLS. */
async function ask(node: LnnodedProcess, host: string, certificate: Buffer, token: string): Promise<string> {
  const options = host === '127.0.0.1' ? {} : { 'grpc.ssl_target_name_override': host };
  const address = `127.0.0.1:${node.ready.grpc.split(':').at(-1) ?? ''}`;
  const channel = createChannel(address, ChannelCredentials.createSsl(certificate), options);
  try {
    const metadata = Metadata({ authorization: `Bearer ${token}` });
    const client = createClientFactory().create(LightningNodeServiceDefinition, channel);
    return (await client.getNodeInfo({}, { metadata, signal: AbortSignal.timeout(10_000) })).network;
  } finally {
    channel.close();
  }
}

describe('a node that listens to other machines', () => {
  it('makes certificate, key and token at its first start, for its owner only, and keeps them', async () => {
    const { node, dir } = newNode(OPEN);
    await node.start();
    const files = ['tls.cert', 'tls.key', 'seed', 'generation', 'lnnoded.sqlite'].map((name) =>
      join(dir, 'data', name),
    );
    expect([...files, node.tokenFile].map(modeOf)).toEqual(Array(files.length + 1).fill(0o600));
    const certificate = readFileSync(join(dir, 'data', 'tls.cert'));
    const token = readFileSync(node.tokenFile, 'utf8').trim();
    for (const name of ['localhost', '127.0.0.1', 'node.example']) {
      expect(await ask(node, name, certificate, token)).toBe('regtest');
    }
    await expect(ask(node, 'other.example', certificate, token)).rejects.toMatchObject({ code: Status.UNAVAILABLE });
    const stranger = Status.UNAUTHENTICATED;
    await expect(ask(node, 'localhost', certificate, '00'.repeat(32))).rejects.toMatchObject({ code: stranger });
    const plain = createChannel(`127.0.0.1:${node.ready.grpc.split(':').at(-1) ?? ''}`);
    const client = createClientFactory().create(LightningNodeServiceDefinition, plain);
    await expect(client.getNodeInfo({})).rejects.toMatchObject({ code: Status.UNAVAILABLE });
    plain.close();
    await node.stop();
    await node.start();
    expect(readFileSync(join(dir, 'data', 'tls.cert'))).toEqual(certificate);
  });
});

describe('the seed', () => {
  it('is shown once as 24 words, which make the same node elsewhere', async () => {
    const { node, dir } = newNode();
    await node.start();
    const shown = run(dir, ['seed']);
    expect(shown.code).toBe(0);
    const words = [...shown.text.matchAll(/^ ?\d+ ([a-z]+)$/gm)].map(([, word = '']) => word);
    expect(words).toHaveLength(24);
    expect(run(dir, ['seed'])).toMatchObject({ code: 3, text: expect.stringContaining('shown once') as string });

    const other = newNode();
    const wrong = [...words.slice(1), words[0] ?? ''].join(' ');
    expect(run(other.dir, ['seed', '--restore'], wrong)).toMatchObject({ code: 2 });
    expect(run(other.dir, ['seed', '--restore'], shown.text.split('\n\n')[0])).toMatchObject({ code: 0 });
    expect(run(other.dir, ['seed', '--restore'], words.join(' '))).toMatchObject({ code: 2 }); // there is one now
    expect(readFileSync(join(other.dir, 'data', 'seed'))).toEqual(readFileSync(join(dir, 'data', 'seed')));
    expect((await other.node.start()).node_id).toBe(node.ready.node_id);
  });
  it('that is gone from beside its database is not replaced by another', async () => {
    const { node, dir } = newNode();
    await node.start();
    await node.stop();
    rmSync(join(dir, 'data', 'seed'));
    expect(run(dir, [])).toMatchObject({ code: 3, text: expect.stringContaining('put it back') as string });
    expect(readdirSync(join(dir, 'data'))).not.toContain('seed');
  });
});

describe('the figures', () => {
  it('are readable by Prometheus on loopback, without names or secrets', async () => {
    const { node, dir } = newNode({}, METRICS);
    const { metrics_port: port, node_id: nodeId } = await node.start();
    const { client, close } = node.connect();
    await client.createInvoice({ amountMsat: 1000n, description: 'x', expirySecs: 600 });
    close();
    const url = `http://127.0.0.1:${port}/metrics`;
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    const lines = text.trim().split('\n');
    const sample = /^lnnoded_[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? \d+(\.\d+)?(e-\d+)?$/;
    expect(lines.filter((line) => !/^# (HELP|TYPE) lnnoded_/.test(line) && !sample.test(line))).toEqual([]);
    expect(lines).toEqual(
      expect.arrayContaining(['lnnoded_synced 1', 'lnnoded_peers 0', 'lnnoded_invoices{state="OPEN"} 1']),
    );
    for (const secret of [nodeId, readFileSync(join(dir, 'data', 'seed'), 'utf8').trim()]) {
      expect(text).not.toContain(secret);
    }
    expect((await fetch(url, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  });
  it('are refused to other machines by the configuration', () => {
    const { dir } = newNode({}, '[metrics]\nlisten = "0.0.0.0:9100"');
    expect(run(dir, [])).toMatchObject({ code: 2, text: expect.stringContaining('a loopback address') as string });
  });
});

describe('a wrong command', () => {
  it.each([['backup'], ['seed', 'me'], ['run', 'away'], ['accept-restore'], ['backup', 'relative.sqlite']])(
    'is refused and changes nothing: %s %s',
    (...words) => {
      const { dir } = newNode();
      expect(run(dir, words)).toMatchObject({ code: 2 });
      expect(readdirSync(dir)).not.toContain('data');
    },
  );
  it('does not copy over what is there', () => {
    const { node, dir } = newNode();
    expect(run(dir, ['backup', node.tokenFile])).toMatchObject({ code: 2 }); // there is no database yet
    expect(run(dir, ['backup', join(dir, 'lnnoded.toml')])).toMatchObject({ code: 2 });
  });
});
