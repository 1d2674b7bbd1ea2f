/** The `swap` program as a person runs it in a shell: with a home folder of its own, and typing. */
import { startSwap, type SwapEnd, type SwapRun } from './swapProgram.js';

export type TypedRun = SwapRun & { readonly type: (line: string) => void };

export type Shell = {
  readonly start: (args: readonly string[], env?: Readonly<Record<string, string>>) => TypedRun;
  readonly swap: (...args: readonly string[]) => Promise<SwapEnd>;
  /** With this text, and no more, on its stdin. */
  readonly swapTyping: (text: string, ...args: readonly string[]) => Promise<SwapEnd>;
};

/** @param home a folder; asked for at each start */
export function openShell(home: () => string): Shell {
  const start: Shell['start'] = (args, env = {}) => {
    const run = startSwap(args, { HOME: home(), ...env });
    return { ...run, type: (line) => run.child.stdin?.write(`${line}\n`) };
  };
  return {
    start,
    swap: (...args) => start(args).ended,
    swapTyping: (text, ...args) => {
      const run = start(args);
      run.child.stdin?.end(text);
      return run.ended;
    },
  };
}
