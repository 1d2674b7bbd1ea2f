import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { findAsset, refuseContradiction } from '../../../src/cli/asset.js';
import { readRegistry } from '../../../src/cli/registry.js';
import { assetId } from '../../../src/core/units.js';

const GOLD = { ticker: 'GOLD', asset_id: '11'.repeat(32), precision: 2 };
const USDT = { ticker: 'USDt', asset_id: '22'.repeat(32), precision: 8, name: 'Tether USD' };
const KNOWN = [
  { ticker: 'GOLD', assetId: assetId(GOLD.asset_id), precision: 2 },
  { ticker: 'USDt', assetId: assetId(USDT.asset_id), precision: 8, name: 'Tether USD' },
];

describe("a user's own list of assets", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'swap-assets-'));
  });
  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  function file(name: string, text: string): string {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  }

  it.each([
    ['list.json', JSON.stringify([GOLD, USDT])],
    ['object.json', JSON.stringify({ asset: [GOLD, USDT] })],
    [
      'list.toml',
      `[[asset]]\nticker = "GOLD"\nasset_id = "${GOLD.asset_id}"\nprecision = 2\n[[asset]]\nticker = "USDt"\nasset_id = "${USDT.asset_id}"\nprecision = 8\nname = "Tether USD"`,
    ],
  ])('is read from %s', (name, text) => {
    expect(readRegistry(file(name, text))).toEqual(KNOWN);
  });

  it.each([
    ['another key', { ...GOLD, colour: 'red' }, 'asset.0'],
    ['a short id', { ...GOLD, asset_id: '11' }, 'asset.0.asset_id: expected 64 lower-case hex digits'],
    ['nine decimals', { ...GOLD, precision: 9 }, 'asset.0.precision'],
    ['a ticker with a space', { ...GOLD, ticker: 'G D' }, 'asset.0.ticker: expected 1 to 24 letters'],
  ])('with %s is refused', (_what, entry, expected) => {
    expect(() => readRegistry(file('bad.json', JSON.stringify([entry])))).toThrow(expected);
  });

  it('is refused if a ticker or an id stands there twice, or if it is no list at all', () => {
    const twice = file('twice.json', JSON.stringify([GOLD, { ...USDT, ticker: 'gold' }]));
    expect(() => readRegistry(twice)).toThrow('found gold twice');
    const sameId = file('same.json', JSON.stringify([GOLD, { ...USDT, asset_id: GOLD.asset_id }]));
    expect(() => readRegistry(sameId)).toThrow(`found ${GOLD.asset_id} twice`);
    expect(() => readRegistry(file('no.json', '{'))).toThrow('found a text that does not parse');
    expect(() => readRegistry(join(dir, 'none.toml'))).toThrow('found ENOENT');
  });

  it('decides what a ticker means, whatever the seller calls so', () => {
    const other = { ticker: 'GOLD', assetId: assetId('33'.repeat(32)), precision: 2 };
    const real = { ticker: 'Aurum', assetId: assetId(GOLD.asset_id), precision: 2 };
    expect(findAsset('gold', [other, real], KNOWN)).toBe(real);
    expect(() => findAsset('gold', [other], KNOWN)).toThrow(`your own list of assets says is ${GOLD.asset_id}`);
  });

  it.each([
    ['counts other decimals', { ticker: 'GOLD', assetId: assetId(GOLD.asset_id), precision: 8 }, 'expected 2 decimals'],
    [
      'names the asset differently',
      { ticker: 'LEAD', assetId: assetId(GOLD.asset_id), precision: 2 },
      'to be called GOLD, found that the seller calls it LEAD',
    ],
    [
      'gives the ticker to another asset',
      { ticker: 'gold', assetId: assetId('33'.repeat(32)), precision: 2 },
      `expected GOLD to be ${GOLD.asset_id}`,
    ],
  ])('refuses a seller that %s', (_what, offered, expected) => {
    expect(() => {
      refuseContradiction(offered, KNOWN);
    }).toThrow(expected);
  });

  it('has nothing against the same names in other letters, nor against assets that it does not have', () => {
    refuseContradiction({ ticker: 'gold', assetId: assetId(GOLD.asset_id), precision: 2 }, KNOWN);
    refuseContradiction({ ticker: 'LEAD', assetId: assetId('33'.repeat(32)), precision: 0 }, KNOWN);
  });
});
