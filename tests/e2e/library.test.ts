/** The documented library, as a wallet would use it: packed, compiled against its types, and run in a world. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { p2wpkhScriptPubKey } from '../../src/core/htlc.js';
import { encodeAddress } from '../../src/core/network.js';
import { examplesOf, installPacked, type Project } from '../support/packedLibrary.js';
import { startTestWorld, type TestWorld } from '../support/testWorld.js';
import { whileMining } from '../support/whileMining.js';
import { keyOf } from '../unit/core/zkp.js';

/** A wallet around the examples: buys once at a stretch, and once step by step with the claim out of the kit. */
const WALLET = `
import { assetAmount, assetId, claimKitFile, connectBuyer, createLogger, drivePurchase, pubkey } from 'ln-liquid-swap';
import { readEvidence, requestQuote, startPurchase, type Handover, type Step } from 'ln-liquid-swap';
import { buy, makeDataDir, resume } from './buy.js';
import { judge } from './check.js';
import { claim } from './claim.js';
import { promiseIn } from './proof.js';

const [text = ''] = process.argv.slice(2);
const given = JSON.parse(text) as Record<'dir' | 'seller' | 'nodeId' | 'server' | 'node' | 'token' | 'asset' | 'payout', string>;
const { dir } = given;
const signal = AbortSignal.timeout(60_000);
const shop = {
  dir,
  seller: { address: given.seller, nodeId: pubkey(given.nodeId) },
  electrum: { servers: [given.server], isSingleServerTrusted: false },
  lightning: { address: given.node, tokenFile: given.token },
};
const order = { assetId: assetId(given.asset), assetAmount: assetAmount(2_500_000_000n), payoutAddress: given.payout };
let words = '';
makeDataDir(dir, (made) => (words = made));
const first = await buy(shop, order, signal);

const connected = await connectBuyer({ ...shop, log: createLogger('wallet', 'silent') });
const buyer = connected.value;
const wishes = { minFundingConfs: undefined, maxPriceMsat: undefined, maxFeeSat: undefined, payoutAddress: given.payout };
const asset = { ticker: 'USDT', precision: 8 };
const { number } = await startPurchase(buyer, await requestQuote(buyer.seller, order), asset, wishes);
const driveTo = (until: Step) => drivePurchase(buyer, number, { until, signal, onEvent: () => undefined });
const { deal, progress } = await driveTo('verified');
if (progress.step !== 'verified') throw new Error('not verified');
const [held] = progress.htlc.outpoints;
if (held === undefined) throw new Error('no outpoint');
const { swapId, bolt11, witnessScript } = progress.htlc;
const fundingTxid = held.outpoint.txid;
const handover: Handover = { swapId, bolt11, witnessScript: Buffer.from(witnessScript, 'hex'), fundingTxid };
const verdict = await judge([given.server], deal, handover);
const refusal = await judge([given.server], { ...deal, assetAmount: assetAmount(deal.assetAmount + 1n) }, handover);
await driveTo('paid');
connected.close();
const claimed = await claim([given.server], claimKitFile(dir, number), signal);
const resumed = await resume(shop, signal);
const evidence = [first.number, number].map((each) => readEvidence(dir, each) ?? '');
console.log(
  JSON.stringify({
    words: words.split(' ').length,
    first: first.progress.step,
    cap: 'maxTotalCltvDelta' in verdict ? verdict.maxTotalCltvDelta : 0,
    refused: 'refused' in refusal ? refusal.refused : [],
    claimed: claimed.kind,
    resumed: resumed.map((record) => record.progress.step),
    promises: evidence.map(promiseIn),
  }),
);
`;

const resultSchema = z.strictObject({
  words: z.int(),
  first: z.string(),
  cap: z.int(),
  refused: z.array(z.string()),
  claimed: z.string(),
  resumed: z.array(z.string()),
  promises: z.array(z.string()),
});

let world: TestWorld;
let project: Project;
let dataDir: string;
let compiled: string;

beforeAll(async () => {
  const examples = examplesOf('docs/buyer-library.md');
  project = installPacked(new Map([...examples, ['wallet.ts', WALLET]]));
  compiled = project.compile();
  dataDir = join(mkdtempSync(join(tmpdir(), 'swap-wallet-')), 'data');
  world = await startTestWorld();
});
afterAll(async () => {
  await world.close();
  project.close();
  rmSync(join(dataDir, '..'), { recursive: true, force: true });
});

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs a program in the project. */
async function run(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd: project.dir, stdio: ['ignore', 'pipe', 'pipe'] });
  const told = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (told.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (told.stderr += chunk.toString()));
  return await new Promise((resolve) => {
    child.once('close', (code) => {
      resolve({ code, ...told });
    });
  });
}

