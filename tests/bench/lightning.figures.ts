/**
 * How quick lnnoded and lnd are at what a swap asks of them: two nodes of each on one btcd, sample by sample in turn, so
 * that noise hits both. Their folders lie on the disk: both commit before they act.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { msat, type PaymentHash } from '../../src/core/units.js';
import { openChannel } from '../support/channelScenario.js';
import { daemonBinary } from '../support/daemons/binaries.js';
import { startBtcd } from '../support/daemons/btcd.js';
import type { FullNode } from '../support/daemons/fullNode.js';
import { startLnd } from '../support/daemons/lndProgram.js';
import { eventually } from '../support/eventually.js';
import { invoiceRequest, newSecret } from '../support/lightningWorld.js';
import { lnnodedOn } from '../support/lnnodedPrograms.js';
import { startProgramStage, type NodeProgram, type ProgramStage } from '../support/programStage.js';
import { inTurn, printTable, percentile } from './figure.js';

const WARM_UP = 20;
const SAMPLES = 250;
/** An output of its own in every commitment transaction, and all of them together are less than the channel. */
const AMOUNT_MSAT = 3_000_000n;
const HELD_MS = 60_000;
const LONG_MS = 600_000;
const NAME = 'lnnoded and lnd side by side';

const BACKENDS = ['lnnoded', 'lnd'] as const;
type Backend = (typeof BACKENDS)[number];
/** Milliseconds of one sample. */
const STEPS = ['invoice', 'pay to held', 'settle to the preimage at the payer'] as const;
type Sample = Readonly<Record<(typeof STEPS)[number], number>>;

const isBuilt = daemonBinary('btcd') !== undefined && daemonBinary('lnd') !== undefined;
if (!isBuilt) process.stdout.write(`${NAME}: skipped: lnd and btcd are not built (npx just daemons)\n`);

/** Resolves when the payee's own hints say that a payment is held, as the seller hears of it. */
function watchHeld({ port }: NodeProgram): { held: (hash: PaymentHash) => Promise<void>; stop: () => Promise<void> } {
  const abort = new AbortController();
  const waiting = new Map<PaymentHash, () => void>();
  const ended = (async () => {
    for await (const hash of port.watchInvoices(abort.signal)) {
      if (waiting.has(hash) && (await port.lookupInvoice(hash))?.state === 'HELD') waiting.get(hash)?.();
    }
  })();
  ended.catch(() => undefined); // told by stop(); until then a wait says what is missing
  return {
    held: (hash) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error('not in time: a held payment'));
        }, HELD_MS);
        waiting.set(hash, () => {
          clearTimeout(timer);
          waiting.delete(hash);
          resolve();
        });
      }),
    stop: () => {
      abort.abort();
      return ended;
    },
  };
}

async function sampleOf({ payer, payee }: ProgramStage, held: (hash: PaymentHash) => Promise<void>): Promise<Sample> {
  const { paymentHash, preimage } = newSecret();
  const request = invoiceRequest(paymentHash, { amountMsat: msat(AMOUNT_MSAT) });
  const begin = performance.now();
  const { bolt11 } = await payee.port.createHoldInvoice(request);
  const made = performance.now();
  const isHeld = held(paymentHash);
  const called = performance.now();
  const paying = payer.port.pay({ bolt11, maxFeeMsat: msat(0n), maxTotalCltvDelta: 200, timeoutSecs: 60 });
  await Promise.race([isHeld, paying.then((result) => Promise.reject(new Error(`not held: ${result.state}`)))]);
  const settled = performance.now();
  await payee.port.settleInvoice(preimage);
  expect(await paying).toMatchObject({ state: 'SUCCEEDED' });
  return {
    invoice: made - begin,
    'pay to held': settled - called,
    'settle to the preimage at the payer': performance.now() - settled,
  };
}

describe.skipIf(!isBuilt)(NAME, () => {
  const stages = new Map<Backend, ProgramStage>();
  const watchers = new Map<Backend, ReturnType<typeof watchHeld>>();

  beforeAll(async () => {
    let chain: FullNode | undefined;
    const starters = {
      lnnoded: lnnodedOn('bitcoind', 'info'),
      lnd: startLnd,
    };
    for (const backend of BACKENDS) {
      const stage = await startProgramStage<FullNode>(
        {
          chain: async (place) => (chain ??= await startBtcd(place)),
          payer: starters[backend],
          payee: starters[backend],
        },
        { newFolder: (prefix) => mkdtempSync(join(tmpdir(), prefix)) },
      );
      stages.set(backend, stage);
      await openChannel(stage);
      watchers.set(backend, watchHeld(stage.payee));
    }
  }, LONG_MS);
  afterAll(async () => {
    for (const watcher of watchers.values()) await watcher.stop();
    for (const stage of [...stages.values()].reverse()) await stage.close(); // the first one has the chain
  }, LONG_MS);

  it('invoice, held, preimage', { timeout: LONG_MS }, async () => {
    const take = (backend: Backend): Promise<Sample> => {
      const [stage, watcher] = [stages.get(backend), watchers.get(backend)];
      if (stage === undefined || watcher === undefined) throw new Error(`no ${backend}`);
      return sampleOf(stage, watcher.held);
    };
    for (const backend of BACKENDS) {
      // A channel that is called usable may refuse to pay for a second more.
      await eventually('a first payment', () => take(backend).catch(() => undefined), HELD_MS);
    }
    await inTurn(BACKENDS, WARM_UP, take);
    const samples = await inTurn(BACKENDS, SAMPLES, take);
    const rows = STEPS.flatMap((step) =>
      [0.5, 0.99].map((share) => {
        const at = (backend: Backend): number =>
          percentile(
            samples[backend].map((sample) => sample[step]),
            share,
          );
        const ratio = (at('lnnoded') / at('lnd')).toFixed(2);
        return [step, `p${share * 100}`, ...BACKENDS.map((backend) => `${at(backend).toFixed(1)} ms`), ratio];
      }),
    );
    const software = [...stages.values()].flatMap(({ chain, payer }) => [...chain.software, ...payer.software]);
    const versions = new Set(software.map(({ program, version }) => `${program} ${version}`));
    const title = `${NAME}, ${SAMPLES} payments each: ${[...versions].join(', ')}`;
    printTable(title, [['step', '', ...BACKENDS, 'lnnoded / lnd'], ...rows]);
  });
});
