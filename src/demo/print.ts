/** How the tour talks: numbered chapters, facts and checks. Colours only on a terminal. */
const isColoured = process.stdout.isTTY;
const paint = (code: string, text: string): string => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** A numbered chapter. */
export function chapter(number: number, title: string): void {
  say(`\n${paint('1', `${number}. ${title}`)}`);
}

/** Something that happened. */
export function fact(text: string): void {
  say(`   ${text}`);
}

/** Why the last thing was safe. */
export function why(text: string): void {
  say(`   ${paint('2', `why: ${text}`)}`);
}

/** A check with its outcome. */
export function checkLine(isOk: boolean, text: string): void {
  const mark = isOk ? paint('32', 'ok') : paint('31', 'REFUSED');
  say(`   ${mark}  ${text}`);
}

/** Rows under a heading; every column as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    say(
      `   ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('   ')}`,
    );
  }
}

/** The last line. */
export function ending(text: string): void {
  say(`\n${paint('1;32', text)}`);
}
