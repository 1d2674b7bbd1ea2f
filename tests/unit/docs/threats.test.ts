import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');

type Row = { readonly threat: string; readonly rule: string; readonly tests: readonly Proof[] };
type Proof = { readonly file: string; readonly name: string };

/** Rows of all tables of the page that have four cells. */
const ROWS: readonly Row[] = read('docs/threats.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| threat |') && !line.startsWith('| --- |'))
  .map((line) => {
    const [threat = '', wrong = '', rule = '', tests = '', ...more] = line.slice(2, -2).split(' | ');
    if (wrong === '' || more.length > 0) throw new Error(`expected four cells, found ${line}`);
    return { threat, rule, tests: tests.split('<br>').map((text) => proofOf(text)) };
  });

function proofOf(text: string): Proof {
  const [, file = '', name = ''] = /^`(tests\/[^`]+)` (.+)$/.exec(text) ?? [];
  if (file === '') throw new Error(`expected a file in backticks and a name, found ${text}`);
  return { file, name };
}

const TITLE = /(?:\b(?:describe|it)(?:\.concurrent)?|\))\(\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`),/g;
/** What stands for a value in a title. */
const PLACE = /%[sdijo]|\$\{[^}]*\}|\$\w+/g;

/** Titles of suites and tests as a file has them. */
const titlesOf = (source: string): string[] =>
  [...source.matchAll(TITLE)].map(([, quoted = '']) => quoted.slice(1, -1).replaceAll("\\'", "'"));

/** Whether the title, or one of its rows, is called that. */
function isCalled(title: string, name: string, source: string): boolean {
  if (title === name) return true;
  const places = title.match(PLACE) ?? [];
  if (places.length === 0) return false;
  const literal = title.split(PLACE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const values = new RegExp(`^${literal.join('(.+)')}$`).exec(name)?.slice(1);
  return values?.every((value) => isValueOf(value, source)) ?? false;
}

/** A row's value is text or a number of the table; a placeholder stands for every row. */
function isValueOf(value: string, source: string): boolean {
  if (/^%[sdijo]$/.test(value)) return true;
  const numbers = source.replace(/(\d)_(?=\d)/g, '$1');
  if (/^(?:\d+n?|true|false)$/.test(value) && new RegExp(`[[( ]${value}[,\\])]`).test(numbers)) return true;
  const text = value.replace(/^'(.*)'$/, '$1');
  return [`'${text}'`, `"${text}"`].some((quoted) => source.includes(quoted)) || vectors().includes(`"${text}"`);
}

const vectors = (): string => read('tests/vectors/htlc.json');

describe('docs/threats.md', () => {
  it('has every threat once, with its rule in a file that exists', () => {
    expect(ROWS.length).toBeGreaterThan(40);
    expect(new Set(ROWS.map(({ threat }) => threat)).size).toBe(ROWS.length);
    for (const { threat, rule } of ROWS) {
      const paths = [...rule.matchAll(/`((?:src|migrations)\/[^`]+)`/g)].map(([, path = '']) => path);
      expect(paths.length, threat).toBeGreaterThan(0);
      expect(
        paths.filter((path) => !existsSync(`${ROOT}/${path}`)),
        threat,
      ).toEqual([]);
      for (const [, path = '', name = ''] of rule.matchAll(/`(src\/[^`]+)` \(`(\w+)`\)/g)) {
        expect(read(path), threat).toMatch(new RegExp(`\\b(?:function|const) ${name}\\b`));
      }
    }
  });
  it.each(ROWS.map((row) => [row.threat, row] as const))('names tests that exist: %s', (_threat, row) => {
    const missing = row.tests.filter(({ file, name }) => {
      if (!existsSync(`${ROOT}/${file}`)) return true;
      const source = read(file);
      const titles = titlesOf(source);
      return !name.split(' > ').every((part) => titles.some((title) => isCalled(title, part, source)));
    });
    expect(missing).toEqual([]);
  });
  it('would notice a test that was renamed, in its title or in its table', () => {
    const source = read('tests/unit/core/funding.test.ts');
    const titles = titlesOf(source);
    const isKnown = (name: string): boolean => titles.some((title) => isCalled(title, name, source));
    expect(isKnown('is refused with one unit short')).toBe(true);
    expect(isKnown('is refused with one unit long')).toBe(false);
    expect(isKnown('is refused')).toBe(false);
  });
});
