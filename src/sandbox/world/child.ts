/** One program of the world: started with a config, known to be ready by its line on stdout, stopped or killed by name. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { z } from 'zod';

import { WorldError } from '../problem.js';

const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 8_000;
const SHOWN_LOG_LINES = 5;
const PRELOAD = new URL('./exitWithParent.js', import.meta.url).href;
/** Variables that would change a program's configuration behind the world's back. */
const CONFIG_VARIABLE = /^(SWAPD|LNNODED|SWAP)_/;

export type ChildState = 'stopped' | 'starting' | 'running' | 'stopping' | 'died';

export type ChildOptions<Ready> = {
  readonly name: string;
  /** JavaScript file of the program. */
  readonly entry: string;
  readonly args: readonly string[];
  /** Where stderr goes, appended. */
  readonly logFile: string;
  /** Shape of the ready line. */
  readonly readySchema: z.ZodType<Ready>;
  /** Called when the program fails to start or ends unasked, with the end of its log. */
  readonly onDeath: (message: string) => void;
  /** Called whenever the process id changes. */
  readonly onPid: () => void;
};

/** A program that can be started and ended any number of times. */
export class Child<Ready> {
  readonly #options: ChildOptions<Ready>;
  #process: ChildProcess | undefined;
  #state: ChildState = 'stopped';
  #isRetired = false;

  constructor(options: ChildOptions<Ready>) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get state(): ChildState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the program and waits until it is ready. @throws WorldError if it runs already or does not become ready. */
  async start(): Promise<Ready> {
    if (this.#isRetired) throw new WorldError('process_failed', `${this.name} is not started: the world is ending`);
    if (this.#process) {
      throw new WorldError(
        'invalid_argument',
        `${this.name}: expected a stopped process, found one that is ${this.#state}`,
      );
    }
    this.#state = 'starting';
    const child = this.#spawn();
    const ready = await this.#firstLine(child).catch(async (error: unknown) => {
      await this.#end('SIGKILL');
      throw error;
    });
    this.#state = 'running';
    return ready;
  }

  /** From now on it cannot be started, also by a start-up that is still under way. */
  retire(): void {
    this.#isRetired = true;
  }

  /** Asks the program to end (SIGTERM), and makes it end when it does not. Fine if it does not run. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends the program at once (SIGKILL), as a crash would. Fine if it does not run. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  #spawn(): ChildProcess {
    const { entry, args, logFile, onPid } = this.#options;
    const log = openSync(logFile, 'a', 0o600);
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !CONFIG_VARIABLE.test(key)));
    const child = spawn(process.execPath, ['--import', PRELOAD, entry, ...args], {
      stdio: ['ignore', 'pipe', log, 'ipc'],
      env,
      detached: true, // Ctrl-C is for the world, which then ends its programs in order
    });
    closeSync(log);
    this.#process = child;
    child.once('exit', (code, signal) => {
      this.#gone(child, signal ?? `exit code ${String(code)}`);
    });
    child.once('error', () => {
      this.#gone(child, 'could not be started');
    });
    onPid();
    return child;
  }

  #gone(child: ChildProcess, how: string): void {
    if (this.#process !== child) return;
    const wasRunning = this.#state === 'running';
    this.#process = undefined;
    this.#state = this.#state === 'stopping' ? 'stopped' : 'died';
    this.#options.onPid();
    if (wasRunning) this.#options.onDeath(`${this.name} ended unexpectedly (${how})${this.#lastLog()}`);
  }

  async #firstLine(child: ChildProcess): Promise<Ready> {
    const outcome = await firstLineOf(child);
    const ready = 'line' in outcome ? this.#options.readySchema.safeParse(jsonOf(outcome.line)) : undefined;
    if (ready?.success) return ready.data;
    const reason = 'line' in outcome ? `expected a ready line, found "${outcome.line.slice(0, 200)}"` : outcome.reason;
    const { onDeath, logFile } = this.#options;
    if (this.#state !== 'stopping') onDeath(`${this.name} did not start: ${reason}${this.#lastLog()}`);
    throw new WorldError('process_failed', `${this.name} did not start: ${reason}; see ${logFile}`);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined) {
      this.#state = 'stopped';
      return;
    }
    this.#state = 'stopping';
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => {
        resolve();
      });
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.kill(signal);
    await exited;
    clearTimeout(timer);
  }

  #lastLog(): string {
    const { logFile } = this.#options;
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-SHOWN_LOG_LINES);
    return `; the end of ${logFile}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The first line that a program prints, or why there is none. Its later lines are read and forgotten. */
function firstLineOf(child: ChildProcess): Promise<{ readonly line: string } | { readonly reason: string }> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve({ reason: `no ready line within ${READY_TIMEOUT_MS / 1000} s` });
    }, READY_TIMEOUT_MS);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve({ reason: signal ?? `exit code ${String(code)}` });
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer);
      resolve({ line });
    });
  });
}
