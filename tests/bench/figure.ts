/** How a figure is taken and printed. */

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
