import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openLiquidChain } from '../../../src/sandbox/liquid/world.js';
import { fundKey, OTHER_SCRIPT, P2WPKH, spendHex } from './liquidKit.js';

const PROGRAM = fileURLToPath(new URL('../../../dist/sandbox/vectors.js', import.meta.url));

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vectors-'));
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

function run(...files: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...files], { cwd: dir, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

/** A file of two vectors over one coin: a good spend, and one out of nowhere, with the given reject reason. */
async function writeVectors(name: string, reason: string): Promise<string> {
  const chain = await openLiquidChain();
  const coin = fundKey(chain);
  const { height } = chain.mine(1);
  const good = spendHex({ coins: [coin], toScript: OTHER_SCRIPT });
  const lost = spendHex({ coins: [{ ...coin, vout: 7 }] });
  const value = Buffer.alloc(9, 1);
  value.writeBigUInt64BE(coin.value, 1);
  const asset = Buffer.concat([Buffer.of(1), Buffer.from(chain.policyAsset, 'hex').reverse()]).toString('hex');
  const utxo = { txid: coin.txid, vout: 0, script: P2WPKH.toString('hex'), asset, value: value.toString('hex') };
  const file = {
    meta: {
      lbtc: chain.policyAsset,
      start: { height, mtp: chain.tip().time },
      utxos: [{ ...utxo, nonce: '00', height }],
    },
    vectors: [
      { op: 'test', name: 'good', hex: good, node: { allowed: true, vsize: 203, fees: { base: 0.00001 } }, sent: true },
      { op: 'test', name: 'lost', hex: lost, node: { allowed: false, 'reject-reason': reason } },
      { op: 'test', name: 'noise', hex: 'abcd', node: { allowed: false, undecodable: true } },
    ],
  };
  writeFileSync(join(dir, name), JSON.stringify(file));
  return name;
}

describe('the vectors program', () => {
  it('ends with the number that agree, over all files', async () => {
    const one = await writeVectors('one.json', 'missing-inputs');
    const two = await writeVectors('two.json', 'missing-inputs');
    expect(run(one, two)).toEqual({ code: 0, out: '6 of 6 agree\n', err: '' });
  });
  it('prints what differs and exits with 1', async () => {
    const file = await writeVectors('odd.json', 'dust');
    expect(run(file)).toEqual({
      code: 1,
      out: 'lost: expected dust, found missing-inputs\n2 of 3 agree\n',
      err: '',
    });
  });
  it('says in one line what is wrong with a file, and exits with 2', () => {
    writeFileSync(join(dir, 'broken.json'), '{"meta":');
    writeFileSync(join(dir, 'other.json'), '{"meta":{},"vectors":[]}');
    for (const file of ['absent.json', 'broken.json', 'other.json']) {
      const { code, out, err } = run(file);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(new RegExp(`^vectors: ${file}: [^\n]+\n$`));
    }
    expect(run()).toEqual({ code: 2, out: '', err: 'vectors: expected FILE..., found no file\n' });
  });
});
