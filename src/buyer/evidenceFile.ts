/** The format of evidence: what stands in the file, read strictly. Pure. */
import { z } from 'zod';

import { SwapError } from '../errors.js';
import { printable } from './printable.js';

/** The largest transaction that is relayed is 800 000 digits; everything else is small. */
const MAX_CHARACTERS = 1_048_576;

const evidenceSchema = z.strictObject({
  version: z.literal(1),
  /** Canonical terms (docs/protocol.md, section 1). */
  terms: z.string(),
  bolt11: z.string(),
  /** Hex. */
  witness_script: z.string(),
  /** Hex of the raw transaction. */
  funding_tx: z.string(),
  /** Display order; null if nothing was claimed. */
  claim_txid: z.string().nullable(),
  /** 64 hex digits. */
  preimage: z.string(),
});

/** What evidence says. Only its form is known to be right. */
export type Evidence = z.output<typeof evidenceSchema>;

/** The text of an evidence file. */
export const encodeEvidence = (evidence: Evidence): string => `${JSON.stringify(evidence, undefined, 2)}\n`;

function refuse(found: string, cause?: unknown): never {
  throw new SwapError('invalid_argument', `evidence: expected the seven fields of version 1, found ${found}`, {
    cause,
  });
}

/** With a field twice, or spelled with escapes, another reader could see something else than we do. */
function hasOneReading(text: string, parsed: unknown): boolean {
  const withoutSpace = text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_all, string: string | undefined) => string ?? '');
  return withoutSpace === JSON.stringify(parsed);
}

/**
 * Reads evidence.
 *
 * @throws SwapError `invalid_argument` unless it is JSON with every field once and no other, in at most 1 MiB; the
 *   message shows no value.
 */
export function parseEvidence(text: string): Evidence {
  if (text.length > MAX_CHARACTERS) refuse(`${text.length} characters`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    refuse('no JSON'); // the cause would quote the text
  }
  const read = evidenceSchema.safeParse(parsed);
  if (!read.success) refuse(printable(z.prettifyError(read.error).replaceAll('\n', ' ')));
  if (!hasOneReading(text, parsed)) refuse('a field twice, or text that can be read in two ways');
  return read.data;
}
