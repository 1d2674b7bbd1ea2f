/**
 * The seller's daemon as a process of the test's own: it is armed with a failpoint, and whenever it dies it is started
 * again, without one, as an init system would.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const DAEMON = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PRELOAD = new URL('../../dist/sandbox/world/exitWithParent.js', import.meta.url).href;
const READY_MS = 120_000;
/** A daemon that cannot start is not started for ever. */
const MOST_DEATHS = 10;
/** One buyer stands for many here. */
const OPEN_QUOTAS = {
  SWAPD_LIMITS__MAX_OPEN_UNPAID_PER_PRINCIPAL: '100',
  SWAPD_LIMITS__MAX_ASSET_SHARE_PER_PRINCIPAL_PPM: '1000000',
  SWAPD_LIMITS__MAX_ASSET_SHARE_PPM: '1000000',
  SWAPD_LIMITS__CREATE_PER_MINUTE: '100000',
};

/** Keys of the configuration as environment variables. */
export type Settings = Readonly<Record<string, string>>;

/** Variables of {@link file://./../../src/failpoint.ts}. */
export type Arming = { readonly failpoint?: string; readonly traceFile?: string };

export type SellerProcess = {
  /** Starts it; ready or, if the failpoint lies on the way, ready again when this resolves. */
  readonly up: (arming?: Arming) => Promise<void>;
  /** SIGKILL, and it stays down until {@link SellerProcess.up}. */
  readonly down: () => Promise<void>;
  /** SIGKILL at this very moment; it comes back by itself. */
  readonly kill: () => void;
  /** Resolves when it serves. */
  readonly ready: () => Promise<void>;
  /** Deaths that nobody here caused: the failpoint's SIGKILL, or a crash. */
  readonly deaths: () => readonly string[];
  /** Times it was started. */
  readonly starts: () => number;
};

type Run = {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly gone: Promise<void>;
  isExpected: boolean;
};

function environment(electrumUrl: string, arming: Arming, settings: Settings): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(SWAPD_|FAILPOINT)/.test(key));
  return {
    ...Object.fromEntries(inherited),
    ...OPEN_QUOTAS,
    SWAPD_ELECTRUM__SERVERS: `["${electrumUrl}"]`,
    ...settings,
    ...(arming.failpoint === undefined ? {} : { FAILPOINT: arming.failpoint }),
    ...(arming.traceFile === undefined ? {} : { FAILPOINT_TRACE: arming.traceFile }),
  };
}

export function sellerProcess(options: {
  readonly config: string;
  readonly electrumUrl: string;
  readonly logFile: string;
  readonly settings?: Settings;
}): SellerProcess {
  const { config, electrumUrl, logFile, settings = {} } = options;
  const deaths: string[] = [];
  let run: Run | undefined;
  let starts = 0;
  let deathsInARow = 0;

  const start = (arming: Arming): Run => {
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(process.execPath, ['--import', PRELOAD, DAEMON, 'run', '--config', config], {
      stdio: ['ignore', 'pipe', log, 'ipc'],
      env: environment(electrumUrl, arming, settings),
    });
    closeSync(log);
    starts += 1;
    const ready = new Promise<void>((resolve) => {
      if (child.stdout !== null)
        createInterface({ input: child.stdout }).once('line', () => {
          resolve();
        });
    });
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(signal ?? `exit code ${String(code)}: ${lastLine(logFile)}`);
      });
    });
    const mine: Run = {
      child,
      ready,
      isExpected: false,
      gone: exited.then((how) => {
        run = undefined;
        if (!mine.isExpected) {
          deaths.push(how);
          deathsInARow += 1;
        }
        if (deathsInARow < MOST_DEATHS && !isDown) run = start({});
      }),
    };
    return mine;
  };

  let isDown = true;
  const ready = async (): Promise<void> => {
    const end = Date.now() + READY_MS;
    for (;;) {
      const seen = run;
      if (seen === undefined || Date.now() > end) throw new Error(`swapd is not ready: ${deaths.join(' | ')}`);
      const isReady = await Promise.race([
        seen.ready.then(() => true),
        seen.gone.then(() => false),
        delay(READY_MS, false, { ref: false }),
      ]);
      if (isReady && seen === run) return;
    }
  };
  return {
    up: async (arming = {}) => {
      isDown = false;
      deathsInARow = 0;
      run ??= start(arming);
      await ready();
    },
    down: async () => {
      isDown = true;
      const last = run;
      if (last === undefined) return;
      last.isExpected = true;
      last.child.kill('SIGKILL');
      await last.gone;
    },
    kill: () => {
      if (run === undefined) return;
      run.isExpected = true;
      run.child.kill('SIGKILL');
    },
    ready,
    deaths: () => deaths,
    starts: () => starts,
  };
}

const lastLine = (file: string): string => readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '';
