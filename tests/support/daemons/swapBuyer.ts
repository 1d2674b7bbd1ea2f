/** A buyer: the real `swap` program that pays from lnnoded or lnd, or a person beside it who pays by hand with lncli. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { initDataDir, readRecords } from '../../../src/buyer/dataDir.js';
import type { PurchaseRecord } from '../../../src/buyer/record.js';
import { paymentHash, type PaymentHash } from '../../../src/core/units.js';
import { swapOf } from '../../crash/stage.js';
import { eventually } from '../eventually.js';
import type { Place } from '../programStage.js';
import { startSwap, type SwapEnd, type SwapRun } from '../swapProgram.js';
import { builtDaemon } from './binaries.js';
import type { LndProgram } from './lndProgram.js';
import { lightningSection, type SwapNode, type SwapSeller } from './swapSeller.js';
import type { Backend, SwapWorld } from './swapWorld.js';

export const PAYERS = ['lnnoded', 'lnd', 'lncli'] as const;
type Payer = (typeof PAYERS)[number];
/** Who sells on what, and who pays with what. */
export type Pair = { readonly seller: Backend; readonly payer: Payer };

const AMOUNT = '10';
const TIMEOUT_SECS = 300;
const ORDER_MS = 90_000;
const LNCLI_MS = 240_000;

export type Purchase = {
  readonly pair: Pair;
  readonly seller: SwapSeller;
  /** The node that has the money, whoever tells it to pay. */
  readonly node: SwapNode;
  readonly id: string;
  readonly hash: PaymentHash;
  readonly record: () => PurchaseRecord;
  /** `swap buy`. */
  readonly run: SwapRun;
  /** `swap buy --resume`, to its end. */
  readonly resume: () => Promise<SwapEnd>;
};

/** Flags of `swap` that name the node that pays. */
export async function payerFlags(node: SwapNode): Promise<readonly string[]> {
  const section = await lightningSection(node, 'swap.macaroon');
  const { backend, address, token_file, macaroon_file, tls_cert_file } = section;
  const flags = {
    '--lightning-backend': backend,
    '--lightning-address': address,
    '--lightning-token-file': token_file,
    '--lightning-macaroon-file': macaroon_file,
    '--lightning-tls-cert': tls_cert_file,
  };
  return Object.entries(flags).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
}

/** Flags of `swap` for a buyer with this data directory, which is made. */
function buyerFlags(world: SwapWorld, { seller, payer }: Pair, dir: string): readonly string[] {
  const { address, node } = world.sellers[seller];
  initDataDir(dir);
  const { host, port } = world.liquid.electrum;
  return [
    ...['--seller', address, '--seller-node-id', node.nodeId, '--electrum', `tcp://${host}:${port}`],
    ...['--data-dir', dir],
    ...(payer === 'lncli' ? ['--pay', 'external'] : world.payerFlags[payer]),
  ];
}

/** The program, ended with the world; its log is of interest while it runs or if it failed. */
function follow({ started }: Place, args: readonly string[]): SwapRun {
  const run = startSwap(args);
  started({
    log: () => (run.child.exitCode === 0 ? '(it is done)' : run.stderr()),
    stop: async () => {
      run.child.kill('SIGKILL');
      await run.ended;
    },
  });
  return run;
}

/** Starts `swap buy` and waits until the seller has made the swap. The funding waits for a block. */
export function order(world: SwapWorld, pair: Pair, name: string): Promise<Purchase> {
  const label = `${name}-${pair.seller}-${pair.payer}`;
  const { programs } = world;
  return programs.start(label, async (place) => {
    const dir = join(place.dir, 'data');
    const flags = [...buyerFlags(world, pair, dir), '--timeout', `${TIMEOUT_SECS}`];
    const run = follow(place, ['buy', '--asset', world.liquid.asset, '--amount', AMOUNT, ...flags]);
    const created = await eventually(
      'a swap',
      () => {
        if (run.child.exitCode !== null) throw new Error(`it ended with ${run.child.exitCode}: ${run.stderr()}`);
        const [record] = readRecords(dir);
        return record?.progress.step === 'created' ? record : undefined;
      },
      ORDER_MS,
    );
    const seller = world.sellers[pair.seller];
    const id = swapOf(created);
    return {
      pair,
      seller,
      node: world.payers[pair.payer === 'lncli' ? 'lnd' : pair.payer],
      id,
      hash: paymentHash(seller.swap(id)?.payment_hash ?? ''),
      record: () => readRecords(dir)[0] ?? created,
      run,
      resume: () => programs.start(`${label}-resumed`, (other) => follow(other, ['buy', '--resume', ...flags]).ended),
    };
  });
}

/** `swap buy --dry-run`, to its end. */
export const dryRun = (world: SwapWorld, pair: Pair): Promise<SwapEnd> =>
  world.programs.start('dry-run', (place) => {
    const flags = buyerFlags(world, pair, join(place.dir, 'data'));
    return follow(place, ['buy', '--dry-run', '--asset', world.liquid.asset, '--amount', AMOUNT, ...flags]).ended;
  });

/** How `lncli payinvoice` ended. */
export type LncliEnd = { readonly code: number | null; readonly output: string };

/** Runs lncli as the owner of a node does, who says yes when asked. */
export async function lncli({ process: node }: LndProgram, args: readonly string[]): Promise<LncliEnd> {
  const login = [`--rpcserver=${node.rpcAddress}`, `--tlscertpath=${node.tlsCertFile}`];
  const child = spawn(
    builtDaemon('lncli'),
    ['--network=regtest', ...login, `--macaroonpath=${node.adminMacaroonFile}`, ...args],
    { stdio: ['pipe', 'pipe', 'pipe'], timeout: LNCLI_MS, killSignal: 'SIGKILL' },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  child.stdin.end('yes\n');
  return await new Promise((resolve) => {
    child.once('close', (code) => {
      resolve({ code, output });
    });
  });
}
