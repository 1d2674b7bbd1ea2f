/** An electrs over an Elements node. */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { z } from 'zod';

import { eventually } from '../eventually.js';
import { onFreePort } from '../freePort.js';
import type { Software } from '../interoperability.js';
import type { ElementsNode } from './elements.js';
import { startNative, type NativeProgram } from './nativeProgram.js';

const HOST = '127.0.0.1';
const ANSWER_MS = 10_000;
/** It looks for blocks by itself every few seconds. */
const CAUGHT_UP_MS = 60_000;

/** And it is told to look this often, not at each question: it answers nobody while it looks. */
const LOOK_MS = 500;

const HELLO = ['test', '1.4'];
const versionSchema = z.tuple([z.string()]).rest(z.string());
const tipSchema = z.object({ hex: z.string() });

export type Electrs = {
  /** As it calls itself, e.g. `mempool-electrs 3.1.0`. */
  readonly software: Software;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** The result, as the server wrote it. @throws Error with the server's own. */
  ask(method: string, ...params: readonly unknown[]): Promise<unknown>;
  /** Does something to its node while it does not look. */
  unseen<T>(change: () => Promise<T>): Promise<T>;
  /** Waits until it serves the best block of its node. */
  caughtUp(): Promise<void>;
  restart(): Promise<void>;
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  tail(): string;
};

/** One request over a connection of its own. */
function ask(port: number, method: string, params: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, HOST);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(ANSWER_MS, () => {
      fail(new Error(`electrs: no answer to ${method}`));
    });
    socket.on('error', fail);
    socket.on('close', () => {
      reject(new Error(`electrs: connection closed at ${method}`));
    });
    const lines = createInterface({ input: socket });
    lines.on('error', fail); // it repeats the socket's
    lines.on('line', (line) => {
      const answer = z.object({ result: z.unknown(), error: z.unknown() }).partial().parse(JSON.parse(line));
      socket.destroy();
      if (answer.error === undefined || answer.error === null) resolve(answer.result);
      else reject(new Error(typeof answer.error === 'string' ? answer.error : JSON.stringify(answer.error)));
    });
    socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`);
  });
}

/** Starts it in a new folder and waits until it serves the node's chain. */
export async function startElectrs(options: {
  readonly exe: string;
  readonly dir: string;
  readonly node: ElementsNode;
  readonly name?: string;
}): Promise<Electrs> {
  const { exe, dir, node, name = 'electrs' } = options;
  mkdirSync(dir, { recursive: true });
  const db = join(dir, 'db');
  let program: NativeProgram;
  const startOn = (port: number): Promise<number> =>
    onFreePort((http) =>
      onFreePort(async (monitoring) => {
        const args = [
          '-vv',
          '--timestamp',
          '--jsonrpc-import',
          ...['--network', 'liquidregtest'],
          ...['--db-dir', db],
          ...['--daemon-dir', node.dataDir],
          ...['--daemon-rpc-addr', node.rpcAddress],
          ...['--cookie', node.cookie],
          ...['--electrum-rpc-addr', `${HOST}:${port}`],
          ...['--http-addr', `${HOST}:${http}`],
          ...['--monitoring-addr', `${HOST}:${monitoring}`],
        ];
        const probe = async (): Promise<true> => {
          await ask(port, 'server.version', HELLO);
          return true;
        };
        program = await startNative({ name, exe, args, logFile: join(dir, `${name}.log`), probe });
        return port;
      }),
    );
  const port = await onFreePort(startOn);
  const [version] = versionSchema.parse(await ask(port, 'server.version', HELLO));
  const electrs: Electrs = {
    software: { program: 'electrs', version, isBrought: true },
    host: HOST,
    port,
    url: `tcp://${HOST}:${port}`,
    ask: (method, ...params) => ask(port, method, params),
    unseen: async (change) => {
      program.signal('SIGSTOP');
      try {
        return await change();
      } finally {
        program.signal('SIGCONT');
      }
    },
    caughtUp: async () => {
      let asked = -Infinity;
      await eventually(
        `${name} at the tip of its node`,
        async () => {
          if (performance.now() - asked >= LOOK_MS) {
            asked = performance.now();
            program.signal('SIGUSR1'); // look now
          }
          const { hash } = await node.tip(); // of this moment: others may make blocks too
          const served = tipSchema.parse(await ask(port, 'blockchain.headers.subscribe', []));
          return served.hex === (await node.rpc('getblockheader', hash, false));
        },
        CAUGHT_UP_MS,
      ).catch((cause: unknown) => {
        throw new Error(`${name} did not catch up\n${program.tail()}`, { cause });
      });
    },
    restart: async () => {
      await program.stop();
      await startOn(port);
      await electrs.caughtUp();
    },
    stop: (signal = 'SIGTERM') => program.stop(signal),
    tail: () => program.tail(),
  };
  await electrs.caughtUp();
  return electrs;
}
