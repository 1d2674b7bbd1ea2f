import type { Reporter, TestModule } from 'vitest/node';

/** Prints only what the tests themselves did not tell: errors before the first row. The last line stays the matrix's. */
export default class QuietReporter implements Reporter {
  onTestModuleEnd(module: TestModule): void {
    for (const error of module.errors()) process.stderr.write(`${error.stack ?? error.message}\n`);
  }
}
