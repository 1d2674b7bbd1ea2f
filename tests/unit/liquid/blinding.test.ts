import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { Transaction } from 'liquidjs-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ZERO_BLINDER, type Zkp } from '../../../src/core/blind.js';
import { walletKey } from '../../../src/core/keys.js';
import { LIQUID_NETWORKS } from '../../../src/core/network.js';
import { parseTransaction, rawOf } from '../../../src/core/tx.js';
import { assetAmount, assetId, outpoint, reversedBytes } from '../../../src/core/units.js';
import { startBlindingWorker, type BlindingWorker, type BuildTask } from '../../../src/liquid/blinding.js';
import { runBuild, runUnblind, type UnblindTask } from '../../../src/liquid/blindingTasks.js';

const load = createRequire(import.meta.url)('@vulpemventures/secp256k1-zkp') as { default: () => Promise<Zkp> };

const LBTC = LIQUID_NETWORKS.regtest.policyAsset;
const ASSET = assetId('ab'.repeat(32));
const SEED = Buffer.alloc(64, 7);
const [first, second] = [walletKey(SEED, 'regtest', 0, 0), walletKey(SEED, 'regtest', 1, 0)];
const explicit = { assetBlinder: ZERO_BLINDER, valueBlinder: ZERO_BLINDER };

/** Two confidential outputs of two assets and a fee, out of explicit inputs. */
const task: BuildTask = {
  inputs: [
    {
      ...explicit,
      outpoint: outpoint('11'.repeat(32), 0),
      sequence: 0xffff_fffd,
      assetId: LBTC,
      value: assetAmount(9_000n),
    },
    {
      ...explicit,
      outpoint: outpoint('11'.repeat(32), 1),
      sequence: 0xffff_fffd,
      assetId: ASSET,
      value: assetAmount(77n),
    },
  ],
  outputs: [
    { scriptPubKey: first.scriptPubKey, blindingPubkey: first.blindingPubkey, assetId: ASSET, value: assetAmount(77n) },
    {
      scriptPubKey: second.scriptPubKey,
      blindingPubkey: second.blindingPubkey,
      assetId: LBTC,
      value: assetAmount(8_000n),
    },
    { scriptPubKey: Buffer.alloc(0), assetId: LBTC, value: assetAmount(1_000n) },
  ],
  locktime: 0,
};

let zkp: Zkp;
let rawTx: Buffer;

beforeAll(async () => {
  zkp = await load.default();
  rawTx = runBuild(zkp, task, randomBytes);
});

/** The first output opened after a change to the transaction. */
const openChanged = (change: (output: Transaction['outs'][number], tx: Transaction) => void): unknown => {
  const tx = parseTransaction(rawTx);
  const [output] = tx.outs;
  if (output === undefined) throw new Error('no output');
  change(output, tx);
  return runUnblind(zkp, { rawTx: rawOf(tx), vout: 0, blindingPrivateKey: first.blindingPrivateKey });
};

describe('a confidential output', () => {
  it('opens with its key and gives the blinders that spending it takes', () => {
    const opened = [
      runUnblind(zkp, { rawTx, vout: 0, blindingPrivateKey: first.blindingPrivateKey }),
      runUnblind(zkp, { rawTx, vout: 1, blindingPrivateKey: second.blindingPrivateKey }),
    ] as const;
    expect(opened).toMatchObject([
      { assetId: ASSET, value: 77n },
      { assetId: LBTC, value: 8_000n },
    ]);
    const inputs = opened.flatMap((output, vout) =>
      output === undefined ? [] : [{ ...output, outpoint: outpoint('22'.repeat(32), vout), sequence: 0 }],
    );
    expect(inputs).toHaveLength(2);
    expect(() =>
      runBuild(zkp, { ...task, inputs: inputs.toReversed(), outputs: spendAll(8_000n) }, randomBytes),
    ).not.toThrow();
  });

  it('does not open with another key', () => {
    expect(runUnblind(zkp, { rawTx, vout: 0, blindingPrivateKey: second.blindingPrivateKey })).toBeUndefined();
  });

  it.each(['explicit', 'missing'])('that is %s has nothing to open', (what) => {
    const vout = what === 'explicit' ? 2 : 9;
    expect(runUnblind(zkp, { rawTx, vout, blindingPrivateKey: first.blindingPrivateKey })).toBeUndefined();
  });

  it.each<[string, (output: Transaction['outs'][number]) => void]>([
    ['an explicit asset', (output) => (output.asset = Buffer.concat([Buffer.of(1), reversedBytes(ASSET)]))],
    ['an explicit amount', (output) => (output.value = Buffer.concat([Buffer.of(1), Buffer.alloc(8)]))],
    ['no nonce', (output) => (output.nonce = Buffer.of(0))],
    ['a nonce that is no point', (output) => (output.nonce = Buffer.alloc(33, 2))],
    ['no range proof', (output) => (output.rangeProof = Buffer.alloc(0))],
    ['a range proof of noise', (output) => (output.rangeProof = randomBytes(4_174))],
    ['a range proof of one byte', (output) => (output.rangeProof = Buffer.of(0x60))],
    ['a huge range proof', (output) => (output.rangeProof = randomBytes(1_000_000))],
    ['another script', (output) => (output.script = Buffer.from(second.scriptPubKey))],
    ['a commitment that is no point', (output) => (output.asset = Buffer.alloc(33, 10))],
  ])('with %s does not open, and breaks nothing', (_what, change) => {
    expect(openChanged(change)).toBeUndefined();
    expect(runUnblind(zkp, { rawTx, vout: 0, blindingPrivateKey: first.blindingPrivateKey })).toBeDefined();
  });

  it('with one changed byte in its range proof does not open, wherever it is', () => {
    const proofLength = parseTransaction(rawTx).outs[0]?.rangeProof?.length ?? 0;
    for (let at = 0; at < proofLength; at += 97) {
      expect(openChanged(({ rangeProof }) => rangeProof?.writeUInt8(rangeProof.readUInt8(at) ^ 1, at))).toBeUndefined();
    }
  });

  it('of junk whose proof claims to be L-BTC does not open as L-BTC', () => {
    const junk = randomBytes(32);
    const [assetBlinder, valueBlinder, ephemeral] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const asset = Buffer.from(zkp.generator.generateBlinded(junk, assetBlinder));
    const value = Buffer.from(zkp.pedersen.commitment('100000000', asset, valueBlinder));
    const opened = openChanged((output, tx) => {
      const nonce = sharedNonce(ephemeral);
      const message = Buffer.concat([reversedBytes(LBTC), assetBlinder]);
      const { script } = output;
      const proof = zkp.rangeproof.sign(
        '100000000',
        value,
        asset,
        valueBlinder,
        nonce,
        '1',
        '0',
        '52',
        message,
        script,
      );
      expect(zkp.rangeproof.verify(proof, value, asset, script)).toBe(true);
      const point = Buffer.from(zkp.ecc.pointFromScalar(ephemeral, true) ?? []);
      tx.outs[0] = { ...output, asset, value, nonce: point, rangeProof: Buffer.from(proof) };
    });
    expect(opened).toBeUndefined();
  });
});

