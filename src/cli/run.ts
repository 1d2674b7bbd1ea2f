/** What every command gets, and how its action is wrapped. */
import { Command } from 'commander';
import type { z } from 'zod';

import { connectBuyer, connectChains, type Opened } from '../buyer/connect.js';
import type { Buyer, ChainSide } from '../buyer/buyer.js';
import { initDataDir, isInitialized } from '../buyer/dataDir.js';
import type { ExternalPayer } from '../buyer/externalPay.js';
import { openAdmin, openSeller, type AdminClient, type SellerClient } from '../buyer/rpcClient.js';
import { SwapError } from '../errors.js';
import { plainWords } from '../zodWords.js';
import type { ExitCode } from './exit.js';
import { openOutput, type Output } from './output.js';
import {
  adminEndpoint,
  buyerEndpoints,
  electrumEndpoints,
  globalFlags,
  loadSettings,
  loggerOf,
  sellerEndpoint,
  type Settings,
} from './settings.js';

/** One run of a command. */
export type Run = {
  readonly settings: Settings;
  readonly out: Output;
  /**
   * From here on Ctrl-C (or SIGTERM) says what `tell` says and aborts the signal, so that the run stops at the next safe
   * moment; a second one ends the program at once. Before that the first one does.
   */
  readonly interruptible: (tell: () => string) => AbortSignal;
};

function interruptible(out: Output, tell: () => string): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    out.status('');
    out.progress(`\nstopping. ${tell()} Ctrl-C again stops at once.`.replace(/^\n/, out.isLive ? '\n' : ''));
    controller.abort();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return controller.signal;
}

/** Wraps a command's body: options are checked by the schema, the exit code is set from its result. */
export function action<S extends z.ZodType>(
  schema: S,
  body: (run: Run, options: z.output<S>, args: readonly string[]) => Promise<ExitCode>,
): (...parameters: unknown[]) => Promise<void> {
  return async (...parameters) => {
    const command = parameters.at(-1);
    if (!(command instanceof Command)) throw new Error('commander calls actions with their command last');
    const flags = globalFlags.parse(command.optsWithGlobals());
    const out = openOutput(flags.json);
    const run: Run = {
      settings: loadSettings(flags, process.env),
      out,
      interruptible: (tell) => interruptible(out, tell),
    };
    process.exitCode = await body(run, parseOptions(schema, command.opts()), command.args);
  };
}

/** @throws SwapError `invalid_argument` naming each wrong option with what was expected and found. */
function parseOptions<S extends z.ZodType>(schema: S, options: unknown): z.output<S> {
  const parsed = schema.safeParse(options, { reportInput: true, error: plainWords });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message, input }) => {
    const flag = String(path[0]).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return `--${flag}: ${message}, found "${String(input).slice(0, 60)}"`;
  });
  throw new SwapError('invalid_argument', problems.join('; '));
}

async function using<T, R>(opened: Opened<T>, body: (value: T) => Promise<R>): Promise<R> {
  try {
    return await body(opened.value);
  } finally {
    opened.close();
  }
}

/** A world's buyer needs no ceremony: its coins are toys. */
export function initWorldBuyer({ settings, out }: Run): void {
  if (!settings.isWorld || isInitialized(settings.dataDir)) return;
  initDataDir(settings.dataDir);
  out.progress(`made a mnemonic for this world's buyer in ${settings.dataDir}`);
}

/** Connects everything a purchase needs, for the time of the body. */
export async function withBuyer<R>(run: Run, body: (buyer: Buyer) => Promise<R>, external?: ExternalPayer): Promise<R> {
  initWorldBuyer(run);
  return await using(await connectBuyer(buyerEndpoints(run.settings, external)), body);
}

/**
 * Connects the buyer's own Electrum servers, for the time of the body.
 *
 * @param fallbackServers used if the settings name none.
 */
export async function withChains<R>(
  { settings }: Run,
  body: (side: ChainSide) => Promise<R>,
  fallbackServers: readonly string[] = [],
): Promise<R> {
  return await using(await connectChains(electrumEndpoints(settings, fallbackServers), loggerOf(settings)), body);
}

/** Connects the seller, for the time of the body. */
export async function withSeller<R>(run: Run, body: (client: SellerClient) => Promise<R>): Promise<R> {
  const opened = openSeller(sellerEndpoint(run.settings));
  return await using({ ...opened, value: opened.client }, body);
}

/** Connects the operator's listener, for the time of the body. */
export async function withAdmin<R>(run: Run, body: (client: AdminClient) => Promise<R>): Promise<R> {
  const opened = openAdmin(adminEndpoint(run.settings));
  return await using({ ...opened, value: opened.client }, body);
}
