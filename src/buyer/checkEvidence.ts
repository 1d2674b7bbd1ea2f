/** Checks on evidence: its parts belong together and to what the seller's node signed. Pure. */
import { createHash } from 'node:crypto';

import { findFundingOutputs, fundingOutputs, type FundingProblem } from '../core/funding.js';
import { hashPreimage, p2wshScriptPubKey, type HtlcTerms } from '../core/htlc.js';
import type { DecodedInvoice } from '../core/invoice.js';
import { LIQUID_NETWORKS, networkOfGenesis, type LiquidNetworkName } from '../core/network.js';
import { parseTerms, type Terms } from '../core/terms.js';
import { parseTransaction, txidOf, type HtlcOutpoint, type TxOutput } from '../core/tx.js';
import { preimage, txid, type Txid } from '../core/units.js';
import { errorChain, SwapError } from '../errors.js';
import type { Check } from './check.js';
import { readInvoice } from './checkInvoice.js';
import { readScript } from './checkScript.js';
import type { Evidence } from './evidenceFile.js';

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

/** What evidence shows once every check passed. */
export type EvidenceFacts = {
  readonly network: LiquidNetworkName;
  /** What the seller's node signed. */
  readonly terms: Terms;
  readonly invoice: DecodedInvoice;
  readonly htlc: HtlcTerms;
  /** Id of the funding in the evidence. Whether it confirmed, the chain tells. */
  readonly fundingTxid: Txid;
  /** The HTLC's outputs: the asset first. Whoever spent them, the chain tells. */
  readonly outpoints: readonly HtlcOutpoint[];
  readonly claimTxid: Txid | undefined;
};

/** All checks in a fixed order; `facts` is undefined if and only if one failed. */
export type EvidenceReport = { readonly checks: readonly EvidenceCheck[]; readonly facts: EvidenceFacts | undefined };

/** A finding before its sentence is added; `isMade` false if something before it is missing. */
type Finding = Omit<EvidenceCheck, 'sentence'>;

const find = (code: EvidenceCode, ok: boolean, expected: string, found: string): Finding => ({
  ...{ code, ok, expected, found },
  isMade: true,
});
const skip = (code: EvidenceCode, expected: string, missing: string): Finding => ({
  ...{ code, expected, found: `not checkable: ${missing}` },
  ok: false,
  isMade: false,
});

/** Two values that must be the same; without one of them it cannot be told. */
function same(code: EvidenceCode, expected: string | undefined, found: string | undefined, missing: string): Finding {
  return expected === undefined || found === undefined
    ? skip(code, expected ?? 'a value of the terms', missing)
    : find(code, expected === found, expected, found);
}

/** What a parser gives, or why it refused. */
function attempt<T>(parse: () => T): { value: T } | { problem: string } {
  try {
    return { value: parse() };
  } catch (error) {
    if (!(error instanceof SwapError)) throw error;
    return { problem: errorChain(error) };
  }
}

const valueOf = <T>(read: { value: T } | { problem: string }): T | undefined =>
  'value' in read ? read.value : undefined;

/** @throws SwapError `invalid_argument`. */
function bytesOf(what: string, text: string): Buffer {
  if (!/^([0-9a-f]{2})*$/.test(text)) {
    throw new SwapError('invalid_argument', `${what}: expected lower-case hex, found other text`);
  }
  return Buffer.from(text, 'hex');
}

const read = (code: EvidenceCode, expected: string, outcome: { value: unknown } | { problem: string }): Finding =>
  find(code, 'value' in outcome, expected, 'value' in outcome ? expected : outcome.problem);

