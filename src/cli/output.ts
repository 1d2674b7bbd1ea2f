/** Where words go: results on stdout (JSON or text), progress on stderr; colours only on a terminal. */
import { styleText } from 'node:util';

import { toJson } from './json.js';

/** The ways to print. */
export type Output = {
  readonly isJson: boolean;
  /** True if somebody watches stderr as it changes. */
  readonly isLive: boolean;
  /** The result: one JSON object, or text. */
  result(value: unknown, text: () => string): void;
  /** What goes on; stderr. */
  progress(line: string): void;
  /** The one line under everything that changes in place; only where somebody watches. An empty one takes it away. */
  status(line: string): void;
};

/** Back to the first column, and the line is empty. */
const CLEAR_LINE = '\r\x1b[2K';

/** Writes to the process's streams. */
export function openOutput(isJson: boolean): Output {
  const { stderr, stdout } = process;
  const isLive = !isJson && stderr.isTTY && process.env['TERM'] !== 'dumb';
  let shown = '';
  const put = (line: string): void => {
    if (line === '' && shown === '') return;
    shown = line;
    stderr.write(CLEAR_LINE + line.slice(0, Math.max(stderr.columns - 1, 20)));
  };
  return {
    isJson,
    isLive,
    result: (value, text) => {
      put('');
      stdout.write(`${isJson ? JSON.stringify(toJson(value)) : text()}\n`);
    },
    progress: (line) => {
      const before = shown;
      put('');
      stderr.write(`${line}\n`);
      put(before);
    },
    status: (line) => {
      if (isLive) put(line);
    },
  };
}

type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold';

/** Colours text if the stream is a terminal that wants colours. */
export function colour(
  format: Colour,
  text: string,
  stream: Pick<NodeJS.WriteStream, 'isTTY'> = process.stdout,
): string {
  const { NO_COLOR: refused = '', TERM: terminal } = process.env;
  const isWanted = stream.isTTY && refused === '' && terminal !== 'dumb';
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
