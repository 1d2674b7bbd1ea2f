/** The first start, access from other machines, the seed's words and the figures of a real lnnoded. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ChannelCredentials } from '@grpc/grpc-js';
import { createChannel, createClientFactory, Metadata, Status } from 'nice-grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LightningNodeServiceDefinition } from '../../src/gen/lnnode/v1/lnnode.js';
import { eventually } from '../support/eventually.js';
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

/** The same beside the chain, which this process serves. */
async function runToEnd(dir: string, env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [PROGRAM, '--config', join(dir, 'lnnoded.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LNNODED_NODE__P2P_LISTEN: '127.0.0.1:0', ...env },
  });
  let text = '';
  child.stdout.on('data', (data: Buffer) => (text += data.toString()));
  child.stderr.on('data', (data: Buffer) => (text += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text };
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

describe('a configuration that cannot work', () => {
  it.each([
    [{ LNNODED_BITCOIND__CA_FILE: '/nope' }, 'bitcoind.ca_file: expected a readable file at /nope, found ENOENT'],
    [{ LNNODED_NODE__DATA_DIR: '/dev/null/x' }, 'node.data_dir: expected a folder, or a place for one'],
    [{ LNNODED_NODE__GENERATION_FILE: '/nope/generation' }, 'node.generation_file: expected a writable place'],
    [
      { LNNODED_GRPC__TLS_CERT_FILE: '/nope', LNNODED_GRPC__TLS_KEY_FILE: '/nope' },
      'grpc.tls_cert_file: expected a readable file at /nope',
    ],
    [
      { LNNODED_GRPC__TLS_CERT_FILE: PROGRAM, LNNODED_GRPC__TLS_KEY_FILE: PROGRAM },
      'grpc.tls_key_file: expected the PEM key of the PEM certificate',
    ],
    [{ LNNODED_NODE__NETWORK: 'mainnet' }, 'node.network: expected one of "bitcoin", "testnet", "regtest", found'],
    [{ LNNODED_BITCOIND__URL: 'ftp://x' }, 'bitcoind.url: expected a URL with http:// or https://, found "ftp://x"'],
    [{ LNNODED_GRPC__LISTEN: '127.0.0.1:99999' }, 'grpc.listen: expected a port of at most 65535, found "127'],
    [{ LNNODED_FEES__FLOOR_SAT_PER_KVB: '5' }, 'fees.floor_sat_per_kvb: expected at least 1000, found 5'],
    [{ LNNODED_NODE__NETWORK: 'testnet' }, 'node.network: expected a chain of testnet, found one of regtest'],
  ])('ends with one sentence that names the key: %j', async (env, sentence) => {
    const { dir } = newNode();
    const { code, text } = await runToEnd(dir, env);
    expect([code, text]).toEqual([2, expect.stringContaining(sentence)]);
    expect(text).not.toContain('    at '); // no stack
  });
  it('is said to be missing when none was named', () => {
    const ended = spawnSync(process.execPath, [PROGRAM], { encoding: 'utf8', timeout: 30_000 });
    expect([ended.status, ended.stderr]).toEqual([2, expect.stringContaining('lnnoded --config FILE.toml')]);
  });
  it.each(['GRPC', 'METRICS'])('because an address is taken (%s) asks to be started again', async (section) => {
    const { dir } = newNode();
    const taken = new URL(server.login.url).host;
    const { code, text } = await runToEnd(dir, { [`LNNODED_${section}__LISTEN`]: taken });
    const key = `${section.toLowerCase()}.listen`;
    expect([code, text]).toEqual([70, `${key}: expected an address to listen on, found EADDRINUSE at ${taken}\n`]);
  });
  it('is forgiven a first start on a wrong network, but not a change of network later', async () => {
    const { node, dir } = newNode();
    const testnet = { LNNODED_NODE__NETWORK: 'testnet' };
    expect((await runToEnd(dir, testnet)).code).toBe(2);
    await node.start();
    await node.stop();
    const found = 'node.network: expected regtest, as node.data_dir is of it, found testnet\n';
    expect(await runToEnd(dir, testnet)).toEqual({ code: 2, text: found });
  });
  it('is told once while the node waits, not every second', async () => {
    let calls = 0;
    const refusing = createServer((_request, response) => {
      calls += 1;
      response.writeHead(401).end();
    });
    await once(refusing.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
    const { node } = newNode({ LNNODED_BITCOIND__URL: url, LNNODED_LOG__LEVEL: 'info' });
    const started = node.start().catch((error: unknown) => error);
    await eventually('four calls', () => calls >= 4, 60_000);
    const told = readFileSync(node.logFile, 'utf8').split('\n');
    expect(told.filter((line) => line.includes('refuses bitcoind.user or its password'))).toHaveLength(1);
    await node.stop('SIGKILL');
    expect(await started).toBeInstanceOf(Error);
    refusing.closeAllConnections();
    refusing.close();
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