/** The invoice is the node's signature on these terms. */
function checkSignature(
  terms: Terms | undefined,
  text: Evidence['terms'],
  invoice: DecodedInvoice | undefined,
): Finding[] {
  const network = terms === undefined ? undefined : networkOfGenesis(terms.genesis);
  const bitcoin = network === undefined ? undefined : LIQUID_NETWORKS[network].bitcoinNetwork;
  const missing = invoice === undefined ? 'no invoice' : 'no terms';
  const committed = invoice === undefined ? undefined : (invoice.descriptionHash ?? 'no description_hash');
  const price = terms === undefined ? undefined : `${terms.priceMsat} msat`;
  return [
    terms === undefined
      ? skip('genesis_unknown', 'a known genesis', 'no terms')
      : find('genesis_unknown', network !== undefined, 'a known genesis', network ?? terms.genesis),
    same('invoice_network', bitcoin, invoice?.network, bitcoin === undefined ? 'no known network' : missing),
    same('invoice_signature_payee', terms?.sellerNodeId, invoice?.payee, missing),
    same('invoice_amount', price, invoice === undefined ? undefined : `${invoice.amountMsat} msat`, missing),
    // The text as it stands: were the terms not canonical, the hash would still be of what was shown.
    same('terms_hash_mismatch', createHash('sha256').update(text).digest('hex'), committed, missing),
  ];
}

/** The HTLC is the one of the terms, and the preimage opens it and the payment. */
function checkLock(
  terms: Terms | undefined,
  htlc: HtlcTerms | undefined,
  invoice: DecodedInvoice | undefined,
  secret: string,
): Finding[] {
  const missing = terms === undefined ? 'no terms' : 'no HTLC script';
  const hashes = [terms?.paymentHash, invoice?.paymentHash, htlc?.paymentHash];
  const all = hashes.filter((hash) => hash !== undefined);
  const opened = attempt(() => hashPreimage(preimage(bytesOf('preimage', secret))));
  return [
    same('script_claim_key', terms?.claimPkh, htlc?.claimPkh, missing),
    same('script_refund_key', terms?.refundPkh, htlc?.refundPkh, missing),
    all.length < hashes.length
      ? skip('payment_hash_mismatch', 'one hash', invoice === undefined ? 'no invoice' : missing)
      : find('payment_hash_mismatch', new Set(all).size === 1, all[0] ?? '', [...new Set(all)].join(', ')),
    terms === undefined
      ? skip('preimage_mismatch', 'the hash of the terms', missing)
      : find(
          'preimage_mismatch',
          valueOf(opened) === terms.paymentHash,
          `a preimage of ${terms.paymentHash}`,
          'problem' in opened ? opened.problem : `one of ${opened.value}`,
        ),
  ];
}

/** In the order in which core looks; what comes after the first problem was not looked at. */
const FUNDING_CODES = [
  'funding_blinded',
  'funding_nonce',
  'funding_missing_output',
  'funding_extra_output',
  'funding_asset',
  'funding_amount',
] as const satisfies readonly (FundingProblem['code'] & EvidenceCode)[];

type Funding = { readonly fundingTxid: Txid; readonly outpoints: readonly HtlcOutpoint[] };

/** The funding's bytes hold exactly what the terms promise for this script. */
function checkFunding(
  evidence: Evidence,
  terms: Terms | undefined,
  htlc: HtlcTerms | undefined,
): [Finding[], Funding?] {
  const parsed = attempt(() => parseTransaction(bytesOf('funding', evidence.funding_tx)));
  const readable = read('funding_unreadable', 'one transaction', parsed);
  const unknown = (missing: string): Finding[] =>
    FUNDING_CODES.map((code) => skip(code, 'the outputs of the terms', missing));
  if ('problem' in parsed) return [[readable, ...unknown('no funding transaction')]];
  const network = terms === undefined ? undefined : networkOfGenesis(terms.genesis);
  if (terms === undefined || network === undefined) return [[readable, ...unknown('no terms of a known chain')]];
  if (htlc === undefined) return [[readable, ...unknown('no HTLC script')]];
  const scriptPubKey = p2wshScriptPubKey(Buffer.from(evidence.witness_script, 'hex'));
  const expected = attempt(() =>
    fundingOutputs({ ...terms, policyAsset: LIQUID_NETWORKS[network].policyAsset, scriptPubKey }),
  );
  if ('problem' in expected) return [[readable, ...unknown(expected.problem)]];
  const found = findFundingOutputs(parsed.value, { scriptPubKey, expected: expected.value });
  const findings = [readable, ...fundingFindings(expected.value, found.ok ? undefined : found.problem)];
  return found.ok ? [findings, { fundingTxid: txidOf(parsed.value), outpoints: found.outpoints }] : [findings];
}

