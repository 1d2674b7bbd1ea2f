/** lnnoded as a child process, from dist, with its own folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { createChannel, createClientFactory, Metadata, type Client } from 'nice-grpc';
import { z } from 'zod';

import { LightningNodeServiceDefinition } from '../../src/gen/lnnode/v1/lnnode.js';
import { lastingPort } from './freePort.js';
import { freezeProcess } from './freeze.js';

const PROGRAM = fileURLToPath(new URL('../../dist/lnnode/main.js', import.meta.url));
/** Also enough for weeks of blocks. */
const READY_MS = 120_000;

const readySchema = z.object({
  ready: z.literal(true),
  grpc: z.string(),
  p2p: z.string(),
  metrics_port: z.number().optional(),
  node_id: z.string(),
});

/** What a ready node says about itself. */
export type Ready = z.output<typeof readySchema>;

export type LnnodedOptions = {
  readonly dir: string;
  readonly bitcoind: {
    readonly url: string;
    readonly user: string;
    readonly password: string;
    readonly caFile?: string | undefined;
  };
  /** Base of an Esplora API to use instead of bitcoind. */
  readonly esplora?: string | undefined;
  /** More lines of configuration. */
  readonly more?: string | undefined;
  /** Fixed, so that peers find the node again after a restart. */
  readonly p2pPort?: number;
  readonly env?: Readonly<Record<string, string>>;
};

function chainSection({ dir, bitcoind, esplora }: LnnodedOptions): string {
  if (esplora !== undefined) return `[esplora]\nurl = "${esplora}"`;
  return `[bitcoind]
${bitcoind.caFile === undefined ? '' : `ca_file = ${JSON.stringify(bitcoind.caFile)}`}
url = "${bitcoind.url}"
user = "${bitcoind.user}"
password_file = ${JSON.stringify(join(dir, 'password'))}`;
}

/** One node over several lives. */
export class LnnodedProcess {
  readonly tokenFile: string;
  readonly dataDir: string;
  /** What the process wrote to stderr, over all its lives. */
  readonly logFile: string;
  readonly #config: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #ready: Ready | undefined;
  #p2pPort: number;

  constructor(options: LnnodedOptions) {
    const { dir, bitcoind } = options;
    mkdirSync(dir, { recursive: true });
    this.tokenFile = join(dir, 'token');
    this.dataDir = join(dir, 'data');
    this.logFile = join(dir, 'lnnoded.log');
    this.#config = join(dir, 'lnnoded.toml');
    this.#env = options.env ?? {};
    this.#p2pPort = options.p2pPort ?? 0;
    writeFileSync(join(dir, 'password'), bitcoind.password, { mode: 0o600 });
    writeFileSync(
      this.#config,
      `[node]
network = "regtest"
data_dir = ${JSON.stringify(this.dataDir)}
[grpc]
token_file = ${JSON.stringify(this.tokenFile)}
${chainSection(options)}
poll_interval_ms = 50
[policy]
min_funding_depth = 1
forward_to_private_channels = true
min_invoice_expiry_secs = 1
[log]
level = "error"
${options.more ?? ''}
`,
    );
  }

  get ready(): Ready {
    if (this.#ready === undefined) throw new Error('lnnoded is not running');
    return this.#ready;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts and waits for the ready line. The port for peers stays the same over restarts. */
  async start(): Promise<Ready> {
    if (this.#p2pPort === 0) this.#p2pPort = await lastingPort();
    const env = { ...process.env, ...this.#env, LNNODED_NODE__P2P_LISTEN: `127.0.0.1:${this.#p2pPort}` };
    const child = spawn(process.execPath, [PROGRAM, '--config', this.#config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    this.#child = child;
    child.stderr.on('data', (text: Buffer) => {
      appendFileSync(this.logFile, text);
      if (this.#env['LNNODED_LOG__LEVEL'] === undefined) process.stderr.write(text); // errors only
    });
    const line = new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('exit', (code) => {
        reject(new Error(`lnnoded ended with ${String(code)} before it was ready`));
      });
      setTimeout(() => {
        reject(new Error('lnnoded was not ready in time'));
      }, READY_MS).unref();
    });
    this.#ready = readySchema.parse(JSON.parse(await line));
    return this.#ready;
  }

  /** Ends the process. @returns its exit code, null after a signal that it did not handle. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  /** Stops the process in its tracks, or lets it go on. */
  freeze(isFrozen: boolean): void {
    if (this.#child?.pid !== undefined) freezeProcess(this.#child.pid, isFrozen);
  }

  /** A gRPC client with the node's token. */
  connect(): { readonly client: Client<typeof LightningNodeServiceDefinition>; readonly close: () => void } {
    const channel = createChannel(this.ready.grpc);
    const token = readFileSync(this.tokenFile, 'utf8').trim();
    const metadata = Metadata({ authorization: `Bearer ${token}` });
    const client = createClientFactory().create(LightningNodeServiceDefinition, channel, { '*': { metadata } });
    return {
      client,
      close: () => {
        channel.close();
      },
    };
  }
}
