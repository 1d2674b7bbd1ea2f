/** Lines that a person types, or a script pipes in. What is secret is not shown while it is typed. */
import { createInterface } from 'node:readline';

import { SwapError } from '../errors.js';

/** Reads lines one after the other. */
export type LineReader = {
  /** The next line, or undefined when the time is over, the signal is aborted or the input has ended. */
  next(signal: AbortSignal, milliseconds: number): Promise<string | undefined>;
  /** True once no more lines can come. */
  hasEnded(): boolean;
  close(): void;
};

/** A line is never longer than this; more is thrown away. */
const MAX_LINE = 4_096;

/** Opens stdin: hidden on a terminal, plain lines of a file or a pipe. The process may end while it is open. */
export function openLines(): LineReader {
  const lines: string[] = [];
  let wake: (() => void) | undefined;
  let isOver = false;
  const push = (line: string): void => {
    lines.push(line.slice(0, MAX_LINE));
    wake?.();
  };
  const end = (): void => {
    isOver = true;
    wake?.();
  };
  const close = process.stdin.isTTY ? readHidden(push, end) : readPlain(push, end);
  return {
    next: async (signal, milliseconds) => {
      if (lines.length === 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            resolve();
          };
          const timer = setTimeout(done, milliseconds);
          signal.addEventListener('abort', done, { once: true });
          wake = done;
        });
        wake = undefined;
      }
      return lines.shift();
    },
    hasEnded: () => isOver && lines.length === 0,
    close,
  };
}

function readPlain(push: (line: string) => void, end: () => void): () => void {
  const reader = createInterface({ input: process.stdin, terminal: false });
  reader.on('line', push).once('close', end);
  return () => {
    reader.close();
    process.stdin.unref();
  };
}

const ENTER = /[\r\n]/;
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const BACKSPACE = new Set(['\x7f', '\b']);

/** Raw keys: nothing is echoed, so Enter, Backspace and Ctrl-C are ours to handle. */
function readHidden(push: (line: string) => void, end: () => void): () => void {
  const { stdin } = process;
  let typed = '';
  const restore = (): void => {
    stdin.off('data', onKeys);
    stdin.setRawMode(false).pause();
    end();
  };
  const onKeys = (keys: string): void => {
    for (const key of keys) {
      if (key === CTRL_C) {
        restore();
        process.kill(process.pid, 'SIGINT');
        return;
      }
      if (key === CTRL_D) {
        restore();
        return;
      }
      if (ENTER.test(key)) {
        push(typed);
        typed = '';
      } else if (BACKSPACE.has(key)) typed = typed.slice(0, -1);
      else if (typed.length < MAX_LINE) typed += key;
    }
  };
  stdin.setEncoding('utf8').setRawMode(true).on('data', onKeys).resume();
  return restore;
}

/** One line, waited for as long as it takes. @throws SwapError `invalid_argument` if the input ends before it. */
export async function readLine(what: string): Promise<string> {
  const reader = openLines();
  const never = new AbortController().signal;
  try {
    while (!reader.hasEnded()) {
      const line = await reader.next(never, 60_000);
      if (line !== undefined) return line;
    }
    throw new SwapError('invalid_argument', `expected ${what} on stdin, found its end`);
  } finally {
    reader.close();
  }
}
