import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** What a test tells the table about itself. */
export type Row = {
  readonly codes: readonly string[];
  readonly verdict: 'refused' | 'ignored' | 'harmless' | 'believed' | 'held' | 'claimed';
};

const NAME_WIDTH = 58;
const CODES_WIDTH = 74;

/** Prints the table of lies: one line each, and how many were refused at the end. */
export default class TableReporter implements Reporter {
  #lies = 0;
  #refused = 0;
  #others = 0;
  #asExpected = 0;

  onTestCaseResult(test: TestCase): void {
    const { row } = test.meta() as { row?: Row };
    const { state, errors = [] } = test.result();
    const isOk = state === 'passed';
    const isLie = row === undefined || row.verdict === 'refused' || row.verdict === 'ignored';
    if (isLie) this.#lies += 1;
    else this.#others += 1;
    if (isOk && isLie) this.#refused += 1;
    if (isOk && !isLie) this.#asExpected += 1;
    const codes = row === undefined || row.codes.length === 0 ? '-' : row.codes.join(' ');
    const verdict = isOk ? (row?.verdict ?? 'refused') : `NOT ${row?.verdict ?? 'refused'}`;
    process.stdout.write(`${test.name.padEnd(NAME_WIDTH)} ${codes.padEnd(CODES_WIDTH)} ${verdict}\n`);
    for (const error of isOk ? [] : errors) process.stdout.write(`    ${error.message}\n`);
  }

  onTestModuleEnd(module: TestModule): void {
    for (const error of module.errors()) process.stderr.write(`${error.stack ?? error.message}\n`);
  }

  onTestRunEnd(): void {
    process.stdout.write(`${this.#asExpected} of ${this.#others} others ended as expected\n`);
    process.stdout.write(`${this.#refused} of ${this.#lies} lies refused\n`);
    if (this.#refused < this.#lies || this.#lies === 0) process.exitCode = 1;
  }
}
