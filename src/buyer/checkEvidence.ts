/** Checks on evidence: its parts belong together and to what the seller's node signed. Pure. */
import { createHash } from 'node:crypto';

import { hashPreimage, type HtlcTerms } from '../core/htlc.js';
import { decodeInvoice, type DecodedInvoice } from '../core/invoice.js';
import { LIQUID_NETWORKS, networkOfGenesis, type BitcoinNetworkName, type LiquidNetworkName } from '../core/network.js';
import { parseTerms, type Terms } from '../core/terms.js';
import type { HtlcOutpoint } from '../core/tx.js';
import { preimage, txid, type Txid } from '../core/units.js';
import { readScript } from './checkScript.js';
import {
  attempt,
  bytesOf,
  EVIDENCE_CODES,
  find,
  inOrder,
  readable,
  same,
  skip,
  valueOf,
  type EvidenceCheck,
  type EvidenceCode,
  type Finding,
} from './evidenceCheck.js';
import type { Evidence } from './evidenceFile.js';
import { checkFunding } from './evidenceFunding.js';

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

const BITCOIN_NETWORKS: readonly BitcoinNetworkName[] = ['bitcoin', 'testnet', 'regtest'];

/** The invoice under the network it is for; which one that may be is a check of its own. */
function readInvoice(bolt11: string): { value: DecodedInvoice } | { problem: string } {
  const reads = BITCOIN_NETWORKS.map((network) => attempt(() => decodeInvoice(bolt11, network)));
  const problems = reads.map((read) => ('problem' in read ? read.problem : ''));
  return reads.find((read) => 'value' in read) ?? { problem: [...new Set(problems)].join('; ') };
}

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

/** Judges evidence whose form is right. */
export function checkEvidence(evidence: Evidence): EvidenceReport {
  const { witness_script: scriptHex, claim_txid: claim } = evidence;
  const readTerms = attempt(() => parseTerms(evidence.terms));
  const invoiceRead = readInvoice(evidence.bolt11);
  const invoice = valueOf(invoiceRead);
  const terms = valueOf(readTerms);
  const htlc = readScript(valueOf(attempt(() => bytesOf('script', scriptHex))) ?? Buffer.alloc(0));
  const [fundingFound, funding] = checkFunding(evidence, terms, htlc);
  const claimTxid = claim === null ? undefined : attempt(() => txid(claim));
  const findings = [
    find('evidence_unreadable', true, 'evidence', 'evidence'),
    readable('terms_unreadable', 'canonical terms', readTerms),
    readable('invoice_unreadable', 'a BOLT 11 invoice', invoiceRead),
    ...checkSignature(terms, evidence.terms, invoice),
    find('script_template', htlc !== undefined, 'the HTLC template', htlc === undefined ? 'another script' : 'it'),
    ...checkLock(terms, htlc, invoice, evidence.preimage),
    ...fundingFound,
    claimTxid === undefined
      ? find('claim_txid_malformed', true, 'a txid or null', 'null: nothing was claimed')
      : readable('claim_txid_malformed', 'a txid or null', claimTxid),
  ];
  const checks = inOrder(findings);
  const network = terms === undefined ? undefined : networkOfGenesis(terms.genesis);
  const isWhole = terms !== undefined && invoice !== undefined && htlc !== undefined && funding !== undefined;
  if (!isWhole || network === undefined || checks.some((item) => !item.ok)) return { checks, facts: undefined };
  const claimed = claimTxid === undefined ? undefined : valueOf(claimTxid);
  return { checks, facts: { network, terms, invoice, htlc, ...funding, claimTxid: claimed } };
}

const isEvidenceCode = (text: string): text is EvidenceCode => text in EVIDENCE_CODES;

/** The report on a text that is no evidence. */
export function unreadableEvidence(problem: string): EvidenceReport {
  const findings = Object.keys(EVIDENCE_CODES)
    .filter(isEvidenceCode)
    .map((code) =>
      code === 'evidence_unreadable' ? find(code, false, 'evidence', problem) : skip(code, 'evidence', 'no evidence'),
    );
  return { checks: inOrder(findings), facts: undefined };
}

/** The codes that failed. */
export const failedEvidenceCodes = (report: EvidenceReport): EvidenceCode[] =>
  report.checks.filter((item) => !item.ok).map((item) => item.code);
