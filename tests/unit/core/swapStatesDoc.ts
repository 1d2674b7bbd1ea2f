/** Draws docs/swap-states.md from the transition tables. */
import { isFinalState, PAYMENT_MOVES, PUBLIC_STATUS, STATE_MOVES, SWAP_STATES } from '../../../src/core/swap.js';
import { markdownTable } from '../../support/markdownTable.js';

type Moves = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** One arrow per pair of states, labelled with every event that takes it. */
function arrows(moves: Moves): string[] {
  return Object.entries(moves).flatMap(([from, row]) => {
    const eventsTo = (target: string): string[] =>
      Object.entries(row).flatMap(([kind, to]) => (to === target ? [kind] : []));
    return [...new Set(Object.values(row))].map((to) => `${from} --> ${to}: ${eventsTo(to).join(', ')}`);
  });
}

function drawing(first: string, moves: Moves, ends: readonly string[]): string {
  const lines = [`[*] --> ${first}`, ...arrows(moves), ...ends.map((state) => `${state} --> [*]`)];
  return ['```mermaid', 'stateDiagram-v2', ...lines.map((line) => `    ${line}`), '```'].join('\n');
}

/** The whole page. */
export function renderSwapStates(): string {
  const shown = SWAP_STATES.map((state) => [state, PUBLIC_STATUS[state], isFinalState(state) ? 'yes' : '']);
  return `# States of a swap

Generated from the tables in \`src/core/swap.ts\`; a test fails when this page differs (\`UPDATE_DOCS=1\` writes it anew).
Every move that is not drawn is refused.

## On Liquid

${drawing('INTENT', STATE_MOVES, SWAP_STATES.filter(isFinalState))}

${markdownTable([['internal state', 'shown as', 'final'], ...shown])}

## On Lightning

\`SETTLING\` and \`CANCELING\` exclude each other: each is a commit that only one can win. A report of \`SETTLED\` is recorded
from every status. With \`funding_deep\` an \`OPEN\` payment that comes too late moves to \`CANCELING\` in the same commit.

${drawing('NONE', PAYMENT_MOVES, ['SETTLED', 'CANCELED'])}
`;
}
