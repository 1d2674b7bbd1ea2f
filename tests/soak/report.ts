/** The figures of a soak. */
import { killCount, NODES } from './kills.js';
import type { SoakReport } from './soak.js';

const grouped = (value: bigint): string => value.toString().replace(/\B(?=(\d{3})+$)/g, ',');

/** Lines for people; the last one tells how it went. */
export function soakLines(report: SoakReport): string[] {
  const { stories, kills, settled, canceled, seconds, problems } = report;
  const from = (payer: string): number => stories.filter(({ plan }) => plan.payer === payer).length;
  const failures = stories.reduce((sum, story) => sum + story.failures, 0);
  const lasting = stories.filter(({ plan }) => plan.holdMs === undefined).length;
  const perNode = NODES.map((name) => `${name} ${kills.counts[name]}`).join(', ');
  return [
    `${stories.length} payments (A->C ${from('A')}, C->A ${from('C')}): ${settled} settled, ${canceled} canceled, ` +
      `${lasting} of them held through every kill, ${failures} attempts found no path; ${seconds.toFixed(0)} s`,
    `${killCount(kills)} kills (${perNode}; ${kills.early} during a start, ${kills.pairs} times two nodes at once), ` +
      `${kills.heldLooks} looks at held payments after them`,
    ...problems.map((problem) => `PROBLEM ${problem}`),
    `${report.channelsLost} channels lost, sent ${grouped(report.sentMsat)} msat, claimed ${grouped(report.claimedMsat)} msat, ` +
      `B earned ${grouped(report.feesMsat)} msat, ${problems.length} problems`,
  ];
}
