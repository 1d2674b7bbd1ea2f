/** The table of docs/interoperability.md: what ran beside which version of other software. */
import { z } from 'zod';

import type { Played } from './interoperability.js';

/** Between them columns are of no width, so that a line changes only with what it says. */
const [BEGIN, END] = ['<!-- prettier-ignore-start -->', '<!-- prettier-ignore-end -->'];
const HEAD = ['ours', 'beside', 'what was played', 'tests passed', 'suite', 'Node.js'] as const;

/** A line of the table, its cells as text. */
export type Row = {
  readonly ours: string;
  /** Programs and versions. */
  readonly beside: string;
  readonly what: string;
  readonly tests: string;
  /** The suite's file, e.g. `tests/daemons/lndTraps.test.ts`. */
  readonly suite: string;
  /** Major version. */
  readonly node: string;
};

/** What one run found out. */
export type Ran = {
  readonly rows: readonly Row[];
  /** Those of them with programs that somebody brought: their versions may be others than the page's. */
  readonly brought: readonly Row[];
  /** Files of which every test ran and passed: they have no other rows. */
  readonly wholeSuites: readonly string[];
  /** Major version of Node.js. */
  readonly node: string;
};

/** The row of a group of so many tests, all of them passed. */
export function rowOf(played: Played, place: { suite: string; node: string; tests: number }): Row {
  const list = (words: readonly string[]): string =>
    [...new Set(words)].sort((one, other) => (one.toLowerCase() < other.toLowerCase() ? -1 : 1)).join(', ');
  const beside = list(played.software.map(({ program, version }) => `${program} ${version}`));
  return { ours: list(played.ours), what: played.what, beside, ...place, tests: `${place.tests}` };
}

/** The same group of tests on the same line of Node.js. */
const isSame = (one: Row, other: Row): boolean =>
  (['ours', 'what', 'suite', 'node'] as const).every((cell) => one[cell] === other[cell]);

const link = (suite: string): string => `[${suite.replace(/^tests\//, '').replace(/\.\w+\.ts$/, '')}](../${suite})`;
const cellsOf = ({ ours, beside, what, tests, suite, node }: Row): string[] =>
  [ours, beside, what, tests, link(suite), node].map((cell) => cell.replaceAll('|', '/'));
const textOf = (row: Row): string => cellsOf(row).join(' | ');
const differs = (told: Row, found: Row): string => `the page says: ${textOf(told)}; found: ${textOf(found)}`;

const cellsSchema = z.tuple([z.string(), z.string(), z.string(), z.string(), z.string(), z.string()]);

function parseRow(line: string): Row {
  const cells = line.split('|').slice(1, -1);
  const [ours, beside, what, tests, linked, node] = cellsSchema.parse(cells.map((cell) => cell.trim()));
  const suite = /\(\.\.\/(.*)\)$/.exec(linked)?.[1];
  if (suite === undefined) throw new Error(`expected a link to a suite, found ${linked}`);
  return { ours, beside, what, tests, suite, node };
}

function tableIn(page: string): { begin: number; end: number } {
  const [begin, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  if (begin < BEGIN.length || end < begin) throw new Error(`expected "${BEGIN}" and "${END}" in the page`);
  return { begin, end };
}

/** The table's rows. @throws Error if the page has no place for them */
export function rowsOn(page: string): readonly Row[] {
  const { begin, end } = tableIn(page);
  const [, , ...lines] = page
    .slice(begin, end)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  return lines.map(parseRow);
}

/** Rows of the page that this run says something about and that are not among those of the run. */
const outdated = (rows: readonly Row[], ran: Ran): readonly Row[] =>
  rows.filter(
    (row) =>
      row.node === ran.node && ran.wholeSuites.includes(row.suite) && !ran.rows.some((found) => isSame(found, row)),
  );

/** Where the page and a run disagree, one sentence each; nothing on a line of Node.js of which the page says nothing. */
export function differences(page: string, ran: Ran): readonly string[] {
  const rows = rowsOn(page);
  if (!rows.some(({ node }) => node === ran.node)) return [];
  const twice = ran.rows.filter((row, at) => ran.rows.findIndex((other) => isSame(other, row)) < at);
  const wrong = ran.rows.flatMap((row) => {
    const told = rows.find((each) => isSame(each, row));
    if (ran.brought.includes(row)) return told === undefined || told.tests === row.tests ? [] : [differs(told, row)];
    if (told === undefined) return [`not on the page: ${textOf(row)}`];
    return textOf(told) === textOf(row) ? [] : [differs(told, row)];
  });
  return [
    ...twice.map((row) => `two groups that cannot be told apart: ${textOf(row)}`),
    ...wrong,
    ...outdated(rows, ran).map((row) => `no longer played: ${textOf(row)}`),
  ];
}

/** The page with the rows of this run in place of those of the same groups; all others stay as they are. */
export function pageWith(page: string, ran: Ran): string {
  const { begin, end } = tableIn(page);
  const rows = rowsOn(page);
  const gone = outdated(rows, ran);
  const kept = rows.filter((row) => !gone.includes(row) && !ran.rows.some((found) => isSame(found, row)));
  const order = ({ ours, suite, what, node }: Row): string => [ours, suite, what, node].join('\n');
  const sorted = [...kept, ...ran.rows].sort((one, other) => (order(one) < order(other) ? -1 : 1));
  const lines = [HEAD, HEAD.map(() => '---'), ...sorted.map(cellsOf)];
  const table = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `${page.slice(0, begin)}\n\n${table}\n\n${page.slice(end)}`;
}
