/** The table of a crash matrix and its last line. */
import type { CaseReport } from './matrix.js';

/** One row: path, failpoint, end, verdict. */
export function row({ path, failpoint, end, verdict, problems, seconds }: CaseReport): string {
  const cells = [path.padEnd(26), (failpoint ?? '(no kill)').padEnd(38), end.padEnd(20), verdict.padEnd(11)];
  const lines = problems.map((problem) => `\n    ${problem.replaceAll('\n', '\n    ')}`);
  return `${cells.join(' ')} ${seconds.toFixed(1)} s${lines.join('')}`;
}

/** Totals of all cases. `isGood` only if nothing was lost and nothing funded twice. */
export function summary(reports: readonly CaseReport[]): { readonly line: string; readonly isGood: boolean } {
  const matrix = reports.filter(({ failpoint, verdict }) => failpoint !== undefined && verdict !== 'not reached');
  const names = matrix.map(({ failpoint }) => failpoint?.replace(/:\d+$/, '') ?? '');
  const failpoints = new Set(names.filter((name) => !name.includes('random')));
  const paths = new Set(reports.map(({ path }) => path).filter((path) => !/at once/.test(path)));
  const kills = reports.reduce((sum, report) => sum + report.kills, 0);
  const lost = reports.filter(({ verdict }) => verdict === 'lost').length;
  const doubleFunded = reports.filter(({ verdict }) => verdict === 'double').length;
  return {
    line: `${failpoints.size} failpoints x ${paths.size} paths, ${kills} kills: ${lost} lost, ${doubleFunded} double-funded`,
    isGood: reports.length > 0 && lost + doubleFunded === 0,
  };
}
