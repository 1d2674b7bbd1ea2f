/** Checks on the funding of evidence: it holds what the terms promise. Pure. */
import { findFundingOutputs, fundingOutputs, type FundingProblem } from '../core/funding.js';
import { p2wshScriptPubKey, type HtlcTerms } from '../core/htlc.js';
import { LIQUID_NETWORKS, networkOfGenesis } from '../core/network.js';
import type { Terms } from '../core/terms.js';
import { parseTransaction, txidOf, type HtlcOutpoint, type TxOutput } from '../core/tx.js';
import type { Txid } from '../core/units.js';
import { attempt, bytesOf, find, readable, skip, type EvidenceCode, type Finding } from './evidenceCheck.js';
import type { Evidence } from './evidenceFile.js';

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
export function checkFunding(
  evidence: Evidence,
  terms: Terms | undefined,
  htlc: HtlcTerms | undefined,
): [Finding[], Funding?] {
  const parsed = attempt(() => parseTransaction(bytesOf('funding', evidence.funding_tx)));
  const isRead = readable('funding_unreadable', 'one transaction', parsed);
  const unknown = (missing: string): Finding[] =>
    FUNDING_CODES.map((code) => skip(code, 'the outputs of the terms', missing));
  if ('problem' in parsed) return [[isRead, ...unknown('no funding transaction')]];
  const network = terms === undefined ? undefined : networkOfGenesis(terms.genesis);
  if (terms === undefined || network === undefined) return [[isRead, ...unknown('no terms of a known chain')]];
  if (htlc === undefined) return [[isRead, ...unknown('no HTLC script')]];
  const scriptPubKey = p2wshScriptPubKey(Buffer.from(evidence.witness_script, 'hex'));
  const expected = attempt(() =>
    fundingOutputs({ ...terms, policyAsset: LIQUID_NETWORKS[network].policyAsset, scriptPubKey }),
  );
  if ('problem' in expected) return [[isRead, ...unknown(expected.problem)]];
  const found = findFundingOutputs(parsed.value, { scriptPubKey, expected: expected.value });
  const findings = [isRead, ...fundingFindings(expected.value, found.ok ? undefined : found.problem)];
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