describe('the packed library', () => {
  it('has its entry with types, and neither tests nor sources nor maps', () => {
    expect(project.packed).toEqual(expect.arrayContaining(['dist/library.js', 'dist/library.d.ts', 'LICENSE']));
    expect(project.packed.filter((path) => /^(tests|src)\/|\.map$|tsbuildinfo|(^|\/)\.|[^d]\.ts$/.test(path))).toEqual(
      [],
    );
  });

  it('compiles with the documented examples', () => {
    expect(compiled).toBe('');
  });

  it('buys, judges, claims from a kit, resumes and proves, as the examples say', async () => {
    const { swapd, electrum, lnnoded, assets } = world.file();
    const payout = encodeAddress({ scriptPubKey: p2wpkhScriptPubKey(keyOf('wallet').pubkey) }, 'regtest');
    const parameters = {
      dir: dataDir,
      seller: swapd.address,
      nodeId: lnnoded.seller.node_id,
      server: `tcp://${electrum.host}:${electrum.port}`,
      node: lnnoded.buyer.address,
      token: lnnoded.buyer.token_file,
      asset: assets['USDT']?.id,
      payout,
    };
    const { code, stdout, stderr } = await whileMining(world, run(['wallet.js', JSON.stringify(parameters)]));
    expect(stderr).toContain('purchase 0: claimed');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const found = resultSchema.parse(JSON.parse(stdout));
    expect(found).toMatchObject({ words: 24, first: 'claimed', claimed: 'claimed', resumed: ['claimed'] });
    expect(found.cap).toBeGreaterThan(0);
    expect(found.refused).toEqual(expect.arrayContaining(['terms_hash_mismatch', 'funding_amount']));
    for (const promise of found.promises) {
      expect(promise).toContain(`node ${lnnoded.seller.node_id} promised 2500000000 of asset ${assets['USDT']?.id}`);
      expect(promise).toMatch(/claimed by [0-9a-f]{64}$/);
    }
  });

  it('leaves evidence that only its owner can read, without words or keys', () => {
    const file = join(dataDir, 'swaps/0000/evidence.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    const kit = z.looseObject({ claim_privkey: z.string(), payout_script: z.string() });
    const { claim_privkey: key } = kit.parse(
      JSON.parse(readFileSync(join(dataDir, 'swaps/0000/claim-kit.json'), 'utf8')),
    );
    const words = readFileSync(join(dataDir, 'mnemonic'), 'utf8').trim().split(/\s+/);
    expect(text).not.toContain(key);
    expect(words.every((word, i) => text.includes(`${word} ${words[i + 1] ?? ''}`))).toBe(false);
  });

  it('does nothing when it is imported', async () => {
    const observed = `
      const watched = () => ({
        listeners: process.eventNames().map((name) => String(name) + process.listenerCount(name)).sort(),
        // zod, a dependency, registers itself there
        globals: Object.getOwnPropertyNames(globalThis).filter((name) => !name.startsWith('__zod_')).sort(),
        prototypes: [BigInt, Buffer, Object, Array, String, Promise, Error, Map].map((made) =>
          Object.getOwnPropertyNames(made.prototype).length),
        resources: process.getActiveResourcesInfo(),
        env: JSON.stringify(process.env),
      });
      console.error(''); // opens both streams, which would count as resources
      console.log('');
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = watched();
      await import('ln-liquid-swap');
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(JSON.stringify({ before, after: watched() }));`;
    const started = Date.now();
    const { code, stdout, stderr } = await run(['--input-type=module', '-e', observed]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '\n' });
    const same = z.object({ before: z.unknown(), after: z.unknown() }).parse(JSON.parse(stdout));
    expect(same.after).toEqual(same.before);
    expect(Date.now() - started).toBeLessThan(20_000); // nothing keeps the process alive
  });

  it('shows no other file than its entry', async () => {
    const { code, stderr } = await run([
      '--input-type=module',
      '-e',
      "await import('ln-liquid-swap/dist/core/keys.js')",
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