function fundingFindings(expected: readonly TxOutput[], problem: FundingProblem | undefined): Finding[] {
  const promised = expected.map((output) => `${output.value} of asset ${output.assetId}`).join(' and ');
  const failedAt = problem === undefined ? FUNDING_CODES.length : FUNDING_CODES.indexOf(problem.code);
  return FUNDING_CODES.map((code, i) => {
    if (i < failedAt) return find(code, true, promised, 'as promised');
    return i === failedAt && problem !== undefined
      ? find(code, false, promised, problem.message)
      : skip(code, promised, problem?.code ?? 'the check before');
  });
}

/** Judges evidence whose form is right. */
export function checkEvidence(evidence: Evidence): EvidenceReport {
  const { witness_script: scriptHex, claim_txid: claim } = evidence;
  const readTerms = attempt(() => parseTerms(evidence.terms));
  const invoiceRead = readInvoice(evidence.bolt11);
  const invoice = 'invoice' in invoiceRead ? invoiceRead.invoice : undefined;
  const terms = valueOf(readTerms);
  const htlc = readScript(valueOf(attempt(() => bytesOf('script', scriptHex))) ?? Buffer.alloc(0));
  const [fundingFound, funding] = checkFunding(evidence, terms, htlc);
  const claimTxid = claim === null ? undefined : attempt(() => txid(claim));
  const findings = [
    find('evidence_unreadable', true, 'evidence', 'evidence'),
    read('terms_unreadable', 'canonical terms', readTerms),
    find(
      'invoice_unreadable',
      invoice !== undefined,
      'a BOLT 11 invoice',
      'problem' in invoiceRead ? invoiceRead.problem : 'a BOLT 11 invoice',
    ),
    ...checkSignature(terms, evidence.terms, invoice),
    find('script_template', htlc !== undefined, 'the HTLC template', htlc === undefined ? 'another script' : 'it'),
    ...checkLock(terms, htlc, invoice, evidence.preimage),
    ...fundingFound,
    claimTxid === undefined
      ? find('claim_txid_malformed', true, 'a txid or null', 'null: nothing was claimed')
      : read('claim_txid_malformed', 'a txid or null', claimTxid),
  ];
  const checks = inOrder(findings);
  const network = terms === undefined ? undefined : networkOfGenesis(terms.genesis);
  const isWhole = terms !== undefined && invoice !== undefined && htlc !== undefined && funding !== undefined;
  if (!isWhole || network === undefined || checks.some((item) => !item.ok)) return { checks, facts: undefined };
  const claimed = claimTxid === undefined ? undefined : valueOf(claimTxid);
  return { checks, facts: { network, terms, invoice, htlc, ...funding, claimTxid: claimed } };
}

/** The report on a text that is no evidence. */
export function unreadableEvidence(problem: string): EvidenceReport {
  const [first, ...others] = Object.keys(EVIDENCE_CODES) as EvidenceCode[];
  if (first === undefined) throw new Error('there are checks');
  const rest = others.map((code) => skip(code, 'evidence', 'no evidence'));
  return { checks: inOrder([find(first, false, 'evidence', problem), ...rest]), facts: undefined };
}

/** The codes that failed. */
export const failedEvidenceCodes = (report: EvidenceReport): EvidenceCode[] =>
  report.checks.filter((item) => !item.ok).map((item) => item.code);

/** Every code exactly once: a check that somebody forgets to make counts as a bug. */
function inOrder(findings: readonly Finding[]): EvidenceCheck[] {
  return (Object.entries(EVIDENCE_CODES) as [EvidenceCode, string][]).map(([code, sentence]) => {
    const [first, ...more] = findings.filter((item) => item.code === code);
    if (first === undefined || more.length > 0) throw new Error(`check ${code} was not made once`);
    return { ...first, sentence };
  });
}
