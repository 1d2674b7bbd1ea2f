/** How a figure is taken and printed. */
import { markdownTable } from '../support/markdownTable.js';

/** Milliseconds that it takes. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** The middle of many times, so that a busy machine counts less. */
export async function medianOf(count: number, run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) times.push(await timed(run));
  return times.sort((a, b) => a - b)[Math.floor(count / 2)] ?? Number.NaN;
}

/** Prints `what: found = ratio x baseline`. */
export function printFigure(
  what: string,
  found: { readonly value: number; readonly unit: string },
  baseline: { readonly what: string; readonly value: number },
): void {
  const ratio = found.value / baseline.value;
  const value = `${found.value.toFixed(2)} ${found.unit}`;
  process.stdout.write(`\n${what}: ${value} = ${ratio.toFixed(2)} x ${baseline.what} (${baseline.value.toFixed(2)})\n`);
}

/** Takes samples of several kinds in turn, each round in the other order, so that what happens meanwhile hits all. */
export async function inTurn<Kind extends string, T>(
  kinds: readonly Kind[],
  rounds: number,
  take: (kind: Kind) => Promise<T>,
): Promise<Readonly<Record<Kind, readonly T[]>>> {
  const taken = new Map<Kind, T[]>(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of round % 2 === 0 ? kinds : [...kinds].reverse()) taken.get(kind)?.push(await take(kind));
  }
  return Object.fromEntries(taken) as Record<Kind, T[]>;
}

/** The value below which this share of all lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

/** Prints a table; the first row is the head. */
export function printTable(title: string, rows: readonly (readonly string[])[]): void {
  process.stdout.write(`\n${title}\n\n${markdownTable(rows)}\n`);
}
