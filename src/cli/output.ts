/** Where words go: results on stdout (JSON or text), progress on stderr; colours only on a terminal. */
import { styleText } from 'node:util';

import { toJson } from './json.js';

/** The two ways to print a result. */
export type Output = {
  readonly isJson: boolean;
  /** The result: one JSON object, or text. */
  result(value: unknown, text: () => string): void;
  /** What goes on; stderr. */
  progress(line: string): void;
};

/** Writes to the process's streams. */
export function openOutput(isJson: boolean): Output {
  return {
    isJson,
    result: (value, text) => {
      process.stdout.write(`${isJson ? JSON.stringify(toJson(value)) : text()}\n`);
    },
    progress: (line) => {
      process.stderr.write(`${line}\n`);
    },
  };
}

type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold';

/** Colours text if the stream is a terminal that wants colours. */
export function colour(format: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  const isWanted = stream.isTTY && process.env['NO_COLOR'] === undefined;
  return isWanted ? styleText(format, text, { validateStream: false }) : text;
}

/** Rows in columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Name and value, one pair a line; pairs without a value are left out. */
export function fields(pairs: readonly (readonly [name: string, value: string])[]): string {
  return table(pairs.filter(([, value]) => value !== ''));
}