function sharedNonce(ephemeral: Buffer): Buffer {
  const shared = zkp.ecdh(Buffer.from(first.blindingPubkey, 'hex'), ephemeral);
  return createHash('sha256').update(shared).digest();
}

/** The same two outputs, the second with all L-BTC but a fee. */
function spendAll(value: bigint): BuildTask['outputs'] {
  return task.outputs.map((output) =>
    output.assetId === ASSET
      ? output
      : { ...output, value: assetAmount(output.scriptPubKey.length === 0 ? 100n : value - 100n) },
  );
}

describe('the blinding thread', () => {
  let worker: BlindingWorker;
  let dir: string;

  beforeAll(() => {
    worker = startBlindingWorker();
    dir = mkdtempSync(join(tmpdir(), 'blinding-'));
  });
  afterAll(() => {
    worker.close();
    rmSync(dir, { recursive: true });
  });

  const open: () => UnblindTask = () => ({ rawTx, vout: 0, blindingPrivateKey: first.blindingPrivateKey });

  it('builds and opens like the functions it runs', async () => {
    const built = await worker.buildTransaction(task);
    expect(parseTransaction(built).outs).toHaveLength(3);
    expect(built.equals(await worker.buildTransaction(task))).toBe(false); // fresh randomness each time
    const opened = await worker.unblind({ ...open(), rawTx: built });
    expect(opened).toMatchObject({ assetId: ASSET, value: 77n });
    expect(Buffer.isBuffer(opened?.assetBlinder)).toBe(true);
    expect(await worker.unblind({ ...open(), vout: 2 })).toBeUndefined();
  });

  it('says what cannot be built, and goes on', async () => {
    const unbalanced = { ...task, outputs: task.outputs.slice(0, 2) };
    await expect(worker.buildTransaction(unbalanced)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(worker.unblind({ ...open(), rawTx: Buffer.of(1, 2, 3) })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    expect(await worker.unblind(open())).toBeDefined();
  });

  it('that crashes rejects what is open, and another one starts with the next call', async () => {
    const dying = join(dir, 'dying.mjs');
    const marker = join(dir, 'started');
    // The first one dies of its first task, the next one answers.
    writeFileSync(
      dying,
      `import { parentPort } from 'node:worker_threads';
       import { existsSync, writeFileSync } from 'node:fs';
       const isFirst = !existsSync(${JSON.stringify(marker)});
       writeFileSync(${JSON.stringify(marker)}, '');
       parentPort.on('message', ({ id }) => {
         if (isFirst) throw new Error('out of order');
         parentPort.postMessage({ id, kind: 'unblinded', output: undefined });
       });`,
    );
    const crashing = startBlindingWorker(pathToFileURL(dying));
    const both = await Promise.allSettled([crashing.unblind(open()), crashing.unblind(open())]);
    expect(both.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect(await crashing.unblind(open())).toBeUndefined();
    crashing.close();
    await expect(crashing.unblind(open())).rejects.toThrow('was closed');
  });

  it('rejects what is open when it is closed', async () => {
    const short = startBlindingWorker();
    const pending = expect(short.buildTransaction(task)).rejects.toThrow('the blinding thread ended');
    short.close();
    await pending;
  });
});
