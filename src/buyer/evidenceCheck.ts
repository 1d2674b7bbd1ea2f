/** One finding about evidence, and the stable names of all of them. Pure. */
import { errorChain, SwapError } from '../errors.js';
import type { Check } from './check.js';
import { printable } from './printable.js';

/**
 * Every check of evidence, in the order of the report. The codes are stable: scripts may rely on them. A code names
 * what is wrong when the check fails.
 */
export const EVIDENCE_CODES = {
  evidence_unreadable: 'the file is evidence of version 1: seven fields, each once, and no other',
  terms_unreadable: 'the terms are in their canonical form',
  genesis_unknown: 'the terms name a Liquid chain that we know',
  invoice_unreadable: 'the invoice is valid BOLT 11',
  invoice_network: 'the invoice is for the Bitcoin network that belongs to this Liquid network',
  invoice_signature_payee: "the invoice's signature recovers to the node of the terms",
  invoice_amount: 'the invoice asks exactly the price of the terms',
  terms_hash_mismatch: 'the invoice commits to these terms',
  script_template: 'the witness script is the HTLC template, byte for byte',
  script_claim_key: 'the HTLC pays the claim key of the terms',
  script_refund_key: 'the HTLC goes back to the refund key of the terms',
  payment_hash_mismatch: 'terms, invoice and HTLC are locked by the same hash',
  preimage_mismatch: 'the preimage opens that hash',
  funding_unreadable: 'the funding is one transaction',
  funding_blinded: 'the HTLC outputs show asset and amount in the clear',
  funding_nonce: 'the HTLC outputs carry no nonce',
  funding_missing_output:
    'the HTLC has an output for the asset and one for the claim fee (one for both when L-BTC is sold)',
  funding_extra_output: 'the funding pays nothing else to the HTLC',
  funding_asset: 'the HTLC holds the asset of the terms',
  funding_amount: 'the HTLC holds the amount and the fee subsidy of the terms',
  claim_txid_malformed: 'the claim is named by a transaction id, or null says that there was none',
} as const;

/** Code of a check of evidence. */
export type EvidenceCode = keyof typeof EVIDENCE_CODES;

/** One check with its outcome. */
export type EvidenceCheck = Omit<Check, 'code'> & { readonly code: EvidenceCode };

/** A finding before its sentence is added; `isMade` false if something before it is missing. */
export type Finding = Omit<EvidenceCheck, 'sentence'>;

/** A check that was made. */
export const find = (code: EvidenceCode, ok: boolean, expected: string, found: string): Finding => ({
  ...{ code, ok, expected, found },
  isMade: true,
});
/** A check that could not be made. */
export const skip = (code: EvidenceCode, expected: string, missing: string): Finding => ({
  ...{ code, expected, found: `not checkable: ${missing}` },
  ok: false,
  isMade: false,
});

/** Two values that must be the same; without one of them it cannot be told. */
export function same(
  code: EvidenceCode,
  expected: string | undefined,
  found: string | undefined,
  missing: string,
): Finding {
  return expected === undefined || found === undefined
    ? skip(code, expected ?? 'a value of the terms', missing)
    : find(code, expected === found, expected, found);
}

/** What a parser gives, or why it refused. */
export function attempt<T>(parse: () => T): { value: T } | { problem: string } {
  try {
    return { value: parse() };
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    return { problem: printable(errorChain(error)) };
  }
}

/** The value, if there is one. */
export const valueOf = <T>(read: { value: T } | { problem: string }): T | undefined =>
  'value' in read ? read.value : undefined;

/** Bytes out of lower-case hex. @throws SwapError `invalid_argument`. */
export function bytesOf(what: string, text: string): Buffer {
  if (!/^([0-9a-f]{2})*$/.test(text)) {
    throw new SwapError('invalid_argument', `${what}: expected lower-case hex, found other text`);
  }
  return Buffer.from(text, 'hex');
}

/** The check that a part can be read. */
export const readable = (
  code: EvidenceCode,
  expected: string,
  outcome: { value: unknown } | { problem: string },
): Finding => find(code, 'value' in outcome, expected, 'value' in outcome ? expected : outcome.problem);

/** Every code exactly once: a check that somebody forgets to make counts as a bug. */
export function inOrder(findings: readonly Finding[]): EvidenceCheck[] {
  return Object.entries(EVIDENCE_CODES).map(([code, sentence]) => {
    const [first, ...more] = findings.filter((item) => item.code === code);
    if (first === undefined || more.length > 0) throw new Error(`check ${code} (${sentence}) was not made once`);
    return { ...first, sentence };
  });
}
