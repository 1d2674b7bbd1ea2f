/** The real `swap` program as a process: run to its end, or killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** How a run ended: by itself with a code, or by a signal. */
export type SwapEnd = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type SwapRun = { readonly child: ChildProcess; readonly stderr: () => string; readonly ended: Promise<SwapEnd> };

/** Starts it with nothing of the test's own environment that it would read. */
export function startSwap(args: readonly string[], env: Readonly<Record<string, string>> = {}): SwapRun {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(SWAP_|FAILPOINT)/.test(key));
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(inherited), ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined); // a program that was killed reads nothing any more
  const ended = new Promise<SwapEnd>((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
  });
  return { child, stderr: () => stderr, ended };
}
