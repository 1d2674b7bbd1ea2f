/** All lies, in the order in which they are told. */
import { ANSWER_LIES, QUOTE_LIES } from './answerLies.js';
import { FUNDING_LIES } from './fundingLies.js';
import { INVOICE_LIES } from './invoiceLies.js';
import type { Lie } from './lie.js';
import { SCRIPT_LIES } from './scriptLies.js';
import { LONE_SERVER_LIES, SERVER_LIES } from './serverLies.js';

/** Groups of lies, as they stand in docs/lies.md. */
export const GROUPS: readonly { readonly group: string; readonly lies: readonly Lie[] }[] = [
  { group: 'Another script', lies: SCRIPT_LIES },
  { group: 'Another funding', lies: FUNDING_LIES },
  { group: 'Another invoice', lies: INVOICE_LIES },
  { group: 'Another quote', lies: QUOTE_LIES },
  { group: 'Other words', lies: ANSWER_LIES },
  { group: 'A server beside an honest one', lies: SERVER_LIES },
  { group: 'A lone server', lies: LONE_SERVER_LIES },
];

export const ALL_LIES: readonly Lie[] = GROUPS.flatMap(({ lies }) => lies);

/** What becomes of a lie: one without a code is harmless, unless nobody is there who could contradict it. */
export function verdictOf({ codes, isAlone = false }: Lie): 'refused' | 'harmless' | 'believed' {
  if (codes.length > 0) return 'refused';
  return isAlone ? 'believed' : 'harmless';
}
