/** A program that we did not write as a child process, with a log of its own; it never outlives this process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';

import { eventually } from '../eventually.js';

const READY_MS = 60_000;
const STOP_MS = 30_000;
const TAIL_LINES = 20;

export type NativeProgram = {
  readonly name: string;
  readonly pid: number | undefined;
  signal(signal: NodeJS.Signals): void;
  /** Ends it: in order, or at once. Fine if it does not run. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** The last lines that it wrote. */
  tail(): string;
};

export type NativeOptions = {
  readonly name: string;
  readonly exe: string;
  readonly args: readonly string[];
  /** Where both of its streams go, appended. */
  readonly logFile: string;
  /** Undefined while it does not serve; errors count as that. */
  readonly probe: () => Promise<true | undefined>;
};

const running = new Set<ChildProcess>();
let isGuarded = false;

/** Kills what runs when this process ends, by itself, by a signal, or because the runner is gone. */
function guard(): void {
  if (isGuarded) return;
  isGuarded = true;
  const killAll = (): void => {
    for (const child of running) child.kill('SIGKILL');
  };
  process.once('exit', killAll);
  process.once('disconnect', killAll);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll();
      process.exit(1);
    });
  }
}

/** The last lines of a log under a heading. */
export function tailOf(name: string, logFile: string): string {
  const text = existsSync(logFile) ? readFileSync(logFile, 'utf8') : '';
  return `--- the end of the log of ${name} ---\n${text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')}`;
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('exit', (code, signal) => {
      resolve(signal ?? `exit code ${String(code)}`);
    });
  });
}

/** Starts it and waits until it serves. @throws Error with the end of its log. */
export async function startNative({ name, exe, args, logFile, probe }: NativeOptions): Promise<NativeProgram> {
  guard();
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(exe, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  running.add(child);
  let end: string | undefined;
  const gone = exitOf(child).then((how) => {
    running.delete(child);
    end = how;
  });
  const program: NativeProgram = {
    name,
    pid: child.pid,
    signal: (signal) => {
      child.kill(signal);
    },
    stop: async (signal = 'SIGTERM') => {
      if (end !== undefined) return;
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      child.kill(signal);
      await gone;
      clearTimeout(timer);
    },
    tail: () => tailOf(name, logFile),
  };
  try {
    await eventually(
      `${name} serves`,
      () => {
        if (end !== undefined) throw new Error(`${name} ended before it served: ${end}`);
        return probe().catch(() => undefined);
      },
      READY_MS,
    );
  } catch (cause) {
    await program.stop('SIGKILL');
    throw new Error(`${name} did not start\n${program.tail()}`, { cause });
  }
  return program;
}
