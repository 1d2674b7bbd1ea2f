/** A daemon as a child process: its log in a file, and its end when this process ends, however that goes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';

import { eventually } from '../eventually.js';
import { freezeProcess } from '../freeze.js';

const STOP_MS = 60_000;

export type ChildOptions = {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Also where the program looks for a home folder. */
  readonly dir: string;
  readonly logFile: string;
};

export type DaemonChild = {
  readonly pid: number;
  /** Waits for a condition with a deadline. @throws Error with the end of the log, also as soon as the process ended */
  until<T>(what: string, probe: () => Promise<T | undefined | false>, ms?: number): Promise<T>;
  /** Ends the process. @returns its exit code, null after a signal */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
  /** Stops the process in its tracks, or lets it go on. */
  freeze(isFrozen: boolean): void;
};

/** The end of a log, for a message. */
export const tailOf = (file: string, lines = 20): string =>
  existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '(no log)';

/** True for a start that failed because another program was quicker to a port. */
export const isPortTaken = (error: unknown): boolean =>
  error instanceof Error && /address already in use|Unable to bind/i.test(error.message);

/**
 * Kills a process when this one is gone: a pipe that only we hold is closed by the kernel even after SIGKILL, which an
 * exit handler would not see.
 */
function guard(pid: number): () => void {
  const script = 'read -r line; kill -9 "$1" 2>/dev/null';
  const watcher = spawn('sh', ['-c', script, 'guard', `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // a signal for our group is not for the guard
  });
  watcher.unref();
  return () => {
    watcher.kill('SIGKILL');
  };
}

const running = new Set<ChildProcess>();

// A worker of the test runner lives on, without a word, when the runner was ended by a signal.
process.on('disconnect', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program. @throws Error if it cannot be started */
export async function startChild({ name, program, args, dir, logFile }: ChildOptions): Promise<DaemonChild> {
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', log, log], env: { ...process.env, HOME: dir } });
  closeSync(log);
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} did not start`);
  const disarm = guard(pid);
  running.add(child);
  child.once('exit', () => {
    running.delete(child);
    disarm();
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const failure = (why: string, cause?: unknown): Error =>
    new Error(`${name}: ${why}\n--- the end of its log ---\n${tailOf(logFile)}`, { cause });
  return {
    pid,
    until: async (what, probe, ms = 60_000) => {
      let last: unknown;
      try {
        return await eventually(
          what,
          () => {
            if (hasEnded()) throw failure(`ended before ${what}`);
            return probe().catch((error: unknown) => {
              last = error;
              return undefined;
            });
          },
          ms,
        );
      } catch (error) {
        if (hasEnded()) throw error;
        throw failure(`not in time: ${what}`, last ?? error);
      }
    },
    stop: async (signal) => {
      if (hasEnded()) return child.exitCode;
      const ended = once(child, 'exit');
      child.kill(signal);
      const lastResort = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(lastResort);
      return child.exitCode;
    },
    freeze: (isFrozen) => {
      if (!hasEnded()) freezeProcess(pid, isFrozen);
    },
  };
}
